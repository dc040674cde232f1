/**
 * Versions of modules: what was live, what has changed, and rolling back.
 */

import {html, useState} from "../vendor/htm-preact.js";
import {get, part, post} from "../api.js";
import {ActionError, useAction} from "../components/action.js";
import {Dialog} from "../components/dialog.js";
import {Icon} from "../components/icons.js";
import {IfMayAct} from "../components/signin.js";
import {Source} from "../components/source.js";
import {Status} from "../components/status.js";
import {MOST_ROWS, Table} from "../components/table.js";
import {Text} from "../components/text.js";
import {Ago, Clock} from "../components/time.js";
import {Content, Section, ViewHead, useLive, useView} from "../components/view.js";
import {visible, visibleLines} from "../values.js";

const short = (version) => visible(version).slice(0, 8);

function href(module, query = {}) {
  const text = new URLSearchParams(query).toString();
  return `#/versions/${part(module)}${text ? `?${text}` : ""}`;
}

const MODULES = [
  {
    key: "module",
    title: "Module",
    class: "grow",
    isHeader: true,
    order: (row) => row.module,
    cell: (row) =>
      html`<a class="mono" href=${href(row.module)}>${visible(row.module).slice(0, 120)}</a>`,
  },
  {key: "count", title: "Versions", class: "tight number", cell: (row) => row.versions.length},
  {
    key: "live",
    title: "Live",
    class: "tight",
    cell: (row) =>
      html`<span class="mono"
        >${short(row.versions.find((each) => each.live)?.version ?? "–")}</span
      >`,
  },
  {
    key: "since",
    title: "Since",
    class: "tight",
    cell: (row) => html`<${Ago} time=${row.versions.find((each) => each.live)?.since ?? null} />`,
  },
];

function RollBack({module, version, onClose}) {
  const {isBusy, error, run} = useAction();
  const [why, setWhy] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    const body = {version: version.version, why};
    if (await run(() => post(`versions/${part(module)}/rollback`, body))) onClose();
  };
  return html`<${Dialog}
    title=${`Roll ${visible(module)} back to ${short(version.version)}?`}
    onClose=${onClose}
  >
    <form onSubmit=${submit}>
      <p>
        This version runs until the file changes. The file stays as it is, and the state is handed
        over.
      </p>
      <label for="why">Reason</label>
      <input
        id="why"
        value=${why}
        placeholder="the lamp flickers"
        onInput=${(event) => setWhy(event.target.value)}
      />
      <${ActionError} error=${error} />
      <div class="buttons">
        <button type="submit" class="danger" disabled=${isBusy}>Roll back</button>
        <button type="button" onClick=${onClose}>Cancel</button>
      </div>
    </form>
  <//>`;
}

function columns(module, live, onRollBack) {
  return [
    {
      key: "version",
      title: "Version",
      class: "tight",
      isHeader: true,
      cell: (row) =>
        html`<a class="mono" href=${href(module, {show: row.version})}>${short(row.version)}</a>
          ${row.live && html` <span class="status good plain">live</span>`}`,
    },
    {
      key: "since",
      title: "Live since",
      class: "tight",
      cell: (row) => html`<${Clock} time=${row.since} />`,
    },
    {
      key: "until",
      title: "Until",
      class: "tight medium",
      cell: (row) => html`<${Clock} time=${row.until} />`,
    },
    {
      key: "size",
      title: "Bytes",
      class: "tight number medium",
      cell: (row) => (row.size ?? 0).toLocaleString("en"),
    },
    {
      key: "failed",
      title: "Failed",
      class: "grow medium",
      cell: (row) =>
        row.failed
          ? html`<span class="bad-text"
              >${row.failed === true ? "on probation" : visible(row.failed)}</span
            >`
          : "",
    },
    {
      key: "actions",
      title: "Actions",
      class: "tight",
      isHidden: true,
      cell: (row) =>
        !row.live &&
        html`<div class="buttons">
          ${
            live &&
            html`<a class="button" href=${href(module, {from: row.version, to: live})}>
              Compare<span class="hidden"> ${short(row.version)} with the live version</span>
            </a>`
          }
          <${IfMayAct} what=""
            ><button type="button" onClick=${() => onRollBack(row)}>
              Roll back…<span class="hidden"> to ${short(row.version)}</span>
            </button><//
          >
        </div>`,
    },
  ];
}

const SIGNS = {"+": ["added", "added"], "-": ["removed", "removed"], "@": ["place", "gap"]};

