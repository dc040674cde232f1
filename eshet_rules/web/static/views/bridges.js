/**
 * Bridges to devices.
 */

import {html} from "../vendor/htm-preact.js";
import {get} from "../api.js";
import {Status} from "../components/status.js";
import {Table} from "../components/table.js";
import {Text} from "../components/text.js";
import {Content, Section, ViewHead, useLive, useView} from "../components/view.js";

const BRIDGES = [
  {
    key: "state",
    title: "State",
    class: "tight",
    cell: (bridge) => html`<${Status} name=${bridge.connected ? "connected" : "disconnected"} />`,
  },
  {
    key: "bridge",
    title: "Bridge",
    class: "grow",
    isHeader: true,
    cell: (bridge) =>
      html`<span class="mono"><${Text} text=${bridge.bridge} most=${80} /></span>
        <div class="muted what mono"><${Text} text=${bridge.server} most=${120} /></div>
        ${bridge.problem && html`<div class="bad-text"><${Text} text=${bridge.problem} most=${240} /></div>`}`,
  },
  {
    key: "devices",
    title: "Devices",
    class: "tight number",
    cell: (bridge) => bridge.devices.toLocaleString("en"),
  },
];

/** The view `#/bridges`. */
export function Bridges() {
  const view = useView((signal) => get("bridges", {}, signal), []);
  useLive("changed", (names) => {
    if (names.includes("overview")) view.reloadSoon();
  });
  return html`<div>
    <${ViewHead} title="Devices" name="Devices and bridges" command=${["eshet-rules", "devices"]} />
    <${Content} view=${view}
      >${(data) =>
        html`<${Section} title="Bridges" count=${data.bridges.length}>
          <${Table}
            caption="Bridges"
            columns=${BRIDGES}
            rows=${data.bridges}
            rowKey=${(bridge) => bridge.bridge}
            empty="No bridge is configured. Bridges are in eshet-rules.toml, below [bridges]."
          />
        <//>`}<//
    >
  </div>`;
}
