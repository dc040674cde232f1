/**
 * The tree of paths, or what a search finds in it.
 */

import {html} from "../vendor/htm-preact.js";
import {get} from "../api.js";
import {pathHref} from "../components/text.js";
import {Tree} from "../components/tree.js";
import {Content, ViewHead, useView} from "../components/view.js";
import {go} from "../router.js";
import {visible} from "../values.js";

/**
 * Links to the directories above a path, from the root.
 *
 * @param {{path: string, withLast?: boolean}} properties
 */
export function Above({path}) {
  const names = path.split("/").filter(Boolean).slice(0, -1);
  const links = names.map((name, index) => ({
    name,
    path: `/${names.slice(0, index + 1).join("/")}`,
  }));
  return html`<a href="#/paths">Paths</a>${links.map(
      (link) =>
        html` <span aria-hidden="true">/</span>${" "}
          <a class="mono" key=${link.path} href=${pathHref(link.path, "paths")}
            >${visible(link.name).slice(0, 80)}</a
          >`,
    )}`;
}

/** The views `#/paths` and `#/paths/house/hall`. */
export function Paths({segments, query}) {
  const under = `/${segments.slice(1).join("/")}`;
  const {search = "", after = ""} = query;
  const view = useView(
    async (signal) => ({
      ...(await get("paths", {under, search, after, limit: 100}, signal)),
      search,
    }),
    [under, search, after],
  );
  const hash = pathHref(under, "paths").slice(1);
  const command = search ? ["eshet", "ls", "-r", under] : ["eshet", "ls", under];
  return html`<div>
    <${ViewHead}
      title=${under === "/" ? "Paths" : under}
      isMono=${under !== "/"}
      above=${under === "/" ? null : html`<${Above} path=${under} />`}
      command=${command}
    />
    <form
      class="filters"
      role="search"
      aria-label="Search paths"
      onSubmit=${(event) => event.preventDefault()}
    >
      <label class="grow"
        >Part of a path
        <input
          type="search"
          value=${search}
          placeholder="hall/light"
          onInput=${(event) => go(hash, {search: event.target.value}, true)}
        />
      </label>
    </form>
    <${Content} view=${view}
      >${(data) =>
        html`<div>
          ${search && html`<p class="note" role="status">${(data.total ?? data.entries.length).toLocaleString("en")} found</p>`}
          <${Tree} key=${`${under} ${search} ${after}`} listing=${data} isFlat=${Boolean(search)} />
        </div>`}<//
    >
  </div>`;
}
