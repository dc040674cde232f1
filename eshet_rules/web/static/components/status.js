/**
 * States and kinds of problems: always an icon and a word, in a colour.
 */

import {html} from "../vendor/htm-preact.js";
import {visible} from "../values.js";
import {Icon} from "./icons.js";

// name: [tone, icon, word]
const STATES = {
  running: ["good", "running", "running"],
  retrying: ["warn", "retrying", "retrying"],
  restarting: ["warn", "retrying", "restarting"],
  failed: ["bad", "failed", "failed"],
  disabled: ["idle", "disabled", "disabled"],
  starting: ["idle", "waiting", "starting"],
  draining: ["idle", "waiting", "draining"],
  silent: ["bad", "unplugged", "does not answer"],
  connected: ["good", "running", "connected"],
  disconnected: ["bad", "unplugged", "not connected"],
};

const PROBLEMS = {
  failed: ["bad", "failed", "failed"],
  broken: ["bad", "failed", "not loaded"],
  quarantined: ["bad", "failed", "quarantined"],
  bridge_down: ["bad", "unplugged", "bridge down"],
  retrying: ["warn", "retrying", "retrying"],
  restarting: ["warn", "retrying", "restarting"],
  conflict: ["warn", "conflict", "several writers"],
  contested: ["warn", "conflict", "contested"],
  output_failed: ["bad", "failed", "output failed"],
  not_provided: ["warn", "unplugged", "not provided"],
  unknown_input: ["warn", "unknown", "unknown input"],
  silent: ["warn", "silent", "silent"],
  rolled_back: ["warn", "back", "rolled back"],
  waiting: ["info", "waiting", "waits for commit"],
  override: ["person", "person", "override"],
  disabled: ["idle", "disabled", "disabled"],
};

const LEVELS = {
  critical: ["bad", "failed", "critical"],
  error: ["bad", "failed", "error"],
  warning: ["warn", "warning", "warning"],
  info: ["idle", "state", "info"],
  debug: ["idle", "state", "debug"],
};

const OUTCOMES = {
  done: ["good", "running", "done"],
  failed: ["bad", "failed", "failed"],
  interrupted: ["warn", "warning", "interrupted"],
  kept: ["info", "waiting", "kept"],
  skipped: ["idle", "disabled", "skipped"],
};

const TABLES = {state: STATES, problem: PROBLEMS, level: LEVELS, outcome: OUTCOMES};

/**
 * A state as icon, word and colour.
 *
 * @param {{of?: "state" | "problem" | "level" | "outcome", name: string, plain?: boolean}} properties
 *   `plain`: without a background.
 */
export function Status({of = "state", name, plain = false}) {
  const [tone, icon, word] = TABLES[of][name] ?? ["idle", "unknown", visible(name || "–")];
  return html`<span class=${`status ${tone}${plain ? " plain" : ""}`}
    ><${Icon} name=${icon} />${word}</span
  >`;
}

/** The states of rules, the worst first. */
export const RULE_STATES = ["failed", "retrying", "restarting", "disabled", "running"];

/**
 * Returns the place of a state in the order of problems; the worst is 0.
 *
 * @param {string} state
 */
export function severity(state) {
  const place = RULE_STATES.indexOf(state);
  return place < 0 ? 0 : place;
}
