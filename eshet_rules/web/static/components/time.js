/**
 * Ages and countdowns, which go on without rendering: one timer writes all of them.
 */

import {html, useLayoutEffect, useRef} from "../vendor/htm-preact.js";
import {agoText, clockText} from "../times.js";

const shown = new Set(); // functions that write their text again

setInterval(() => {
  if (document.hidden) return;
  for (const write of shown) write();
}, 1000);
document.addEventListener("visibilitychange", () => shown.forEach((write) => write()));

/**
 * How long ago a time was, or in how long it comes; the time itself is its title.
 *
 * @param {{time: string | null, clock?: boolean}} properties `clock`: the time as well.
 */
export function Ago({time, clock = false}) {
  const element = useRef(null);
  useLayoutEffect(() => {
    if (!time) return undefined;
    const write = () => {
      const text = clock ? `${clockText(time)} (${agoText(time)})` : agoText(time);
      if (element.current && element.current.textContent !== text)
        element.current.textContent = text;
    };
    write();
    shown.add(write);
    return () => shown.delete(write);
  }, [time, clock]);
  if (!time) return html`<span class="faint">–</span>`;
  return html`<time class="ago" datetime=${time} title=${clockText(time)} ref=${element}></time>`;
}

/**
 * A point of time as local time.
 *
 * @param {{time: string | null}} properties
 */
export function Clock({time}) {
  if (!time) return html`<span class="faint">–</span>`;
  return html`<time class="clock" datetime=${time} title=${time}>${clockText(time)}</time>`;
}
