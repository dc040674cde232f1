/**
 * Why a path has its value, and what would have to change for another one.
 */

import {html, useState} from "../vendor/htm-preact.js";
import {get} from "../api.js";
import {typedTime} from "../times.js";
import {visible} from "../values.js";
import {Gaps} from "./cluster.js";
import {CopyCommand} from "./command.js";
import {PathLink, RuleLink, Text} from "./text.js";
import {Content, useLive, useView} from "./view.js";

const MOST_LINES = 500;

// Milliseconds between two questions: the runner reads its trail for each.
const PAUSE = 5000;

// Asks again when the path has a new record, so that the answer is that of the value on the screen.
function useAnswer(load, path, inputs, isOfNow) {
  const view = useView(load, [path, ...inputs], PAUSE);
  useLive("records", (records) => {
    if (isOfNow && records.some((record) => record.path === path)) view.reloadSoon();
  });
  return view;
}

// A line with the first mention of its path, and its rules, as links.
function Linked({line}) {
  const text = String(line.text);
  const ends = [];
  const at = line.path ? text.indexOf(line.path) : -1;
  if (at >= 0) {
    ends.push({at, end: at + line.path.length, part: html`<${PathLink} path=${line.path} />`});
  }
  let from = 0;
  for (const rule of line.rules ?? []) {
    const found = text.indexOf(rule, from);
    if (found < 0) continue;
    from = found + rule.length;
    ends.push({at: found, end: from, part: html`<${RuleLink} rule=${rule} />`});
  }
  ends.sort((one, other) => one.at - other.at);
  const parts = [];
  let last = 0;
  for (const {at, end, part} of ends) {
    if (at < last) continue;
    parts.push(visible(text.slice(last, at)), part);
    last = end;
  }
  parts.push(html`<${Text} text=${text.slice(last)} most=${300} />`);
  return html`<span>${parts}</span>`;
}

function Answer({data}) {
  const shown = data.lines.slice(0, MOST_LINES);
  return html`<${Gaps} gaps=${data.gaps} />
    <ol class="why">
    ${shown.map((line, index) => {
      const isChanged = String(line.text).includes("<- changed");
      const level = Math.min(line.level, 12);
      return html`<li key=${index} class=${isChanged ? "changed" : ""} style=${{"--level": level}}>
        <${Linked} line=${line} />
      </li>`;
    })}
  </ol>`;
}

function Why({path}) {
  const [at, setAt] = useState("");
  const [asked, setAsked] = useState("");
  const view = useAnswer(
    async (signal) => get("why", {path, at: typedTime(asked)}, signal),
    path,
    [asked],
    !asked || asked === "now",
  );
  const submit = (event) => {
    event.preventDefault();
    setAsked(at.trim());
  };
  const words = ["eshet-rules", "why", path, ...(asked ? ["--at", asked] : [])];
  return html`<div>
    <form class="inline" onSubmit=${submit}>
      <label for="why-at">At</label>
      <input
        id="why-at"
        value=${at}
        placeholder="now, 21:30, 2h"
        onInput=${(event) => setAt(event.target.value)}
      />
      <button type="submit">Ask</button>
    </form>
    <${Content} view=${view}>${(data) => html`<${Answer} data=${data} />`}<//>
    <${CopyCommand} words=${words} />
  </div>`;
}

const WORDS_OF_PYTHON = {True: "true", False: "false", None: "null"}; // as in the answers

function wantedJson(text) {
  if (!text) return "";
  if (Object.hasOwn(WORDS_OF_PYTHON, text)) return WORDS_OF_PYTHON[text];
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}

function WhyNot({path}) {
  const [wanted, setWanted] = useState("");
  const [asked, setAsked] = useState("");
  const view = useAnswer(
    (signal) => get("why-not", {path, is: wantedJson(asked)}, signal),
    path,
    [asked],
    true,
  );
  const submit = (event) => {
    event.preventDefault();
    setAsked(wanted.trim());
  };
  const words = ["eshet-rules", "why-not", path, ...(asked ? ["--is", asked] : [])];
  return html`<div>
    <form class="inline" onSubmit=${submit}>
      <label for="why-not-is">Wanted value</label>
      <input
        id="why-not-is"
        value=${wanted}
        placeholder="another one"
        onInput=${(event) => setWanted(event.target.value)}
      />
      <button type="submit">Ask</button>
    </form>
    <${Content} view=${view}>${(data) => html`<${Answer} data=${data} />`}<//>
    <${CopyCommand} words=${words} />
  </div>`;
}

/**
 * Both questions about a path, or about one of several.
 *
 * @param {{paths: string[]}} properties
 */
export function WhyPanel({paths}) {
  const [chosen, setChosen] = useState(paths[0]);
  const [question, setQuestion] = useState("why");
  const path = paths.includes(chosen) ? chosen : paths[0];
  const button = (name, text) =>
    html`<button
      type="button"
      aria-pressed=${question === name ? "true" : "false"}
      onClick=${() => setQuestion(name)}
    >
      ${text}
    </button>`;
  return html`<div class="why-panel">
    <div class="bar">
      <div class="segments" role="group" aria-label="Question">
        ${button("why", "Why this value")}${button("why-not", "Why not another")}
      </div>
      ${
        paths.length > 1 &&
        html`<label
          >Path${" "}
          <select value=${path} onChange=${(event) => setChosen(event.target.value)}>
            ${paths.map((each) => html`<option key=${each} value=${each}>${visible(each)}</option>`)}
          </select></label
        >`
      }
    </div>
    ${question === "why" ? html`<${Why} key=${`why ${path}`} path=${path} />` : html`<${WhyNot} key=${`not ${path}`} path=${path} />`}
  </div>`;
}
