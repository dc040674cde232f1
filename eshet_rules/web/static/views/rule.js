/**
 * One rule: its source, what goes in and out now, what it waits for, and what it did.
 */

import {html, useEffect} from "../vendor/htm-preact.js";
import {get, part} from "../api.js";
import {RuleActions} from "../components/action.js";
import {RunnerName} from "../components/cluster.js";
import {GraphSection} from "../components/graph.js";
import {Icon} from "../components/icons.js";
import {Records} from "../components/records.js";
import {IfMayAct} from "../components/signin.js";
import {Source} from "../components/source.js";
import {Status} from "../components/status.js";
import {Table} from "../components/table.js";
import {LiveValue, PathLink, RuleLink, Text, Value, useSince} from "../components/text.js";
import {Ago, Clock} from "../components/time.js";
import {Content, Section, ViewHead, useLive, useView} from "../components/view.js";
import {WhyPanel} from "../components/why.js";
import {followTrail} from "../live.js";
import {visible} from "../values.js";

const MOST_RUNS = 50;
const PAUSE = 2000; // milliseconds between two fetches: the runner reads its trail for each
const PAUSE_OF_REMOTE = 5000; // milliseconds between two fetches of a rule of another runner

function Trouble({rule}) {
  const error = rule.last_error;
  if (!error && !rule.why) return null;
  const isBad = rule.state === "failed";
  return html`<div class=${`notice ${isBad ? "bad" : rule.state === "disabled" ? "idle" : "warn"}`}>
    <${Icon} name=${isBad ? "failed" : rule.state === "disabled" ? "disabled" : "warning"} />
    <div>
      ${rule.why && html`<div><${Text} text=${rule.why} lines most=${400} /></div>`}
      ${error && html`<div class="mono"><${Text} text=${error} lines most=${400} /></div>`}
    </div>
  </div>`;
}

const MOST_READERS = 3;

function OtherReaders({rules}) {
  const rest = rules.length - MOST_READERS;
  return html`<span class="muted shared">
    also read by${" "}
    ${rules.slice(0, MOST_READERS).map(
      (rule, index) => html`<span key=${rule}>${index > 0 && ", "}<${RuleLink} rule=${rule} /></span>`,
    )}
    ${rest > 0 && ` and ${rest} more`}
  </span>`;
}

function Input({use, rule}) {
  const others = use.shared_by.filter((each) => each !== rule);
  const [since, onChange] = useSince(use.path, use.since);
  const isState = use.kind !== "event" && use.kind !== "call";
  return html`<div class="pair">
    <div class="what">
      <${PathLink} path=${use.path} />
      ${others.length > 0 && html` <${OtherReaders} rules=${others} />`}
      ${use.owner === null && use.kind !== "event" && html`<span class="bad-text"> nothing provides it</span>`}
    </div>
    <div class="now">
      ${
        isState || use.known
          ? html`<${LiveValue} ...${use} onChange=${onChange} />`
          : html`<span class="faint">not yet</span>`
      }
    </div>
    <div class="when"><${Ago} time=${since} /></div>
  </div>`;
}

function skippedText(skipped) {
  const parts = Object.entries(skipped ?? {}).filter(([, count]) => count);
  return parts.length
    ? `not sent: ${parts.map(([why, count]) => `${count} ${why}`).join(", ")}`
    : "";
}

function Output({output}) {
  const facts = [
    `${output.function} at ${output.place}`,
    output.attempts > 1 && `attempt ${output.attempts}`,
    skippedText(output.skipped),
  ];
  return html`<div class="pair">
    <div class="what">
      <${PathLink} path=${output.path} />
      ${output.error && html`<div class="bad-text"><${Text} text=${output.error} most=${200} /></div>`}
      <div class="muted">
        <${Text}
          text=${facts.filter(Boolean).join("; ")}
          most=${160}
        />
      </div>
      ${
        output.next_attempt &&
        html`<div class="muted">
          next attempt <span class="countdown"><${Ago} time=${output.next_attempt} /></span>
        </div>`
      }
    </div>
    <div class="now">
      ${(output.known || !output.outcome) && html`<${Value} value=${output.value} known=${output.known} />`}${" "}
      ${output.outcome && html`<${Status} of="outcome" name=${output.outcome} plain />`}
    </div>
    <div class="when"><${Ago} time=${output.time} /></div>
  </div>`;
}

