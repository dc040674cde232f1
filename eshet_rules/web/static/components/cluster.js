/**
 * The runners of a cluster, and the rules of the others; nothing for a runner that is in none.
 */

import {html} from "../vendor/htm-preact.js";
import {part} from "../api.js";
import {visible} from "../values.js";
import {Icon} from "./icons.js";
import {Status} from "./status.js";
import {Table} from "./table.js";
import {RuleLink, Text} from "./text.js";
import {Ago} from "./time.js";
import {Section} from "./view.js";

/**
 * The name of a runner, as a link to its page if that is known.
 *
 * @param {{runner: object, rule?: string}} properties `rule`: its rule that the link shows there.
 */
export function RunnerName({runner, rule}) {
  const name = html`<span class="mono"><${Text} text=${runner.name} most=${80} /></span>`;
  if (runner.is_this) return html`${name}<span class="muted"> (this one)</span>`;
  // Another runner writes the address of its page; only one of a page is followed.
  if (!/^https?:\/\//.test(runner.page ?? "")) return name;
  const view = rule ? `#/rules/${part(rule)}` : "";
  return html`<a href=${`${runner.page}${view}`} rel="noreferrer">${name}</a>`;
}

/**
 * What is missing in an answer, as runners have not answered.
 *
 * @param {{gaps: string[] | undefined}} properties
 */
export function Gaps({gaps}) {
  if (!gaps?.length) return null;
  return html`<div class="notice warn" role="status">
    <${Icon} name="unknown" />
    <div>${gaps.map((each) => html`<div key=${each}><${Text} text=${each} most=${400} /></div>`)}</div>
  </div>`;
}

function State({runner}) {
  if (!runner.answers) return html`<${Status} name="silent" />`;
  return html`<${Status} name=${runner.draining ? "draining" : "running"} />`;
}

const RUNNERS = [
  {
    key: "state",
    title: "State",
    class: "tight",
    cell: (runner) => html`<${State} runner=${runner} />`,
  },
  {
    key: "name",
    title: "Runner",
    class: "grow",
    isHeader: true,
    cell: (runner) =>
      html`<${RunnerName} runner=${runner} />
        <div class="muted what">
          <${Text} text=${[runner.host, ...runner.labels].filter(Boolean).join(", ")} most=${160} />
        </div>`,
  },
  {
    key: "modules",
    title: "Modules",
    class: "tight number",
    cell: (runner) => runner.modules.toLocaleString("en"),
  },
  {
    key: "weight",
    title: "Weight",
    class: "tight number wide",
    cell: (runner) => runner.weight ?? "",
  },
];

/**
 * The runners of the cluster, and the modules that none of them runs.
 *
 * @param {{cluster: object | null}} properties `cluster`: the answer of `cluster`.
 */
export function Cluster({cluster}) {
  if (!cluster?.cluster) return null;
  const free = cluster.without_runner;
  return html`<${Section} title=${`Cluster ${visible(cluster.cluster)}`} count=${cluster.runners.length}>
    <${Table}
      caption="Runners of the cluster"
      class="stacked"
      columns=${RUNNERS}
      rows=${cluster.runners}
      rowKey=${(runner) => runner.name}
    />
    ${free.length > 0 && html`<p class="note">No runner runs <${Text} text=${free.join(", ")} />.</p>`}
  <//>`;
}

const RULES = [
  {
    key: "state",
    title: "State",
    class: "tight",
    cell: (rule) => html`<${Status} name=${rule.state} />`,
  },
  {
    key: "rule",
    title: "Rule",
    class: "grow",
    isHeader: true,
    cell: (rule) => html`<${RuleLink} rule=${rule.rule} />`,
  },
  {
    key: "runner",
    title: "Runner",
    class: "tight",
    cell: (rule) => html`<span class="mono"><${Text} text=${rule.runner} most=${80} /></span>`,
  },
  {
    key: "since",
    title: "In this state",
    class: "tight wide",
    cell: (rule) => html`<${Ago} time=${rule.since} />`,
  },
];

/**
 * The rules of the other runners, which their own pages control.
 *
 * @param {{cluster: object | null}} properties `cluster`: the answer of `cluster`.
 */
export function OtherRules({cluster}) {
  if (!cluster?.rules.length) return null;
  const number = cluster.rules.length + cluster.more;
  return html`<${Section} title="Rules of other runners" count=${number}>
    <${Table}
      caption="Rules of other runners"
      class="stacked"
      columns=${RULES}
      rows=${cluster.rules}
      rowKey=${(rule) => `${rule.rule} ${rule.runner}`}
    />
    ${cluster.more > 0 && html`<p class="note">${cluster.more} more are not shown.</p>`}
  <//>`;
}
