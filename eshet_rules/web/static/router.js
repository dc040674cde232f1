/**
 * Addresses of views: the hash of the page's address.
 */

/**
 * Returns the present address.
 *
 * @returns {{path: string, segments: string[], query: object}}
 */
export function route() {
  const [path, query = ""] = location.hash.slice(1).split(/\?(.*)/s);
  const segments = (path || "/").split("/").filter(Boolean).map(decoded);
  return {path: path || "/", segments, query: Object.fromEntries(new URLSearchParams(query))};
}

function decoded(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // typed by hand, with a lone %
  }
}

/**
 * Goes to a view.
 *
 * @param {string} path Such as `/rules`.
 * @param {object} [query] Arguments; empty ones are left out.
 * @param {boolean} [isReplacing] Replace the present entry of the browser's history.
 */
export function go(path, query = {}, isReplacing = false) {
  const kept = Object.entries(query).filter(
    ([, value]) => value !== "" && value !== null && value !== undefined,
  );
  const text = new URLSearchParams(kept).toString();
  const hash = `#${path}${text ? `?${text}` : ""}`;
  if (!isReplacing) {
    location.hash = hash;
    return;
  }
  history.replaceState(null, "", hash);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
