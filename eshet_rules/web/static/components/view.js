/**
 * What all views share: fetching, the head with its title and command, errors.
 */

import {html, useCallback, useEffect, useRef, useState} from "../vendor/htm-preact.js";
import {access} from "../api.js";
import {connection, listen} from "../live.js";
import {useStore} from "../store.js";
import {visible} from "../values.js";
import {CopyCommand} from "./command.js";
import {Icon} from "./icons.js";
import {isAsking} from "./signin.js";
import {Text} from "./text.js";

const SHORTEST_PAUSE = 1000; // milliseconds between two fetches of a view

/**
 * Fetches the content of a view, and again when the connection is back or access has changed.
 * What was fetched last stays until there is something newer.
 *
 * @param {(signal: AbortSignal) => Promise<any>} load
 * @param {any[]} inputs It is fetched again when one of them changes.
 * @param {number} [pause] The least time between two fetches of `reloadSoon`, in milliseconds.
 * @returns {{data: any, error: Error | null, isLoading: boolean, reload: () => void,
 *   reloadSoon: () => void, setData: Function}} `reloadSoon` fetches after a pause.
 */
export function useView(load, inputs, pause = SHORTEST_PAUSE) {
  const [state, setState] = useState({data: null, error: null, isLoading: true, of: null});
  const last = useRef({abort: null, at: 0, timer: null, load});
  last.current.load = load;
  const of = JSON.stringify(inputs);

  const reload = useCallback(async () => {
    const own = last.current;
    own.abort?.abort();
    clearTimeout(own.timer);
    own.timer = null;
    const abort = new AbortController();
    own.abort = abort;
    own.at = Date.now();
    try {
      const data = await own.load(abort.signal);
      if (!abort.signal.aborted) setState({data, error: null, isLoading: false, of});
    } catch (error) {
      if (abort.signal.aborted) return;
      setState((before) => ({
        data: before.of === of ? before.data : null,
        error,
        isLoading: false,
        of,
      }));
    }
  }, [of]);

  const reloadSoon = useCallback(() => {
    const own = last.current;
    if (own.timer !== null) return;
    own.timer = setTimeout(reload, Math.max(100, own.at + pause - Date.now()));
  }, [reload, pause]);

  useEffect(() => {
    setState((before) => ({...before, isLoading: true}));
    reload();
    let wasAsked = access.value !== null;
    const allowed = () => {
      if (wasAsked) reload();
      wasAsked = true; // the first answer comes while the view is being fetched
    };
    const ends = [listen("again", reload), access.listen(allowed)];
    return () => {
      ends.forEach((end) => end());
      clearTimeout(last.current.timer);
      last.current.timer = null;
      last.current.abort?.abort();
    };
  }, [reload]);

  const setData = useCallback(
    (change) =>
      setState((before) => (before.data ? {...before, data: change(before.data)} : before)),
    [],
  );
  return {...state, reload, reloadSoon, setData};
}

/**
 * Calls a function with each part of a live message, as long as the component is on the screen.
 *
 * @param {string} key As for `listen`.
 * @param {(content: any) => void} listener
 */
export function useLive(key, listener) {
  const last = useRef(listener);
  last.current = listener;
  useEffect(() => listen(key, (content) => last.current(content)), [key]);
}

/**
 * The head of a view: its title, where it belongs, and the command that shows the same.
 *
 * @param {{title: string, name?: string, above?: any, command?: string[], children?: any,
 *   isMono?: boolean}} properties `title` is that of the window, `name` the heading if it is another.
 */
export function ViewHead({title, name, above, command, children, isMono = false}) {
  const shown = visible(name ?? title);
  useEffect(() => {
    const whole = visible(title);
    document.title = `${whole.length > 80 ? `${whole.slice(0, 80)}…` : whole} – eshet-rules`;
  }, [title]);
  return html`<header class="view-head">
    ${above && html`<nav class="above" aria-label="Above this">${above}</nav>`}
    <div class="view-title">
      <h1 tabindex="-1" class=${isMono ? "mono" : ""}><${Text} text=${shown} most=${160} /></h1>
      ${children}
    </div>
    ${command && html`<${CopyCommand} words=${command} />`}
  </header>`;
}

/**
 * The content of a view: what `children` makes of its data, or an error, or that it is loading.
 *
 * @param {{view: object, children: (data: any) => any}} properties `view`: of `useView`.
 */
export function Content({view, children}) {
  const {data, error, isLoading, reload} = view;
  // The banner of the page says that the connection is lost; each part need not say it again.
  const isSaid = useStore(connection).state === "lost" && error?.status === 0;
  return html`<div class="content">
    ${
      error &&
      !isSaid &&
      html`<div class="notice bad" role="alert">
        <${Icon} name="failed" />
        <div><${Text} text=${error.message} lines most=${600} /></div>
        ${
          error.status === 401
            ? html`<button type="button" onClick=${() => isAsking.set(true)}>Sign in</button>`
            : html`<button type="button" onClick=${reload}>Try again</button>`
        }
      </div>`
    }
    ${data ? children(data) : ((isLoading && !error) || isSaid) && html`<p class="loading">Loading…</p>`}
  </div>`;
}

/**
 * A part of a view with a heading.
 *
 * @param {{title: string, count?: number | string, side?: any, class?: string, children: any}} properties
 */
export function Section({title, count, side, class: name = "", children}) {
  return html`<section class=${`section ${name}`} aria-label=${title}>
    <div class="section-head">
      <h2>${title}${count !== undefined && html` <span class="count">${count}</span>`}</h2>
      ${side}
    </div>
    ${children}
  </section>`;
}
