/**
 * The command that shows the same as a view.
 */

import {html, useEffect, useRef, useState} from "../vendor/htm-preact.js";
import {commandLine, visible} from "../values.js";
import {Icon} from "./icons.js";

async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without TLS a browser offers no clipboard except on loopback: select the text instead.
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}

/**
 * A command, with a button that copies it.
 *
 * @param {{words: string[]}} properties
 */
export function CopyCommand({words}) {
  const [done, setDone] = useState("");
  const code = useRef(null);
  const timer = useRef(null);
  useEffect(() => () => clearTimeout(timer.current), []);
  const text = commandLine(...words);
  const press = async () => {
    setDone((await copy(text, code.current)) ? "Copied" : "Selected");
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setDone(""), 2000);
  };
  return html`<span class="command">
    <code ref=${code}>${visible(text)}</code>
    <button
      type="button"
      class="quiet"
      aria-label="Copy as command"
      title="Copy as command"
      onClick=${press}
    >
      <${Icon} name=${done ? "running" : "copy"} />${done && html`<span>${done}</span>`}
    </button>
  </span>`;
}
