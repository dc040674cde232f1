/**
 * The page: its layout, and the view that its address names.
 */

import {html, render, useEffect, useErrorBoundary, useRef, useState} from "./vendor/htm-preact.js";
import {access, refreshAccess} from "./api.js";
import {connect, connection, hasServer} from "./live.js";
import {go, route} from "./router.js";
import {useStore} from "./store.js";
import {lengthText} from "./times.js";
import {Icon} from "./components/icons.js";
import {SignInButton, SignInDialog} from "./components/signin.js";
import {ViewHead} from "./components/view.js";
import {Bridges} from "./views/bridges.js";
import {Overview} from "./views/overview.js";
import {Path} from "./views/path.js";
import {Paths} from "./views/paths.js";
import {Rule} from "./views/rule.js";
import {Rules} from "./views/rules.js";
import {Search} from "./views/search.js";
import {Trail} from "./views/trail.js";
import {Versions} from "./views/versions.js";

const PLACES = [
  ["overview", "Overview", "#/", "home"],
  ["rules", "Rules", "#/rules", "rules"],
  ["paths", "Paths", "#/paths", "paths"],
  ["trail", "Trail", "#/trail", "trail"],
  ["bridges", "Devices", "#/bridges", "bridges"],
  ["versions", "Versions", "#/versions", "versions"],
];
const SLOW = 1500; // milliseconds without a connection before the page says so

function Missing() {
  return html`<div>
    <${ViewHead} title="Not found" />
    <p>This page has no such view. <a href="#/">Go to the overview</a></p>
  </div>`;
}

// The view of an address, and the entry of the navigation to which it belongs.
function viewOf({segments}) {
  const [first = "overview", second] = segments;
  switch (first) {
    case "overview":
      return [Overview, "overview"];
    case "rules":
      return [second ? Rule : Rules, "rules"];
    case "paths":
      return [Paths, "paths"];
    case "path":
      return [second ? Path : Paths, "paths"];
    case "trail":
      return [Trail, "trail"];
    case "bridges":
      return [Bridges, "bridges"];
    case "versions":
      return [Versions, "versions"];
    case "search":
      return [Search, ""];
    default:
      return [Missing, ""];
  }
}

function Navigation({place}) {
  return html`<nav class="places" aria-label="Views">
    <ul>
      ${PLACES.map(
        ([name, title, href, icon]) =>
          html`<li key=${name}>
            <a href=${href} aria-current=${name === place ? "page" : undefined}
              ><${Icon} name=${icon} /><span>${title}</span></a
            >
          </li>`,
      )}
    </ul>
  </nav>`;
}

function Searching() {
  const field = useRef(null);
  useEffect(() => {
    const press = (event) => {
      const isTyping = event.target.closest?.("input, textarea, select, dialog");
      if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      field.current.focus();
      field.current.select();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
  const submit = (event) => {
    event.preventDefault();
    const text = field.current.value.trim();
    if (text) go("/search", {q: text});
  };
  return html`<form class="search" role="search" aria-label="Rules and paths" onSubmit=${submit}>
    <${Icon} name="search" />
    <input
      ref=${field}
      type="search"
      aria-label="Search rules and paths"
      aria-keyshortcuts="/"
      placeholder="Search rules and paths"
    />
    <kbd aria-hidden="true">/</kbd>
  </form>`;
}

function useSeconds(isOn) {
  const [, setTick] = useState(0);
  useEffect(() => {
    if (!isOn) return undefined;
    const timer = setInterval(() => setTick((tick) => tick + 1), 1000);
    return () => clearInterval(timer);
  }, [isOn]);
}

function Connection() {
  const {state} = useStore(connection);
  const words = {live: "Live", connecting: "Connecting", lost: "No connection"};
  const icon = {live: "running", connecting: "waiting", lost: "unplugged"}[state];
  return html`<span class=${`connection ${state}`} title=${words[state]}
    ><${Icon} name=${icon} /><span class="word">${words[state]}</span></span
  >`;
}

// Its text is read aloud when it appears; the countdown in it is not, or it would never end.
function Lost() {
  const {state, since, retry} = useStore(connection);
  const isLost = state === "lost";
  useSeconds(isLost);
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    if (!isLost) {
      setShown(false);
      return undefined;
    }
    const timer = setTimeout(() => setShown(true), SLOW);
    return () => clearTimeout(timer);
  }, [isLost]);
  const time = new Date(since).toTimeString().slice(0, 8);
  const isCutOff = !useStore(hasServer) && !isLost;
  const left = Math.max(0, (retry - Date.now()) / 1000);
  return html`<div class="banner-place" role="status">
    ${
      useStore(access)?.isRefused &&
      html`<div class="banner">
        <${Icon} name="key" /><span
          >Your token is not valid any more: the last request was refused. Sign in again.</span
        >
      </div>`
    }${
      isCutOff &&
      html`<div class="banner">
        <${Icon} name="unplugged" /><span
          >The runner has no connection to its server. What you see may be old.</span
        >
      </div>`
    }${
      isShown &&
      isLost &&
      html`<div class="banner">
        <${Icon} name="unplugged" />
        <span>Connection lost since ${time}. What you see may be old.</span>
        <span class="muted" aria-hidden="true"
          >${left > 0.5 ? `Next attempt in ${lengthText(left)}` : "Connecting…"}</span
        >
        <button type="button" onClick=${connect}>Try now</button>
      </div>`
    }
  </div>`;
}

function View({place, of, address}) {
  const [error, reset] = useErrorBoundary();
  const Shown = of;
  if (error) {
    return html`<div>
      <${ViewHead} title="This view has failed" />
      <div class="notice bad" role="alert">
        <${Icon} name="failed" />
        <div class="mono">${String(error)}</div>
        <button type="button" onClick=${reset}>Try again</button>
      </div>
    </div>`;
  }
  return html`<${Shown} ...${address} />`;
}

function App() {
  const [address, setAddress] = useState(route());
  const main = useRef(null);
  const isFirst = useRef(true);
  useEffect(() => {
    const changed = () => setAddress(route());
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  useEffect(() => {
    if (isFirst.current) {
      isFirst.current = false;
      return;
    }
    // A screen reader reads the heading of the new view, and Tab goes on from there.
    window.scrollTo(0, 0);
    main.current.querySelector("h1")?.focus({preventScroll: true});
  }, [address.path]);
  const [of, place] = viewOf(address);
  const skip = (event) => {
    event.preventDefault();
    main.current.focus();
  };
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="top">
      <a class="brand" href="#/" aria-label="eshet-rules, overview"
        ><span class="mark"></span><span class="word">eshet-rules</span></a
      >
      <${Searching} />
      <${Connection} />
      <${SignInButton} />
    </header>
    <${Navigation} place=${place} />
    <main id="main" ref=${main} tabindex="-1">
      <${Lost} />
      <${View} key=${address.path} ...${{of, place, address}} />
    </main>
    <${SignInDialog} />
  `;
}

const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);
access.listen(connect); // without access the runner has refused the WebSocket as well
refreshAccess();
connect();
