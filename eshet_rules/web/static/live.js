/**
 * The one WebSocket to the runner: values that are on the screen, changed rules, new records.
 *
 * The server sends at most one message in 100 ms, with the last value of each path. A message is
 * drawn in the next frame, and values are written into their text nodes, so that a list with a
 * thousand changes a second is never rendered again.
 */

import {address} from "./api.js";
import {Store} from "./store.js";
import {valueText} from "./values.js";

const FIRST_DELAY = 500; // milliseconds
const LONGEST_DELAY = 15_000;
const MOST_PATHS = 500;
const MOST_FLASHES = 24; // cells in one frame; more of them would only flicker
const LONGEST_CELL = 200; // characters

/** The state of the connection: `{state: "connecting" | "live" | "lost", since, retry}`, times in ms. */
export const connection = new Store({state: "connecting", since: Date.now(), retry: null});

/** Whether the runner is connected to its server; without that, values are old. */
export const hasServer = new Store(true);

const cells = new Map(); // path -> set of the cells that show it
const latest = new Map(); // path -> [value, known, since] as the server has sent it
const listeners = new Map(); // key of a message -> set of functions
const trails = new Set(); // filters of the views that follow the trail; the last one counts
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let socket = null;
let delay = FIRST_DELAY;
let timer = null;
let waiting = []; // messages that the next frame draws
let watched = ""; // the paths that the server knows, as text
let isWatchDue = false;

function send(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function sendWatch() {
  isWatchDue = false;
  const paths = [...cells.keys()].slice(0, MOST_PATHS);
  const text = JSON.stringify(paths);
  if (text === watched || socket?.readyState !== WebSocket.OPEN) return;
  watched = text;
  send({watch: paths});
}

function watchSoon() {
  if (isWatchDue) return;
  isWatchDue = true;
  queueMicrotask(sendWatch);
}

function sendTrail() {
  send({trail: [...trails].at(-1) ?? null});
}

/**
 * Shows the value of a path in an element, now and at each change, until the result is called.
 *
 * @param {string} path
 * @param {{node: Text, element: HTMLElement, changed?: Function}} cell `node` gets the text,
 *   `changed` is called with the value, whether it is known, and since when, or null.
 * @returns {() => void} Ends it.
 */
export function watch(path, cell) {
  if (!cells.has(path)) {
    cells.set(path, new Set());
    watchSoon();
  }
  cells.get(path).add(cell);
  return () => {
    const others = cells.get(path);
    others?.delete(cell);
    if (others?.size) return;
    cells.delete(path);
    latest.delete(path);
    watchSoon();
  };
}

/**
 * Returns the value that the server has sent last for a path that is watched.
 *
 * @param {string} path
 * @returns {[any, boolean, string | null] | undefined} Value, whether it is known, since when.
 */
export function latestValue(path) {
  return latest.get(path);
}

/**
 * Calls a function with each part of a message that has this key.
 *
 * @param {"rules" | "gone" | "records" | "skipped" | "changed" | "hello" | "again"} key `again`: the
 *   connection is back, so that what is on the screen may be old.
 * @param {(content: any) => void} listener
 * @returns {() => void} Ends it.
 */
export function listen(key, listener) {
  if (!listeners.has(key)) listeners.set(key, new Set());
  listeners.get(key).add(listener);
  return () => listeners.get(key).delete(listener);
}

/**
 * Asks for new records of the trail, which come to `listen("records", …)`.
 *
 * @param {object} filter As the arguments of `api/1/trail`.
 * @returns {() => void} Ends it.
 */
export function followTrail(filter) {
  const own = {...filter};
  trails.add(own);
  sendTrail();
  return () => {
    trails.delete(own);
    sendTrail();
  };
}

/**
 * Writes a value into the text node of a cell.
 *
 * @param {{node: Text, element: HTMLElement, changed?: Function}} cell
 * @param {any} value
 * @param {boolean} known
 */
export function writeCell(cell, value, known) {
  let text = valueText(value, known);
  if (text.length > LONGEST_CELL) text = `${text.slice(0, LONGEST_CELL)}…`;
  if (cell.node.data !== text) cell.node.data = text;
  cell.element.classList.toggle("unknown", !known);
}

function flash(element) {
  element.animate?.([{backgroundColor: "var(--flash)"}, {backgroundColor: "transparent"}], 900);
}

function drawValues(values) {
  const changed = [];
  for (const [path, [value, known, time]] of Object.entries(values)) {
    latest.set(path, [value, known, time]);
    for (const cell of cells.get(path) ?? []) {
      const before = cell.node.data;
      writeCell(cell, value, known);
      cell.changed?.(value, known, time);
      if (before !== cell.node.data) changed.push(cell.element);
    }
  }
  if (!calm.matches && changed.length <= MOST_FLASHES) changed.forEach(flash);
}

function tell(key, content) {
  for (const listener of [...(listeners.get(key) ?? [])]) listener(content);
}

function draw() {
  const messages = waiting;
  waiting = [];
  for (const message of messages) {
    for (const [key, content] of Object.entries(message)) {
      if (key === "values") drawValues(content);
      else if (key === "connected") hasServer.set(content);
      else tell(key, content);
    }
  }
}

function received(event) {
  waiting.push(JSON.parse(event.data));
  if (waiting.length > 1) return;
  // A hidden tab has no frames; its messages would only queue.
  if (document.hidden) setTimeout(draw, 0);
  else requestAnimationFrame(draw);
}

function opened() {
  const wasLost = connection.value.state === "lost";
  delay = FIRST_DELAY;
  watched = "";
  latest.clear(); // paths may have gone meanwhile
  connection.set({state: "live", since: Date.now(), retry: null});
  if (document.hidden) send({hidden: true});
  sendWatch();
  if (trails.size) sendTrail();
  if (wasLost) tell("again", null);
}

function closed() {
  socket = null;
  const {state, since} = connection.value;
  connection.set({
    state: "lost",
    since: state === "lost" ? since : Date.now(),
    retry: Date.now() + delay,
  });
  timer = setTimeout(connect, delay);
  delay = Math.min(delay * 2, LONGEST_DELAY) * (0.8 + 0.4 * Math.random());
}

/** Connects now; also if the next attempt would be later. */
export function connect() {
  clearTimeout(timer);
  if (socket) return;
  const url = address("api/1/live");
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url);
  socket.onopen = opened;
  socket.onmessage = received;
  socket.onclose = closed;
}

document.addEventListener("visibilitychange", () => {
  send({hidden: document.hidden});
  if (document.hidden) draw(); // the next frame may be hours away
  if (!document.hidden && !socket) connect();
});
window.addEventListener("online", connect);
