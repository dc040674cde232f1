/**
 * What the search of the header finds: rules and paths.
 */

import {html} from "../vendor/htm-preact.js";
import {get, part} from "../api.js";
import {OtherRules} from "../components/cluster.js";
import {Status} from "../components/status.js";
import {Table} from "../components/table.js";
import {LiveValue, PathLink, RuleLink} from "../components/text.js";
import {Content, Section, ViewHead, useView} from "../components/view.js";
import {visible} from "../values.js";

const MOST = 20;

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
];
const PATHS = [
  {
    key: "path",
    title: "Path",
    class: "grow",
    isHeader: true,
    cell: (entry) => html`<${PathLink} path=${entry.path} />`,
  },
  {
    key: "value",
    title: "Value",
    class: "grow",
    cell: (entry) =>
      entry.kind === "state" || entry.kind === "property"
        ? html`<${LiveValue} ...${entry} />`
        : html`<span class="faint">${visible(entry.kind)}</span>`,
  },
];

/** The view `#/search?q=…`. */
export function Search({query}) {
  const search = query.q ?? "";
  const view = useView(
    async (signal) => {
      const asked = {search, limit: MOST};
      const [rules, paths, cluster] = await Promise.all([
        get("rules", asked, signal),
        get("paths", asked, signal),
        get("cluster", {search}, signal),
      ]);
      return {rules, paths, cluster};
    },
    [search],
  );
  const all = (name) => html`<a href=${`#/${name}?search=${part(search)}`}>Show in ${name}</a>`;
  return html`<div>
    <${ViewHead} title=${`Search: ${search}`} />
    <${Content} view=${view}
      >${({rules, paths, cluster}) =>
        html`<div>
          <${Section} title="Rules" count=${rules.total} side=${all("rules")}>
            <${Table}
              caption="Rules"
              columns=${RULES}
              rows=${rules.rules}
              rowKey=${(rule) => rule.rule}
              empty="No rule matches."
            />
          <//>
          <${OtherRules} cluster=${cluster} />
          <${Section} title="Paths" count=${paths.total} side=${all("paths")}>
            <${Table}
              caption="Paths"
              columns=${PATHS}
              rows=${paths.entries}
              rowKey=${(entry) => entry.path}
              empty="No path matches."
            />
          <//>
        </div>`}<//
    >
  </div>`;
}
