/**
 * Icons, drawn with lines of the colour of the text. They repeat a word beside them, or the button
 * around them has a label, so screen readers skip them.
 */

import {html} from "../vendor/htm-preact.js";

const SHAPES = {
  home: "M3 11l9-8 9 8M5 9.500V20h5v-6h4v6h5V9.500",
  rules: "M4 6h9M4 12h6M4 18h9M16 9l4 3-4 3",
  paths: "M5 4v14h5M5 11h5M12 8h8v6h-8zM12 15.500h8v6h-8z",
  trail: "M5 5h2M10 5h9M5 12h2M10 12h9M5 19h2M10 19h9",
  bridges: "M3 18V9M21 18V9M3 14h18M3 9c6 0 6-4 9-4s3 4 9 4M8 14V8M16 14V8",
  versions:
    "M6 5v14M6 12h6a6 6 0 006-6M6 7a2 2 0 100-4 2 2 0 000 4M6 21a2 2 0 100-4 2 2 0 000 4M18 7a2 2 0 100-4 2 2 0 000 4",
  search: "M11 18a7 7 0 100-14 7 7 0 000 14zM20 20l-4-4",
  running: "M5 12.500l4.500 4.500L19 7.500",
  failed: "M6 6l12 12M18 6L6 18",
  warning: "M12 4L2.500 20h19zM12 10v4M12 17v.500",
  retrying: "M20 12a8 8 0 11-2.500-5.800M20 3v4.500h-4.500",
  disabled: "M9 6v12M15 6v12",
  waiting: "M12 21a9 9 0 100-18 9 9 0 000 18zM12 7v5l3.500 2",
  unknown: "M9 9a3 3 0 116 0c0 2-3 2.500-3 4.500M12 17.500v.500",
  person: "M12 11a4 4 0 100-8 4 4 0 000 8zM4.500 21c.500-4.500 3.500-7 7.500-7s7 2.500 7.500 7",
  unplugged: "M9 3v5M15 3v5M6 8h12v3a6 6 0 01-12 0zM12 17v4",
  conflict: "M3 7h7l4 10h7M3 17h7l1.500-3.700M18 4l3 3-3 3",
  silent: "M4 9v6h4l5 4V5L8 9zM17 9l4 6M21 9l-4 6",
  back: "M9 7l-5 5 5 5M4 12h11a5 5 0 010 10h-2",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  chevron: "M9 6l6 6-6 6",
  directory: "M3 6h6l2 2h10v11H3z",
  state: "M12 17a5 5 0 100-10 5 5 0 000 10z",
  event: "M13 3L5 14h6l-1 7 8-11h-6z",
  action: "M8 5l11 7-11 7z",
  property: "M4 7h10M18 7h2M4 17h2M10 17h10M16 9V5M8 19v-4",
  key: "M8 18a4 4 0 100-8 4 4 0 000 8zM11 11l8-8M16 6l3 3",
  close: "M6 6l12 12M18 6L6 18",
  more: "M5 12h.010M12 12h.010M19 12h.010",
};

/**
 * An icon of 1 em.
 *
 * @param {{name: string}} properties
 */
export function Icon({name}) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d=${SHAPES[name] ?? SHAPES.unknown} />
  </svg>`;
}
