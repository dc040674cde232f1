/**
 * The overview: problems first, then how much there is of everything, then the runner.
 */

import {html, useEffect} from "../vendor/htm-preact.js";
import {get, post} from "../api.js";
import {ActionError, useAction} from "../components/action.js";
import {Cluster} from "../components/cluster.js";
import {visible} from "../values.js";
import {Icon} from "../components/icons.js";
import {IfMayAct} from "../components/signin.js";
import {Status} from "../components/status.js";
import {Table} from "../components/table.js";
import {Text} from "../components/text.js";
import {Ago} from "../components/time.js";
import {Content, Section, ViewHead, useLive, useView} from "../components/view.js";

const PAUSE_OF_CLUSTER = 10_000; // milliseconds between two fetches, for the other runners

function Subject({problem}) {
  const text = visible(problem.subject).slice(0, 160);
  // The server writes the address; only one within the page is followed.
  if (!String(problem.href ?? "").startsWith("#/")) return html`<span class="mono">${text}</span>`;
  return html`<a class="mono" href=${problem.href}>${text}</a>`;
}

// A saved change that waits is applied here; the runner then sends that the overview has changed.
function Commit({module}) {
  const {isBusy, error, run} = useAction();
  const commit = () => run(() => post("commit", {modules: [module]}));
  return html`<div class="buttons">
    <${IfMayAct} what="to commit"
      ><button type="button" disabled=${isBusy} onClick=${commit}>Commit</button><//
    >
    <${ActionError} error=${error} />
  </div>`;
}

const COLUMNS = [
  {
    key: "kind",
    title: "Problem",
    class: "tight",
    cell: (problem) => html`<${Status} of="problem" name=${problem.kind} />`,
  },
  {
    key: "subject",
    title: "Where and why",
    class: "grow",
    isHeader: true,
    cell: (problem) =>
      html`<${Subject} problem=${problem} />
        <div class="muted what"><${Text} text=${problem.text} most=${240} /></div>
        ${problem.kind === "waiting" && html`<${Commit} module=${problem.subject} />`}`,
  },
  {
    key: "since",
    title: "Since",
    class: "tight medium",
    cell: (problem) => html`<${Ago} time=${problem.since} />`,
  },
];

function Problems({problems}) {
  if (!problems.length) {
    return html`<p class="all-well">
      <${Icon} name="running" />No problems. All rules run, and all their inputs are known.
    </p>`;
  }
  return html`<${Table}
    caption="Problems, the worst first"
    class="stacked"
    columns=${COLUMNS}
    rows=${problems}
    rowKey=${(each) => `${each.kind} ${each.subject}`}
  />`;
}

function Figure({label, number, href, tone}) {
  const inner = html`<span class="number">${(number ?? 0).toLocaleString("en")}</span
    ><span class="label">${label}</span>`;
  const name = `figure${tone && number ? ` ${tone}` : ""}`;
  return html`<li><a class=${name} href=${href}>${inner}</a></li>`;
}

function Figures({counts}) {
  return html`<ul class="figures">
    <${Figure} label="rules" number=${counts.rules} href="#/rules" />
    <${Figure} label="running" number=${counts.running} href="#/rules?state=running" />
    <${Figure} label="failed" number=${counts.failed} href="#/rules?state=failed" tone="bad" />
    <${Figure}
      label="retrying"
      number=${(counts.retrying ?? 0) + (counts.restarting ?? 0)}
      href="#/rules?state=retrying"
      tone="warn"
    />
    <${Figure} label="disabled" number=${counts.disabled} href="#/rules?state=disabled" />
    <${Figure} label="modules" number=${counts.modules} href="#/versions" />
    <${Figure} label="paths" number=${counts.paths} href="#/paths" />
    <${Figure} label="bridges" number=${counts.bridges} href="#/bridges" />
  </ul>`;
}

function Runner({runner, recording}) {
  const fact = (term, content) =>
    html`<div>
      <dt>${term}</dt>
      <dd>${content}</dd>
    </div>`;
  const warning = (text) => html`<${Status} of="level" name="warning" plain /> ${text}`;
  const mono = (text) => html`<span class="mono"><${Text} text=${text ?? ""} most=${120} /></span>`;
  return html`<dl class="facts">
    ${fact("Rules folder", mono(runner.folder))} ${fact("Server", mono(runner.server))}
    ${fact("Running since", html`<${Ago} time=${runner.since} clock />`)}
    ${fact("Process", mono(runner.pid))}
    ${!runner.connected && fact("Connection", warning("the runner has no connection to its server"))}
    ${fact("Audit trail", recording ? "recording" : warning("off: no history, no answer to why"))}
  </dl>`;
}

// Read aloud when the number changes, and only then.
function Announcement({problems}) {
  const urgent = problems.filter((each) =>
    ["failed", "broken", "quarantined", "bridge_down"].includes(each.kind),
  ).length;
  const text = urgent
    ? `${urgent} urgent ${urgent === 1 ? "problem" : "problems"}`
    : "No urgent problem";
  return html`<p class="hidden" role="status" aria-live="polite">${text}</p>`;
}

/** The view `#/`. */
export function Overview() {
  const view = useView((signal) => get("overview", {}, signal), []);
  const cluster = useView((signal) => get("cluster", {search: "", state: ""}, signal), [], 5000);
  useLive("changed", (names) => {
    if (names.includes("overview")) view.reloadSoon();
    cluster.reloadSoon();
  });
  useLive("rules", view.reloadSoon);
  useLive("gone", view.reloadSoon);
  const isInCluster = Boolean(cluster.data?.cluster);
  useEffect(() => {
    if (!isInCluster) return undefined;
    const look = () => {
      view.reloadSoon();
      cluster.reloadSoon();
    };
    const timer = setInterval(look, PAUSE_OF_CLUSTER); // the others tell this page of no change
    return () => clearInterval(timer);
  }, [isInCluster, view.reloadSoon, cluster.reloadSoon]);
  const runner = view.data?.runner;
  return html`<div>
    <${ViewHead}
      title=${runner ? runner.name : "Overview"}
      name="Overview"
      command=${["eshet-rules", "list"]}
    />
    <${Content} view=${view}
      >${(data) =>
        html`<div>
          <${Announcement} problems=${data.problems} />
          <${Section} title="Problems" count=${data.problems.length || undefined} class="problems"
            ><${Problems}
              problems=${data.problems}
            />${data.more > 0 && html`<p class="note">${data.more} more are not shown.</p>`}<//
          >
          <${Section} title="In numbers"><${Figures} counts=${data.counts} /><//>
          <${Cluster} cluster=${cluster.data} />
          <${Section} title="Runner"
            ><${Runner} runner=${data.runner} recording=${data.recording}
          /><//>
        </div>`}<//
    >
  </div>`;
}
