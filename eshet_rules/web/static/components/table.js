/**
 * Tables: real ones, with headers and a caption, at most 500 rows.
 */

import {html} from "../vendor/htm-preact.js";
import {Icon} from "./icons.js";

/** The most rows that a view draws. */
export const MOST_ROWS = 500;

function Header({column, sort, onSort}) {
  const name = `${column.class ?? ""}`;
  if (!column.order || !onSort) {
    return html`<th scope="col" role="columnheader" class=${name}>
      ${column.isHidden ? html`<span class="hidden">${column.title}</span>` : column.title}
    </th>`;
  }
  const isSorted = sort.by === column.key;
  const direction = sort.isDown ? "descending" : "ascending";
  const press = () => onSort({by: column.key, isDown: isSorted && !sort.isDown});
  return html`<th
    scope="col"
    role="columnheader"
    class=${name}
    aria-sort=${isSorted ? direction : "none"}
  >
    <button type="button" class=${`sort ${isSorted ? direction : ""}`} onClick=${press}>
      ${column.title}<span class="arrow"><${Icon} name="chevron" /></span>
    </button>
  </th>`;
}

function Row({row, columns, name}) {
  return html`<tr role="row" class=${name}>
    ${columns.map((column) =>
      column.isHeader
        ? html`<th scope="row" role="rowheader" class=${column.class ?? ""}>
            ${column.cell(row)}
          </th>`
        : html`<td role="cell" class=${column.class ?? ""}>${column.cell(row)}</td>`,
    )}
  </tr>`;
}

/**
 * Returns rows in the order of a column; rows that are equal keep their order.
 *
 * @param {object[]} rows
 * @param {object[]} columns
 * @param {{by: string, isDown: boolean}} sort
 */
export function sorted(rows, columns, sort) {
  const order = columns.find((column) => column.key === sort.by)?.order;
  if (!order) return rows;
  const keys = new Map(rows.map((row) => [row, order(row) ?? ""]));
  const sign = sort.isDown ? -1 : 1;
  const compare = (one, other) => {
    const [a, b] = [keys.get(one), keys.get(other)];
    return a < b ? -sign : a > b ? sign : 0;
  };
  return [...rows].sort(compare);
}

/**
 * A table.
 *
 * @param {{caption: string, columns: object[], rows: object[], rowKey: (row: object) => string,
 *   rowClass?: (row: object) => string, sort?: object, onSort?: Function, class?: string,
 *   empty?: any}} properties A column has `key`, `title`, `cell` (of a row), and may have `class`,
 *   `isHeader` (its cells head their rows), `isHidden` (its title is for screen readers only) and
 *   `order` (what rows are sorted by). With the class `stacked`, a phone shows the cells of a row
 *   one below the other; the roles keep it a table for screen readers.
 */
export function Table({
  caption,
  columns,
  rows,
  rowKey,
  rowClass,
  sort,
  onSort,
  class: name = "",
  empty = "Nothing here.",
}) {
  if (!rows.length) return html`<p class="empty">${empty}</p>`;
  const shown = rows.slice(0, MOST_ROWS);
  return html`<div class="table">
    <table role="table" class=${name}>
      <caption class="hidden">
        ${caption}
      </caption>
      <thead role="rowgroup">
        <tr role="row">
          ${columns.map((column) => html`<${Header} key=${column.key} ...${{column, sort, onSort}} />`)}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${shown.map((row) => html`<${Row} key=${rowKey(row)} ...${{row, columns}} name=${rowClass?.(row) ?? ""} />`)}
      </tbody>
    </table>
    ${rows.length > shown.length && html`<p class="note">${rows.length - shown.length} more are not shown.</p>`}
  </div>`;
}
