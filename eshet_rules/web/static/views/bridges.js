/**
 * Bridges to devices, and their devices.
 */

import {html} from "../vendor/htm-preact.js";
import {get} from "../api.js";
import {Status} from "../components/status.js";
import {Table} from "../components/table.js";
import {Text, pathHref} from "../components/text.js";
import {Ago} from "../components/time.js";
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

const DEVICES = [
  {
    key: "online",
    title: "State",
    class: "tight",
    cell: (device) =>
      device.online !== null && html`<${Status} name=${device.online ? "connected" : "disconnected"} />`,
  },
  {
    key: "path",
    title: "Device",
    class: "grow",
    isHeader: true,
    cell: (device) =>
      html`<a class="mono" href=${pathHref(device.path, "paths")}><${Text} text=${device.path} most=${120} /></a>
        <div class="muted what">
          <${Text} text=${[device.name, device.kind, device.model].filter(Boolean).join(", ")} most=${160} />
        </div>`,
  },
  {
    key: "battery",
    title: "Battery",
    class: "tight number",
    cell: (device) => typeof device.battery === "number" && `${Math.round(device.battery)} %`,
  },
  {key: "nodes", title: "Nodes", class: "tight number", cell: (device) => device.nodes},
  {key: "seen", title: "Seen", class: "tight", cell: (device) => device.seen && html`<${Ago} time=${device.seen} />`},
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
        html`<div>
          <${Section} title="Bridges" count=${data.bridges.length}>
            <${Table}
              caption="Bridges"
              columns=${BRIDGES}
              rows=${data.bridges}
              rowKey=${(bridge) => bridge.bridge}
              empty="No bridge is configured. Bridges are in eshet-rules.toml, below [bridges]."
            />
          <//>
          <${Section} title="Devices" count=${data.devices.length + data.more}>
            <${Table}
              caption="Devices"
              columns=${DEVICES}
              rows=${data.devices}
              rowKey=${(device) => device.path}
              empty="No bridge of this server lists a device."
            />
            ${data.more > 0 && html`<p class="note">${data.more} more are not shown: see the tree of paths.</p>`}
          <//>
        </div>`}<//
    >
  </div>`;
}
