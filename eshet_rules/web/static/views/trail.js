/**
 * The audit trail, with the filters of `eshet-rules audit`.
 */

import {html, useEffect, useRef, useState} from "../vendor/htm-preact.js";
import {get} from "../api.js";
import {Records} from "../components/records.js";
import {MOST_ROWS} from "../components/table.js";
import {Content, ViewHead, useLive, useView} from "../components/view.js";
import {followTrail} from "../live.js";
import {go} from "../router.js";
import {typedTime} from "../times.js";
import {newestFirst} from "./rule.js";

const FIELDS = [
  ["rule", "Rule", "hall.*"],
  ["path", "Path", "/hall/*"],
  ["event", "Event", "output.set"],
  ["cause", "Cause", "9e5042d1-4"],
  ["from", "From", "2h, 18:00"],
  ["to", "To", "now"],
];
const PAGE = 100;

function Filter({filter, isFollowing}) {
  const [draft, setDraft] = useState(filter);
  const key = JSON.stringify(filter);
  useEffect(() => setDraft(filter), [key]);
  const submit = (event) => {
    event.preventDefault();
    go("/trail", {...draft, follow: isFollowing ? "1" : ""});
  };
  return html`<form class="filters" role="search" aria-label="Filter records" onSubmit=${submit}>
    ${FIELDS.map(
      ([name, title, example]) =>
        html`<label key=${name}
          >${title}
          <input
            value=${draft[name] ?? ""}
            placeholder=${example}
            onInput=${(event) => setDraft({...draft, [name]: event.target.value})}
          />
        </label>`,
    )}
    <div class="buttons">
      <button type="submit" class="primary">Filter</button>
      <button
        type="button"
        aria-pressed=${isFollowing ? "true" : "false"}
        onClick=${() => go("/trail", {...filter, follow: isFollowing ? "" : "1"}, true)}
      >
        Follow
      </button>
      ${Object.keys(filter).length > 0 && html`<a class="button" href="#/trail">Clear</a>`}
    </div>
  </form>`;
}

// The arguments of the API: its times are in ISO 8601.
function asked(filter) {
  return {
    ...filter,
    from: typedTime(filter.from ?? ""),
    to: typedTime(filter.to ?? ""),
    limit: PAGE,
  };
}

function commandWords(filter, isFollowing) {
  const options = Object.entries(filter).flatMap(([name, value]) => [`--${name}`, value]);
  return ["eshet-rules", "audit", ...options, ...(isFollowing ? ["--follow"] : [])];
}

// The filter of the live records is on the server; the times of the form are of the past. Records
// may arrive while the page of records is on its way: `arrived` keeps them until it is there.
function useFollowing(filter, isFollowing, view, arrived) {
  const [skipped, setSkipped] = useState(0);
  const key = JSON.stringify(filter);
  useEffect(() => {
    setSkipped(0);
    if (!isFollowing) return undefined;
    const {from, to, ...rest} = filter;
    const end = followTrail(rest);
    view.reloadSoon(); // for records between the first fetch and now
    return end;
  }, [key, isFollowing]);
  useLive("records", (records) => {
    if (!isFollowing) return;
    arrived.current = [...newestFirst(records), ...arrived.current].slice(0, MOST_ROWS);
    view.setData((data) => ({
      ...data,
      records: [...newestFirst(records), ...data.records].slice(0, MOST_ROWS),
    }));
  });
  useLive("skipped", (count) => setSkipped((before) => before + count));
  return skipped;
}

async function fetchRecords(filter, arrived, signal) {
  arrived.current = [];
  const page = await get("trail", asked(filter), signal);
  const newest = page.records[0]?.time ?? "";
  const later = arrived.current.filter((record) => record.time > newest);
  return {...page, records: [...later, ...page.records]};
}

/** The view `#/trail`. */
export function Trail({query}) {
  const filter = Object.fromEntries(
    FIELDS.map(([name]) => [name, query[name]]).filter(([, value]) => value),
  );
  const isFollowing = query.follow === "1";
  const arrived = useRef([]);
  const view = useView((signal) => fetchRecords(filter, arrived, signal), [filter]);
  const skipped = useFollowing(filter, isFollowing, view, arrived);
  const [error, setError] = useState("");
  const older = async () => {
    setError("");
    try {
      const page = await get("trail", {...asked(filter), before: view.data.next});
      view.setData((data) => ({
        ...data,
        next: page.next,
        records: [...data.records, ...page.records].slice(0, MOST_ROWS),
      }));
    } catch (failure) {
      setError(failure.message);
    }
  };
  return html`<div>
    <${ViewHead} title="Trail" command=${commandWords(filter, isFollowing)} />
    <${Filter} filter=${filter} isFollowing=${isFollowing} />
    <${Content} view=${view}
      >${(data) =>
        html`<div>
          ${data.damaged > 0 && html`<div class="notice warn"><div>${data.damaged} damaged lines of the trail are left out.</div></div>`}
          ${skipped > 0 && html`<p class="note">${skipped.toLocaleString("en")} records came too fast to be shown; they are in the trail.</p>`}
          <${Records}
            records=${data.records}
            caption="Records, the newest first"
            empty="No record matches."
          />
          ${data.next && data.records.length < MOST_ROWS && html`<button type="button" onClick=${older}>Older records</button>`}
          ${data.records.length >= MOST_ROWS && html`<p class="note">${MOST_ROWS} records are shown. For older ones, choose an earlier time in “To”.</p>`}
          <p class="failure" role="alert">${error}</p>
        </div>`}<//
    >
  </div>`;
}
