/**
 * Records of the audit trail as a table; each can be opened to see all of its fields.
 */

import {html, useState} from "../vendor/htm-preact.js";
import {part} from "../api.js";
import {visible, visibleLines} from "../values.js";
import {Icon} from "./icons.js";
import {Status} from "./status.js";
import {MOST_ROWS} from "./table.js";
import {PathLink, RuleLink, Text} from "./text.js";
import {Clock} from "./time.js";

// Keys by content: when the same records are fetched again, a row that is open stays open.
function keysOf(records) {
  const counts = new Map();
  return records.map((record) => {
    const {time, event, rule, module, path, cause, outcome} = record;
    const key = JSON.stringify([time, event, rule ?? module, path, cause, outcome]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return `${key} ${counts.get(key)}`;
  });
}

// The text of a record begins with its rule or module, which has a column of its own.
function textOf(record) {
  const text = String(record.text ?? record.event);
  const name = record.rule ?? record.module;
  return (name && text.startsWith(name) ? text.slice(name.length) : text).trim();
}

function Fields({record}) {
  const {text, ...fields} = record;
  const json = JSON.stringify(fields, null, 2);
  return html`<div class="fields">
    <div class="buttons">
      ${record.path && html`<span>Path <${PathLink} path=${record.path} /></span>`}
      ${record.cause && html`<a href=${`#/trail?cause=${part(record.cause)}`}>Everything with cause ${visible(record.cause)}</a>`}
      ${record.parent && html`<a href=${`#/trail?cause=${part(record.parent)}`}>Its parent ${visible(record.parent)}</a>`}
    </div>
    <pre
      class="code"
      tabindex="0"
      role="region"
      aria-label="Fields of the record"
    ><${Text} text=${visibleLines(json)} lines most=${3000} /></pre>
  </div>`;
}

function mark(record) {
  if (record.outcome) return html`<${Status} of="outcome" name=${record.outcome} plain />`;
  if (["critical", "error", "warning"].includes(record.level))
    return html`<${Status} of="level" name=${record.level} plain />`;
  return html`<span class="faint">${visible(record.kind ?? record.level)}</span>`;
}

// The rule of a record, or else its module.
function Source({record}) {
  if (record.rule) return html`<${RuleLink} rule=${record.rule} />`;
  return html`<span class="mono faint">${visible(record.module ?? "")}</span>`;
}

function Row({record, withRule}) {
  const [isOpen, setOpen] = useState(false);
  const press = () => setOpen(!isOpen);
  const columns = withRule ? 5 : 4;
  return html`<tbody role="rowgroup">
    <tr
      role="row"
      class=${`record ${record.level === "error" || record.outcome === "failed" ? "is-bad" : ""}`}
    >
      <td role="cell" class="tight">
        <button
          type="button"
          class="quiet open"
          aria-expanded=${isOpen ? "true" : "false"}
          aria-label="All fields"
          onClick=${press}
        >
          <${Icon} name="chevron" />
        </button>
      </td>
      <td role="cell" class="tight"><${Clock} time=${record.time} /></td>
      <td role="cell" class="tight">${mark(record)}</td>
      ${withRule && html`<td role="cell" class="medium"><${Source} record=${record} /></td>`}
      <td role="cell" class="grow mono"><${Text} text=${textOf(record)} most=${240} /></td>
    </tr>
    ${
      isOpen &&
      html`<tr role="row" class="opened">
        <td role="cell" colspan=${columns}><${Fields} record=${record} /></td>
      </tr>`
    }
  </tbody>`;
}

/**
 * A table of records.
 *
 * @param {{records: object[], caption: string, withRule?: boolean, most?: number, empty?: string}} properties
 *   `most`: how many are shown at first.
 */
export function Records({
  records,
  caption,
  withRule = true,
  most = MOST_ROWS,
  empty = "No records.",
}) {
  const [isWhole, setWhole] = useState(false);
  if (!records.length) return html`<p class="empty">${empty}</p>`;
  const shown = records.slice(0, isWhole ? MOST_ROWS : most);
  const keys = keysOf(shown);
  return html`<div class="table records">
    <table role="table" class="stacked">
      <caption class="hidden">
        ${caption}
      </caption>
      <thead role="rowgroup">
        <tr role="row">
          <th scope="col" role="columnheader" class="tight"><span class="hidden">Open</span></th>
          <th scope="col" role="columnheader" class="tight">Time</th>
          <th scope="col" role="columnheader" class="tight">Outcome</th>
          ${withRule && html`<th scope="col" role="columnheader" class="medium">Rule</th>`}
          <th scope="col" role="columnheader">Record</th>
        </tr>
      </thead>
      ${shown.map((record, index) => html`<${Row} key=${keys[index]} ...${{record, withRule}} />`)}
    </table>
    ${
      records.length > most &&
      !isWhole &&
      html`<button type="button" class="link more" onClick=${() => setWhole(true)}>
        Show all ${records.length}
      </button>`
    }
  </div>`;
}
