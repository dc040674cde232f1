/**
 * The tree of paths as a table, whose directories open in place.
 */

import {html, useEffect, useRef, useState} from "../vendor/htm-preact.js";
import {get} from "../api.js";
import {visible} from "../values.js";
import {Icon} from "./icons.js";
import {MOST_ROWS} from "./table.js";
import {LiveValue, PathLink, useSince} from "./text.js";
import {Ago} from "./time.js";

const PAGE = 100;
function NodeRow({entry, level, isFlat}) {
  const [since, onChange] = useSince(entry.path, entry.since);
  const hasValue = entry.kind === "state" || entry.kind === "property";
  return html`<tr>
    <th scope="row" class="name">
      <span class="indent" style=${{"--level": level}}
        ><${Icon} name=${entry.kind} /><${PathLink}
          path=${entry.path}
          name=${isFlat ? entry.path : entry.name}
      /></span>
    </th>
    <td class="grow">
      ${
        hasValue
          ? html`<${LiveValue} ...${entry} onChange=${onChange} />`
          : html`<span class="faint">${visible(entry.kind)}</span>`
      }
    </td>
    <td class="tight medium"><${Ago} time=${since} /></td>
    <td class="tight medium">
      <div class="owner muted" title=${visible(entry.owner ?? "")}>
        ${visible(entry.owner ?? "").slice(0, 200)}
      </div>
    </td>
  </tr>`;
}

function DirectoryRow({entry, level, isOpen, onToggle, error}) {
  return html`<tr class="dir">
    <th scope="row" class="name">
      <span class="indent" style=${{"--level": level}}>
        <button
          type="button"
          class="quiet open"
          aria-expanded=${isOpen ? "true" : "false"}
          aria-label=${`Entries of ${visible(entry.name).slice(0, 100)}`}
          onClick=${onToggle}
        >
          <${Icon} name="chevron" />
        </button>
        <a class="mono" href=${`#/paths${entry.path.split("/").map(encodeURIComponent).join("/")}`}
          >${visible(entry.name).slice(0, 120)}/</a
        >
      </span>
    </th>
    <td class="grow">
      <span class="faint"
        >${error || `${entry.children} ${entry.children === 1 ? "entry" : "entries"}`}</span
      >
    </td>
    <td class="tight medium"></td>
    <td class="tight medium"></td>
  </tr>`;
}

// The rows of a directory and of those below that are open, in order, as plain data.
function* rowsOf(listing, level, open) {
  for (const entry of listing.entries) {
    const below = open.get(entry.path);
    yield {key: entry.path, entry, level, isOpen: below !== undefined, error: below?.error};
    if (below?.entries) yield* rowsOf(below, level + 1, open);
  }
  if (listing.next) yield {key: `more ${listing.under}`, listing, level};
}

function MoreRow({row, onMore}) {
  const {listing, level} = row;
  const rest = listing.total ? listing.total - listing.entries.length : null;
  return html`<tr>
    <th scope="row" colspan="4" class="name">
      <span class="indent" style=${{"--level": level}}
        ><button type="button" class="link" onClick=${onMore}>
          Show ${rest ? `more of the other ${rest.toLocaleString("en")}` : "more"}
        </button></span
      >
    </th>
  </tr>`;
}

/**
 * A directory as a table.
 *
 * @param {{listing: object, isFlat?: boolean}} properties `listing`: an answer of `api/1/paths`;
 *   `isFlat`: of a search, with whole paths.
 */
export function Tree({listing, isFlat = false}) {
  const [top, setTop] = useState(listing);
  const [open, setOpen] = useState(new Map());
  const abort = useRef(null);
  useEffect(() => setTop(listing), [listing]);
  useEffect(() => {
    abort.current = new AbortController();
    return () => abort.current.abort();
  }, []);

  const put = (path, content) => setOpen((before) => new Map(before).set(path, content));
  const load = (query) => get("paths", {limit: PAGE, ...query}, abort.current.signal);
  const toggle = async (path) => {
    if (open.has(path)) {
      setOpen((before) => {
        const after = new Map(before);
        after.delete(path);
        return after;
      });
      return;
    }
    try {
      put(path, await load({under: path}));
    } catch (error) {
      if (error.name !== "AbortError") put(path, {entries: null, error: error.message});
    }
  };
  const more = async (old) => {
    const next = await load({under: old.under, search: listing.search, after: old.next}).catch(
      () => null,
    );
    if (!next) return;
    const joined = {...next, entries: [...old.entries, ...next.entries]};
    if (old === top) setTop(joined);
    else put(old.under, joined);
  };

  const rows = [];
  let isCut = false;
  for (const row of rowsOf(top, 1, open)) {
    if (rows.length === MOST_ROWS) {
      isCut = true;
      break;
    }
    rows.push(row);
  }
  if (!rows.length)
    return html`<p class="empty">
      ${isFlat ? "No path matches." : "There is nothing below this path."}
    </p>`;
  return html`<div class="table tree">
    <table>
      <caption class="hidden">
        Paths, their values and owners
      </caption>
      <thead>
        <tr>
          <th scope="col">${isFlat ? "Path" : "Name"}</th>
          <th scope="col">Value</th>
          <th scope="col" class="tight medium">Since</th>
          <th scope="col" class="tight medium">Owner</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map((row) => {
          if (row.listing)
            return html`<${MoreRow} key=${row.key} row=${row} onMore=${() => more(row.listing)} />`;
          if (row.entry.kind === "dir")
            return html`<${DirectoryRow}
              key=${row.key}
              ...${row}
              level=${Math.min(row.level, 8)}
              onToggle=${() => toggle(row.entry.path)}
            />`;
          return html`<${NodeRow}
            key=${row.key}
            ...${{...row, isFlat}}
            level=${Math.min(row.level, 8)}
          />`;
        })}
      </tbody>
    </table>
    ${isCut && html`<p class="note">Only ${MOST_ROWS} rows are shown. Open a directory by its name, or search.</p>`}
  </div>`;
}
