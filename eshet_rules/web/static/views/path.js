/**
 * One path: its value, history, who decides over it, who reads and writes it, and why.
 */

import {html, useEffect, useMemo, useState} from "../vendor/htm-preact.js";
import {get, part, post} from "../api.js";
import {ActionError, useAction} from "../components/action.js";
import {History} from "../components/chart.js";
import {Gaps} from "../components/cluster.js";
import {GraphSection} from "../components/graph.js";
import {Icon} from "../components/icons.js";
import {IfMayAct} from "../components/signin.js";
import {Status} from "../components/status.js";
import {Table} from "../components/table.js";
import {
  LiveValue,
  PathLink,
  RuleLink,
  Text,
  Value,
  pathHref,
  useSince,
} from "../components/text.js";
import {Ago} from "../components/time.js";
import {Content, Section, ViewHead, useLive, useView} from "../components/view.js";
import {WhyPanel} from "../components/why.js";
import {followTrail} from "../live.js";
import {go} from "../router.js";
import {now} from "../times.js";
import {typedValue, valueText, visible} from "../values.js";
import {Above} from "./paths.js";

// Milliseconds between two fetches of a chart: the runner reads its trail for each.
const PAUSE_OF_AN_HOUR = 3000;
const PAUSE_OF_DAYS = 15_000;