const TIMERS = [
  {
    key: "name",
    title: "Timer",
    class: "grow",
    isHeader: true,
    cell: (timer) => html`<span class="mono"><${Text} text=${timer.name} most=${80} /></span>`,
  },
  {key: "at", title: "At", class: "tight", cell: (timer) => html`<${Clock} time=${timer.at} />`},
  {
    key: "left",
    title: "Left",
    class: "tight",
    cell: (timer) => html`<span class="countdown"><${Ago} time=${timer.at} /></span>`,
  },
];

function pathsOf({rule}) {
  const paths = [...rule.writes, ...rule.reads];
  return [...new Set(paths)].slice(0, 100);
}

function Facts({data}) {
  const {rule, source} = data;
  const tasks = rule.queued
    ? `${rule.running} running, ${rule.queued} queued`
    : `${rule.running ?? 0} running`;
  return html`<dl class="facts inline">
    <div>
      <dt>State since</dt>
      <dd><${Ago} time=${rule.since} /></dd>
    </div>
    <div>
      <dt>Last run</dt>
      <dd><${Ago} time=${rule.last_run} /></dd>
    </div>
    <div>
      <dt>Restarts</dt>
      <dd>${rule.restarts ?? 0}</dd>
    </div>
    <div>
      <dt>Errors</dt>
      <dd>${rule.errors ?? 0}</dd>
    </div>
    <div>
      <dt>Tasks</dt>
      <dd>${tasks}</dd>
    </div>
    ${
      rule.waiting > 0 &&
      html`<div>
        <dt>Inputs that wait</dt>
        <dd>${rule.waiting}</dd>
      </div>`
    }
    ${
      rule.strategy &&
      html`<div>
        <dt>Strategy</dt>
        <dd class="mono"><${Text} text=${rule.strategy} most=${80} /></dd>
      </div>`
    }
    <div>
      <dt>Version</dt>
      <dd>
        ${
          source
            ? html`<a class="mono" href=${`#/versions/${part(rule.module)}`}
                >${visible(source.version ?? rule.version ?? "").slice(0, 8)}</a
              >`
            : html`<span class="mono">${visible(rule.version ?? "").slice(0, 8)}</span>`
        }
      </dd>
    </div>
  </dl>`;
}

