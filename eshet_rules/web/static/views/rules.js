/**
 * All rules, the worst first.
 */

import {html, useMemo, useState} from "../vendor/htm-preact.js";
import {get, part} from "../api.js";
import {RuleActions} from "../components/action.js";
import {OtherRules} from "../components/cluster.js";
import {Dialog} from "../components/dialog.js";
import {Icon} from "../components/icons.js";
import {IfMayAct} from "../components/signin.js";
import {RULE_STATES, Status, severity} from "../components/status.js";
import {Table, sorted} from "../components/table.js";
import {RuleLink, Text} from "../components/text.js";
import {Ago} from "../components/time.js";
import {Content, ViewHead, useLive, useView} from "../components/view.js";
import {go} from "../router.js";
import {visible} from "../values.js";

function Why({rule}) {
  const text = rule.last_error || rule.why;
  if (!text || rule.state === "running") return null;
  return html`<div class="muted what"><${Text} text=${text} most=${140} /></div>`;
}

function columns(onMore) {
  return [
    {
      key: "state",
      title: "State",
      class: "tight",
      order: (rule) => `${severity(rule.state)} ${rule.rule}`,
      cell: (rule) => html`<${Status} name=${rule.state} />`,
    },
    {
      key: "rule",
      title: "Rule",
      class: "grow",
      isHeader: true,
      order: (rule) => rule.rule,
      cell: (rule) =>
        html`<${RuleLink} rule=${rule.rule} />${
          rule.errors > 0 &&
          html`<span class="narrow bad-text"
            >${" "}${rule.errors} ${rule.errors === 1 ? "error" : "errors"}</span
          >`
        }<${Why} rule=${rule} />`,
    },
    {
      key: "last_run",
      title: "Last run",
      class: "tight",
      order: (rule) => rule.last_run ?? "",
      cell: (rule) => html`<${Ago} time=${rule.last_run} />`,
    },
    {
      key: "errors",
      title: "Errors",
      class: "tight number medium",
      order: (rule) => rule.errors ?? 0,
      cell: (rule) =>
        rule.errors
          ? html`<span class="bad-text">${rule.errors}</span>`
          : html`<span class="faint">0</span>`,
    },
    {
      key: "restarts",
      title: "Restarts",
      class: "tight number wide",
      order: (rule) => rule.restarts ?? 0,
      cell: (rule) => (rule.restarts ? rule.restarts : html`<span class="faint">0</span>`),
    },
    {
      key: "since",
      title: "In this state",
      class: "tight wide",
      order: (rule) => rule.since ?? "",
      cell: (rule) => html`<${Ago} time=${rule.since} />`,
    },
    {
      key: "version",
      title: "Version",
      class: "tight wide",
      cell: (rule) =>
        html`<span class="mono muted">${visible(rule.version ?? "").slice(0, 8)}</span>`,
    },
    {
      key: "strategy",
      title: "Strategy",
      class: "wide",
      cell: (rule) =>
        html`<span class="mono muted"><${Text} text=${rule.strategy ?? ""} most=${60} /></span>`,
    },
    {
      key: "more",
      title: "Actions",
      class: "tight",
      isHidden: true,
      cell: (rule) =>
        html`<button
          type="button"
          class="quiet"
          aria-label=${`Actions of ${visible(rule.rule).slice(0, 100)}`}
          title="Actions"
          onClick=${() => onMore(rule.rule)}
        >
          <${Icon} name="more" />
        </button>`,
    },
  ];
}

function Filter({search, state}) {
  const set = (change) => go("/rules", {search, state, ...change}, true);
  return html`<form
    class="filters"
    role="search"
    aria-label="Filter rules"
    onSubmit=${(event) => event.preventDefault()}
  >
    <label class="grow"
      >Name or path
      <input
        type="search"
        value=${search}
        placeholder="hall"
        onInput=${(event) => set({search: event.target.value})}
      />
    </label>
    <label
      >State
      <select value=${state} onChange=${(event) => set({state: event.target.value})}>
        <option value="">all</option>
        ${RULE_STATES.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}
      </select>
    </label>
  </form>`;
}

// Puts changed rules in the places of the old ones; others are not of this page.
function replaced(data, rules) {
  const byName = new Map(rules.map((rule) => [rule.rule, rule]));
  if (!data.rules.some((rule) => byName.has(rule.rule))) return data;
  return {...data, rules: data.rules.map((rule) => byName.get(rule.rule) ?? rule)};
}

function More({rule, onClose, onDone}) {
  return html`<${Dialog} title=${visible(rule.rule).slice(0, 120)} onClose=${onClose}>
    <p><${Status} name=${rule.state} /> <${Ago} time=${rule.since} /></p>
    ${(rule.why || rule.last_error) && html`<p><${Text} text=${rule.why || rule.last_error} lines most=${400} /></p>`}
    <${IfMayAct} what="to control this rule"><${RuleActions} rule=${rule} onDone=${onDone} /><//>
    <p><a href=${`#/rules/${part(rule.rule)}`} onClick=${onClose}>Open the rule</a></p>
  <//>`;
}

function List({data, search, state, onDone}) {
  const [sort, setSort] = useState({by: "state", isDown: false});
  const [open, setOpen] = useState(null);
  const all = useMemo(() => columns(setOpen), []);
  const rows = sorted(data.rules, all, sort);
  const opened = data.rules.find((rule) => rule.rule === open);
  const isCut = data.next !== null;
  const next = new URLSearchParams({search, state, after: data.next ?? ""});
  return html`<div>
    <p class="note" role="status">
      ${data.total.toLocaleString("en")}${" "}
      ${data.total === 1 ? "rule" : "rules"}${isCut && `, of which ${data.rules.length} are shown`}
    </p>
    <${Table}
      caption="Rules"
      class="stacked"
      columns=${all}
      rows=${rows}
      rowKey=${(rule) => rule.rule}
      sort=${sort}
      onSort=${setSort}
      empty="No rule matches."
    />
    ${isCut && html`<a class="button" href=${`#/rules?${next}`}>Next page</a>`}
    ${opened && html`<${More} rule=${opened} onClose=${() => setOpen(null)} onDone=${onDone} />`}
  </div>`;
}

/** The view `#/rules`. */
export function Rules({query}) {
  const {search = "", state = "", after = ""} = query;
  const view = useView(
    (signal) => get("rules", {search, state, after, limit: 500}, signal),
    [search, state, after],
  );
  const cluster = useView(
    (signal) => get("cluster", {search, state}, signal),
    [search, state],
    5000,
  );
  useLive("rules", (rules) => {
    cluster.reloadSoon();
    view.setData((data) => replaced(data, rules));
    view.reloadSoon(); // a rule may match the filter now, or not any more
  });
  useLive("gone", view.reloadSoon);
  return html`<div>
    <${ViewHead}
      title="Rules"
      command=${["eshet-rules", "list", ...(search ? [`*${search}*`] : [])]}
    />
    <${Filter} search=${search} state=${state} />
    <${Content} view=${view}
      >${(data) => html`<${List} ...${{data, search, state}} onDone=${view.reload} />`}<//
    >
    <${OtherRules} cluster=${cluster.data} />
  </div>`;
}