function DiffLine({sign, text}) {
  const [name, word] = SIGNS[sign] ?? ["", ""];
  return html`<div class=${`line ${name}`} data-sign=${sign === "@" ? " " : sign}>
    ${word && html`<span class="hidden">${word}: </span>`}<code>${visibleLines(text) || " "}</code>
  </div>`;
}

function Diff({module, from, to}) {
  const view = useView(
    (signal) => get(`versions/${part(module)}/diff`, {from, to}, signal),
    [module, from, to],
  );
  return html`<${Section}
    title=${`Changes from ${short(from)} to ${short(to)}`}
    side=${html`<a href=${href(module)}>Close</a>`}
  >
    <${Content} view=${view}
      >${({lines, truncated}) =>
        html`<div>
          ${lines.length === 0 && html`<p class="empty">Both are the same.</p>`}
          <div class="code diff" tabindex="0" role="region" aria-label="Changed lines">
            ${lines.slice(0, MOST_ROWS).map(([sign, text], index) => html`<${DiffLine} key=${index} ...${{sign, text}} />`)}
          </div>
          ${(truncated || lines.length > MOST_ROWS) && html`<p class="note">Only the first ${MOST_ROWS} lines are shown.</p>`}
        </div>`}<//
    >
  <//>`;
}

function Shown({module, version}) {
  const view = useView(
    (signal) => get(`versions/${part(module)}/${part(version)}`, {}, signal),
    [module, version],
  );
  return html`<${Section}
    title=${`Source of ${short(version)}`}
    side=${html`<a href=${href(module)}>Close</a>`}
  >
    <${Content} view=${view}>${({text}) => html`<${Source} text=${text} />`}<//>
  <//>`;
}

// What the overview says of the module: its file can't be loaded, or a change waits.
function Problems({module}) {
  const view = useView((signal) => get("overview", {}, signal), [module]);
  useLive("changed", (names) => {
    if (names.includes("overview")) view.reloadSoon();
  });
  const own = view.data?.problems.filter(
    (each) => each.subject === module && ["broken", "waiting"].includes(each.kind),
  );
  return html`<div>
    ${own?.map(
      (each) =>
        html`<div key=${each.kind} class=${`notice ${each.kind === "broken" ? "bad" : "warn"}`}>
          <${Icon} name=${each.kind === "broken" ? "failed" : "waiting"} />
          <div><${Text} text=${each.text} lines most=${600} /></div>
        </div>`,
    )}
  </div>`;
}

function Module({module, query}) {
  const view = useView((signal) => get("versions", {module}, signal), [module]);
  const [chosen, setChosen] = useState(null);
  useLive("rules", (rules) => {
    if (rules.some((rule) => rule.module === module)) view.reloadSoon();
  });
  const close = () => {
    setChosen(null);
    view.reload();
  };
  const command = query.show
    ? ["eshet-rules", "show", `${module}@${query.show}`]
    : ["eshet-rules", "versions", module];
  return html`<div>
    <${ViewHead}
      title=${module}
      isMono
      above=${html`<a href="#/versions">Versions</a>`}
      command=${command}
    />
    <${Problems} module=${module} />
    ${query.from && query.to && html`<${Diff} module=${module} from=${query.from} to=${query.to} />`}
    ${query.show && html`<${Shown} module=${module} version=${query.show} />`}
    <${Content} view=${view}
      >${(data) => {
        const versions = data.modules.find((each) => each.module === module)?.versions ?? [];
        const live = versions.find((each) => each.live)?.version;
        const isBack = data.modules.some((each) => each.module === module && each.rolled_back);
        return html`<${Section}
          title="Versions"
          side=${isBack && html`<${Status} of="problem" name="rolled_back" />`}
          count=${versions.length}
        >
          <${Table}
            caption=${`Versions of ${visible(module)}`}
            class="stacked"
            columns=${columns(module, live, setChosen)}
            rows=${versions}
            rowKey=${(row) => row.version}
            empty="No version of this module was live."
          />
        <//>`;
      }}<//
    >
    ${chosen && html`<${RollBack} module=${module} version=${chosen} onClose=${close} />`}
  </div>`;
}

function Modules() {
  const view = useView((signal) => get("versions", {}, signal), []);
  return html`<div>
    <${ViewHead} title="Versions" command=${["eshet-rules", "versions"]} />
    <${Content} view=${view}
      >${(data) => html`<${Table} caption="Modules" columns=${MODULES} rows=${data.modules} rowKey=${(row) => row.module} empty="No version is kept." />`}<//
    >
  </div>`;
}

/** The views `#/versions` and `#/versions/MODULE`. */
export function Versions({segments, query}) {
  return segments[1]
    ? html`<${Module} module=${segments[1]} query=${query} />`
    : html`<${Modules} />`;
}