function Page({data, view}) {
  const {rule, source} = data;
  const paths = pathsOf(data);
  const place = source.rule_line ? `${data.file}:${source.rule_line}` : data.file;
  return html`<div>
    <${Trouble} rule=${rule} />
    <${Facts} data=${data} />
    <div class="columns">
      <div class="main-column">
        <${Section}
          title="Source"
          side=${html`<span class="mono muted file"><${Text} text=${place} most=${90} /></span>`}
        >
          <${Source}
            key=${source.version}
            text=${source.text}
            line=${source.line}
            ruleLine=${source.rule_line}
            reason=${rule.last_error}
          />
        <//>
      </div>
      <div class="side-column">
        <${Section} title="Inputs" count=${data.inputs.length}>
          ${data.inputs.map((use) => html`<${Input} key=${use.path} use=${use} rule=${rule.rule} />`)}
          ${data.inputs.length === 0 && html`<p class="empty">It reads no path.</p>`}
        <//>
        <${Section} title="Outputs" count=${data.outputs.length}>
          ${data.outputs.map(
            (output) => html`<${Output} key=${`${output.path} ${output.place}`} output=${output} />`,
          )}
          ${data.outputs.length === 0 && html`<p class="empty">It has no outputs.</p>`}
        <//>
        <${Section} title="Timers" count=${data.timers.length}>
          <${Table}
            caption="Timers"
            columns=${TIMERS}
            rows=${data.timers}
            rowKey=${(timer) => `${timer.name} ${timer.at}`}
            empty="No timer is running."
          />
        <//>
      </div>
    </div>
    ${paths.length > 0 && html`<${Section} title="Why"><${WhyPanel} paths=${paths} /><//>`}
    <${GraphSection}
      address=${`rules/${part(rule.rule)}/graph`}
      centre=${rule.rule}
      hasInside
      version=${source.version}
    />
    <${Section}
      title="Last runs"
      count=${data.runs.length}
      side=${html`<a href=${`#/trail?rule=${part(rule.rule)}`}>All in the trail</a>`}
    >
      <${Records}
        records=${data.runs}
        caption="Last inputs and outputs"
        withRule=${false}
        most=${15}
        empty="No records yet."
      />
    <//>
  </div>`;
}

const PATHS = [
  {
    key: "path",
    title: "Path",
    class: "grow",
    isHeader: true,
    cell: ({path}) => html`<${PathLink} path=${path} />`,
  },
];

function PathsOf({title, paths, empty}) {
  return html`<${Section} title=${title} count=${paths.length}>
    <${Table}
      caption=${title}
      columns=${PATHS}
      rows=${paths.map((path) => ({path}))}
      rowKey=${({path}) => path}
      empty=${empty}
    />
  <//>`;
}

// A rule that another runner of the cluster runs: what it publishes, and a link to its page.
function RemotePage({data, view}) {
  const {rule, runner} = data;
  const paths = pathsOf(data);
  useEffect(() => {
    const timer = setInterval(view.reloadSoon, PAUSE_OF_REMOTE); // it tells this page of no change
    return () => clearInterval(timer);
  }, [view.reloadSoon]);
  return html`<div>
    <div class="notice idle">
      <${Icon} name="running" />
      <div>
        The runner${" "}<${RunnerName} runner=${runner} rule=${rule.rule} />${" "}of the cluster runs
        it.${" "}
        ${runner.page ? "Its page has the source, and controls the rule." : "It has no page that other machines can open."}
      </div>
    </div>
    <${Trouble} rule=${rule} />
    <${Facts} data=${{rule}} />
    <div class="halves">
      <${PathsOf} title="Reads" paths=${rule.reads} empty="It reads no path." />
      <${PathsOf} title="Writes" paths=${rule.writes} empty="It writes no path." />
    </div>
    ${paths.length > 0 && html`<${Section} title="Why"><${WhyPanel} paths=${paths} /><//>`}
  </div>`;
}

// Returns all about a rule of this runner, or what another one publishes of it. Asks first where the
// rule was the last time: the browser reports each request for what is not there.
async function load(name, isRemote, signal) {
  const places = [`rules/${part(name)}`, `cluster/rules/${part(name)}`];
  if (isRemote) places.reverse();
  try {
    return await get(places[0], {}, signal);
  } catch (error) {
    if (error.status !== 404) throw error;
    try {
      return await get(places[1], {}, signal);
    } catch (otherError) {
      throw otherError.status === 404 ? error : otherError;
    }
  }
}

/** The view `#/rules/NAME`. */
export function Rule({segments}) {
  const name = segments[1];
  const view = useView((signal) => load(name, isRemote, signal), [name], PAUSE);
  const isRemote = Boolean(view.data?.runner);
  useLive("rules", (rules) => {
    if (rules.some((rule) => rule.rule === name)) view.reloadSoon();
  });
  useLive("gone", (names) => {
    if (names.includes(name)) view.reloadSoon();
  });
  useEffect(() => followTrail({rule: name}), [name]);
  useLive("records", (records) => {
    const own = records.filter((record) => record.rule === name);
    if (!own.length) return;
    view.setData((data) => ({
      ...data,
      runs: [...newestFirst(own), ...(data.runs ?? [])].slice(0, MOST_RUNS),
    }));
    view.reloadSoon(); // outputs and timers are other ones now
  });
  const rule = view.data?.rule;
  const above = html`<a href="#/rules">Rules</a
    >${rule && html` <span aria-hidden="true">/</span> <a href=${`#/rules?search=${part(rule.module)}`}>${visible(rule.module)}</a>`}`;
  return html`<div>
    <${ViewHead} title=${name} isMono above=${above} command=${["eshet-rules", "list", name]}>
      ${rule && html`<${Status} name=${rule.state} />`}
      ${
        rule &&
        !isRemote &&
        html`<div class="view-actions">
          <${IfMayAct} what="to control it"
            ><${RuleActions} rule=${rule} onDone=${view.reload}
          /><//>
        </div>`
      }
    <//>
    <${Content} view=${view}
      >${(data) => (data.runner ? html`<${RemotePage} data=${data} view=${view} />` : html`<${Page} data=${data} view=${view} />`)}<//
    >
  </div>`;
}

/**
 * Returns records with the newest first, in whatever order they have come.
 *
 * @param {object[]} records
 */
export function newestFirst(records) {
  return [...records].sort((one, other) =>
    one.time < other.time ? 1 : one.time > other.time ? -1 : 0,
  );
}
