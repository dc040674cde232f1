/**
 * Texts and values of the house: as text nodes only, cut if long, with hidden characters escaped.
 */

import {html, useEffect, useLayoutEffect, useRef, useState} from "../vendor/htm-preact.js";
import {part} from "../api.js";
import {latestValue, watch, writeCell} from "../live.js";
import {valueText, visible, visibleLines} from "../values.js";

const LONGEST_NAME = 120;

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/**
 * A text of any length; a long one is cut, with a button that shows all of it.
 *
 * @param {{text: string, most?: number, lines?: boolean, class?: string}} properties `most`: the
 *   number of characters that are shown at first; `lines`: keep its lines.
 */
export function Text({text, most = 300, lines = false, class: name = ""}) {
  const [isWhole, setWhole] = useState(false);
  const whole = lines ? visibleLines(text) : visible(text);
  const isCut = whole.length > most + 40; // a button for a few characters is not worth it
  const shown = isCut && !isWhole ? `${whole.slice(0, most)}…` : whole;
  const label = isWhole ? "show less" : `show all ${whole.length.toLocaleString("en")} characters`;
  return html`<span class=${`text ${lines ? "lines" : ""} ${name}`}
    >${shown}${
      isCut &&
      html` <button type="button" class="link" onClick=${() => setWhole(!isWhole)}>
        ${label}
      </button>`
    }</span
  >`;
}

/**
 * A value that does not change while it is on the screen.
 *
 * @param {{value: any, known?: boolean, most?: number}} properties
 */
export function Value({value, known = true, most = 120}) {
  return html`<${Text}
    class=${known ? "value" : "value unknown"}
    text=${valueText(value, known)}
    most=${most}
  />`;
}

/**
 * The value of a path, which changes while it is on the screen.
 *
 * @param {{path: string, value: any, known: boolean, onChange?: Function}} properties `value`,
 *   `known`: of the moment in which the view was fetched.
 */
export function LiveValue({path, value, known, onChange}) {
  const element = useRef(null);
  const cell = useRef(null);
  useLayoutEffect(() => {
    const node = document.createTextNode("");
    element.current.replaceChildren(node);
    cell.current = {node, element: element.current};
    return watch(path, cell.current);
  }, [path]);
  useLayoutEffect(() => {
    cell.current.changed = onChange;
  });
  const seen = JSON.stringify([value ?? null, known]);
  useLayoutEffect(() => {
    const [last, isKnown] = latestValue(path) ?? [value, known];
    writeCell(cell.current, last, isKnown);
  }, [path, seen]);
  return html`<span class="value live" ref=${element}></span>`;
}

/**
 * The age of the value of a path, which begins again at each change.
 *
 * @param {string} path
 * @param {string | null} since Of the moment in which the view was fetched.
 * @returns {[string | null, (value: any, known: boolean, time: string | null) => void]} The time, and the
 *   `onChange` of its `LiveValue`.
 */
export function useSince(path, since) {
  const [time, setTime] = useState(since);
  const pending = useRef(null);
  useEffect(() => setTime(since), [path, since]);
  useEffect(() => () => clearTimeout(pending.current?.timer), []);
  const onChange = (value, known, changed) => {
    if (changed === null) return; // the value of now: since when is not known
    if (pending.current) {
      pending.current.time = changed;
      return;
    }
    // An age has whole seconds: once a second is enough, however often the value changes.
    const timer = setTimeout(() => {
      setTime(pending.current.time);
      pending.current = null;
    }, 1000);
    pending.current = {time: changed, timer};
  };
  return [time, onChange];
}

/**
 * Returns the address of the view of a path.
 *
 * @param {string} path
 * @param {string} [view] `path` for the node, `paths` for the directory.
 */
export function pathHref(path, view = "path") {
  return `#/${view}${path === "/" ? "" : path.split("/").map(part).join("/")}`;
}

/**
 * A link to a path.
 *
 * @param {{path: string, name?: string}} properties `name`: what is shown instead of the path.
 */
export function PathLink({path, name}) {
  return html`<a class="mono" href=${pathHref(path)}
    >${cut(visible(name ?? path), LONGEST_NAME)}</a
  >`;
}

/**
 * A link to a rule.
 *
 * @param {{rule: string}} properties
 */
export function RuleLink({rule}) {
  return html`<a class="mono" href=${`#/rules/${part(rule)}`}
    >${cut(visible(rule), LONGEST_NAME)}</a
  >`;
}
