/**
 * Requests to the runner, and their errors.
 */

import {Store} from "./store.js";
import {compareClocks} from "./times.js";

/**
 * What this browser may do: `{read, act, isRefused}`. Null until the runner has said it. `isRefused`:
 * it could act until its token was refused.
 */
export const access = new Store(null);

/** An answer that is an error, or no answer: `message` is a text for a person. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status The HTTP status; 0 if there was no answer.
   */
  constructor(message, status) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

/**
 * Returns an address of the runner.
 *
 * @param {string} path Such as `api/1/rules`, relative to the page.
 * @param {object} [query] Its arguments; those that are null, undefined or empty are left out.
 * @returns {URL}
 */
export function address(path, query = {}) {
  const url = new URL(path, new URL(".", location.href.split("#")[0]));
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

async function answer(url, options) {
  let response;
  try {
    response = await fetch(url, {credentials: "same-origin", cache: "no-store", ...options});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("the runner does not answer; is it running, and is the network up?", 0);
  }
  compareClocks(response.headers.get("Date"));
  const body = await response.json().catch(() => null);
  if (response.ok) return body;
  if (response.status === 401) refreshAccess(true);
  const message = body?.message ?? body?.error ?? `${response.status} ${response.statusText}`;
  const again = response.headers.get("Retry-After");
  throw new ApiError(
    again ? `${message} (try again in ${again} s)` : String(message),
    response.status,
  );
}

/**
 * Gets JSON.
 *
 * @param {string} path Below `api/1/`.
 * @param {object} [query] Arguments.
 * @param {AbortSignal} [signal] Aborts it.
 * @returns {Promise<any>}
 * @throws {ApiError} If the answer is an error, or there is none.
 */
export function get(path, query, signal) {
  return answer(address(`api/1/${path}`, query), {signal});
}

function send(path, body) {
  return answer(address(path), {
    method: "POST",
    headers: {"Content-Type": "application/json"},
    body: JSON.stringify(body),
  });
}

/**
 * Asks the runner to do something.
 *
 * @param {string} path Below `api/1/`.
 * @param {object} [body]
 * @returns {Promise<any>}
 * @throws {ApiError} If the answer is an error, or there is none.
 */
export function post(path, body = {}) {
  return send(`api/1/${path}`, body);
}

/**
 * Asks what this browser may do.
 *
 * @param {boolean} [wasRefused] Whether the runner has refused its token.
 */
export async function refreshAccess(wasRefused = false) {
  let allowed;
  try {
    const {read, act} = await answer(address("access"), {});
    const {value} = access;
    const isRefused = !act && Boolean(value?.isRefused || (wasRefused && value?.act));
    allowed = {read, act, isRefused};
  } catch {
    allowed = access.value ?? {read: true, act: false, isRefused: false}; // the views say what is wrong
  }
  // The same again is no change: views are fetched again at each change, which may end here again.
  const {value} = access;
  if (value?.read !== allowed.read || value?.act !== allowed.act) access.set(allowed);
}

/**
 * Signs in; the browser keeps a cookie that no script can read.
 *
 * @param {string} token
 * @throws {ApiError} If the runner does not know the token.
 */
export async function signIn(token) {
  await send("login", {token});
  await refreshAccess();
}

/** Signs out. */
export async function signOut() {
  await send("logout", {});
  await refreshAccess();
}

/**
 * Returns a path or a name as a part of an address.
 *
 * @param {string} name
 * @returns {string}
 */
export const part = encodeURIComponent;