const RANGES = {"1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000};

function Missing({data}) {
  return html`<div class="notice warn">
    <${Icon} name="unknown" />
    <div>
      Nothing provides this
      path.${
        data.nearest?.length > 0 &&
        html` Similar ones:
          <ul class="plain">
            ${data.nearest.map((path) => html`<li key=${path}><${PathLink} path=${path} /></li>`)}
          </ul>`
      }
    </div>
  </div>`;
}

function Now({data}) {
  const [since, onChange] = useSince(data.path, data.since);
  if (data.kind !== "state" && data.kind !== "property") {
    return (
      data.owner &&
      html`<p class="muted">
        Provided by <span class="mono"><${Text} text=${data.owner} most=${80} /></span>
      </p>`
    );
  }
  return html`<div class="now-big">
    <${LiveValue} path=${data.path} value=${data.value} known=${data.known} onChange=${onChange} />
    <span class="muted"
      >${since && html`since <${Ago} time=${since} clock />, `}provided by${" "}
      <span class="mono"><${Text} text=${data.owner ?? "nothing"} most=${80} /></span
    ></span>
    ${
      data.known &&
      valueText(data.value).length > 200 &&
      html`<details>
        <summary>All of it, when this view was opened</summary>
        <pre
          class="code"
          tabindex="0"
          role="region"
          aria-label="The whole value"
        ><${Value} value=${data.value} most=${100_000} /></pre>
      </details>`
    }
  </div>`;
}

function SetForm({data, onDone}) {
  const {isBusy, error, run} = useAction();
  const [text, setText] = useState("");
  const [done, setDone] = useState("");
  const send = async (value) => {
    setDone("");
    if (await run(() => post("set", {path: data.path, value}))) {
      setDone(`sent ${valueText(value)}`);
      onDone();
    }
  };
  const submit = (event) => {
    event.preventDefault();
    send(typedValue(text));
  };
  const isSwitch = typeof data.value === "boolean";
  return html`<form class="act" onSubmit=${submit}>
    ${
      isSwitch &&
      html`<div class="buttons">
        <button type="button" disabled=${isBusy} onClick=${() => send(true)}>Set true</button>
        <button type="button" disabled=${isBusy} onClick=${() => send(false)}>Set false</button>
      </div>`
    }
    <div class="inline">
      <label for="set-value">New value</label>
      <input
        id="set-value"
        class="mono"
        required
        value=${text}
        placeholder="JSON or text"
        onInput=${(event) => setText(event.target.value)}
      />
      <button type="submit" disabled=${isBusy}>Set</button>
      ${text && html`<span class="muted">sends <span class="mono">${valueText(typedValue(text)).slice(0, 60)}</span></span>`}
    </div>
    <${ActionError} error=${error} />
    <p class="note" role="status">${done}</p>
  </form>`;
}

function CallForm({data}) {
  const {isBusy, error, run} = useAction();
  const [text, setText] = useState("");
  const [result, setResult] = useState(null);
  const submit = (event) => {
    event.preventDefault();
    setResult(null);
    run(async () => {
      let argumentsOfCall;
      try {
        argumentsOfCall = JSON.parse(`[${text}]`);
      } catch {
        throw new Error('the arguments are not JSON; write them as 21, "night", {"a": 1}');
      }
      setResult(await post("call", {path: data.path, arguments: argumentsOfCall}));
    });
  };
  return html`<form class="act" onSubmit=${submit}>
    <div class="inline">
      <label for="call-arguments">Arguments</label>
      <input
        id="call-arguments"
        class="mono"
        value=${text}
        placeholder=${'none, or: 21, "night"'}
        onInput=${(event) => setText(event.target.value)}
      />
      <button type="submit" disabled=${isBusy}>Call</button>
    </div>
    <${ActionError} error=${error} />
    <p class="note" role="status">
      ${result && html`Result: <${Value} value=${result.result} most=${400} />`}
    </p>
  </form>`;
}

function Act({data, onDone}) {
  if (data.kind === "state" || data.kind === "property") {
    return html`<${IfMayAct} what="to set it"><${SetForm} data=${data} onDone=${onDone} /><//>`;
  }
  if (data.kind === "action")
    return html`<${IfMayAct} what="to call it"><${CallForm} data=${data} /><//>`;
  return null;
}

function Person({path, report, onDone}) {
  const {isBusy, error, run} = useAction();
  const {override} = report;
  const release = async () => {
    if (await run(() => post("release", {path}))) onDone();
  };
  return html`<div class="notice person">
    <${Icon} name="person" />
    <div>
      A person has set <${Value} value=${override.value} />, <${Ago} time=${override.since} />.
      Rules stand by until${" "}
      ${override.until ? html`<${Ago} time=${override.until} clock />` : "its condition ends"}.
      <${ActionError} error=${error} />
    </div>
    <${IfMayAct} what="to release"
      ><button type="button" disabled=${isBusy} onClick=${release}>Let the rules decide</button><//
    >
  </div>`;
}

const DRIVERS = [
  {
    key: "rule",
    title: "Driver",
    class: "grow",
    isHeader: true,
    cell: (driver) => html`<${RuleLink} rule=${driver.rule} />`,
  },
  {key: "priority", title: "Priority", class: "tight number", cell: (driver) => driver.priority},
  {
    key: "wants",
    title: "Wants",
    class: "grow",
    cell: (driver) =>
      html`${driver.has_opinion ? html`<${Value} value=${driver.value} />` : html`<span class="faint">nothing</span>`}
      ${driver.decides && html` <span class="status good plain"><${Icon} name="running" />decides</span>`}
      ${driver.stands_by && html` <span class="status person plain"><${Icon} name="person" />stands by</span>`}`,
  },
  {
    key: "until",
    title: "Until",
    class: "tight medium",
    cell: (driver) => html`<${Ago} time=${driver.until} />`,
  },
];

function Decider({report}) {
  if (report.decides === null) return html`<p>Nobody has an opinion.</p>`;
  const who =
    report.decides === "person" ? "A person" : html`<${RuleLink} rule=${report.decides} />`;
  return html`<p>
    ${who} decides${report.since && html`, since <${Ago} time=${report.since} />`}.
  </p>`;
}

function Decides({path, report, onDone}) {
  const first = report.drivers.find(
    (driver) => driver.rule === report.decides && driver.has_opinion,
  );
  const rows = report.drivers.map((driver, index) => ({
    ...driver,
    index,
    decides: driver === first,
  }));
  return html`<${Section} title="Who decides">
    ${report.override && html`<${Person} ...${{path, report, onDone}} />`}
    ${
      report.contested &&
      html`<div class="notice warn">
        <${Icon} name="conflict" />
        <div>Others change it again and again. It is sent again at most once a minute.</div>
      </div>`
    }
    <${Decider} report=${report} />
    <${Table}
      caption="Drivers, the first with an opinion decides"
      columns=${DRIVERS}
      rows=${rows}
      rowKey=${(driver) => driver.index}
    />
  <//>`;
}

const USERS = [
  {
    key: "rule",
    title: "Rule",
    class: "grow",
    isHeader: true,
    cell: ([rule, , why, runner]) =>
      html`<${RuleLink} rule=${rule} />
        ${runner && html`<span class="muted"> at <span class="mono"><${Text} text=${runner} most=${80} /></span></span>`}
        ${why && html`<div class="muted what"><${Text} text=${why} most=${160} /></div>`}`,
  },
  {
    key: "state",
    title: "State",
    class: "tight",
    cell: ([, state]) => html`<${Status} name=${state} />`,
  },
];

// The runner stands behind a rule only if there may be several.
function Users({title, users, cluster, verb}) {
  const rows = users.map(([rule, state, why, runner]) => [rule, state, why, cluster && runner]);
  return html`<${Section} title=${title} count=${rows.length}>
    <${Table}
      caption=${title}
      columns=${USERS}
      rows=${rows}
      rowKey=${([rule, , , runner]) => `${rule} ${runner}`}
      empty=${`No rule of ${cluster ? "the cluster" : "this runner"} ${verb} it.`}
    />
  <//>`;
}

function HistorySection({path, range, hash}) {
  const view = useView(
    async (signal) => {
      const to = now() / 1000;
      const from = to - RANGES[range];
      const iso = (seconds) => new Date(seconds * 1000).toISOString();
      return {
        history: await get("history", {path, from: iso(from), to: iso(to)}, signal),
        from,
        to,
      };
    },
    [path, range],
    RANGES[range] <= RANGES["1h"] ? PAUSE_OF_AN_HOUR : PAUSE_OF_DAYS,
  );
  useLive("records", (records) => {
    if (records.some((record) => record.path === path)) view.reloadSoon();
  });
  const side = html`<div class="segments" role="group" aria-label="Time">
    ${Object.keys(RANGES).map(
      (each) =>
        html`<button
          type="button"
          key=${each}
          aria-pressed=${each === range ? "true" : "false"}
          onClick=${() => go(hash, {range: each}, true)}
        >
          ${each}
        </button>`,
    )}
  </div>`;
  return html`<${Section} title="History" side=${side}>
    <${Content} view=${view}>${(data) => html`<${History} ...${data} path=${path} />`}<//>
  <//>`;
}

function Page({data, range, hash, view}) {
  const exists = data.kind !== null;
  return html`<div>
    <${Gaps} gaps=${data.gaps} />
    ${!exists && html`<${Missing} data=${data} />`}
    <${Now} data=${data} />
    <${Act} data=${data} onDone=${view.reloadSoon} />
    ${data.decides && html`<${Decides} path=${data.path} report=${data.decides} onDone=${view.reload} />`}
    <${Section} title="Why"><${WhyPanel} paths=${[data.path]} /><//>
    <${HistorySection} path=${data.path} range=${range} hash=${hash} />
    <div class="halves">
      <${Users} title="Written by" users=${data.writers} cluster=${data.cluster} verb="writes" />
      <${Users} title="Read by" users=${data.readers} cluster=${data.cluster} verb="reads" />
    </div>
    <${GraphSection} address="path/graph" query=${{path: data.path}} centre=${data.path} />
    <p><a href=${`#/trail?path=${part(data.path)}`}>All records of this path in the trail</a></p>
  </div>`;
}

/** The view `#/path/house/hall/light`. */
export function Path({segments, query}) {
  const path = `/${segments.slice(1).join("/")}`;
  const range = RANGES[query.range] ? query.range : "24h";
  const view = useView((signal) => get("path", {path}, signal), [path]);
  const hash = useMemo(() => pathHref(path).slice(1), [path]);
  useEffect(() => followTrail({path}), [path]);
  useLive("records", (records) => {
    if (records.some((record) => record.path === path)) view.reloadSoon();
  });
  const kind = view.data?.kind;
  const command =
    kind === "event"
      ? ["eshet", "listen", path]
      : kind === "action"
        ? ["eshet", "call", path]
        : ["eshet", "observe", path];
  return html`<div>
    <${ViewHead} title=${path} isMono above=${html`<${Above} path=${path} />`} command=${command}>
      ${kind && html`<span class="status idle"><${Icon} name=${kind} />${visible(kind)}</span>`}
    <//>
    <${Content} view=${view}>${(data) => html`<${Page} ...${{data, range, hash, view}} />`}<//>
  </div>`;
}
