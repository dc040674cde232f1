/**
 * Buttons that ask the runner to do something. An error is shown beside its button.
 */

import {html, useRef, useState} from "../vendor/htm-preact.js";
import {part, post} from "../api.js";
import {Dialog} from "./dialog.js";
import {Icon} from "./icons.js";
import {Text} from "./text.js";

/**
 * Runs an action, and keeps its error.
 *
 * @returns {{isBusy: boolean, error: string, run: (action: () => Promise<any>) => Promise<boolean>}}
 *   `run` returns whether it has succeeded.
 */
export function useAction() {
  const [state, setState] = useState({isBusy: false, error: ""});
  const isRunning = useRef(false);
  const run = async (action) => {
    if (isRunning.current) return false;
    isRunning.current = true;
    setState({isBusy: true, error: ""});
    try {
      await action();
      setState({isBusy: false, error: ""});
      return true;
    } catch (failure) {
      setState({isBusy: false, error: failure.message});
      return false;
    } finally {
      isRunning.current = false;
    }
  };
  return {...state, run};
}

/**
 * The error of an action; screen readers read it when it appears.
 *
 * @param {{error: string}} properties
 */
export function ActionError({error}) {
  return html`<div class="failure" role="alert">
    ${error && html`<${Icon} name="failed" /><${Text} text=${error} lines most=${600} />`}
  </div>`;
}

function Restart({rule, run, isBusy, error, onClose}) {
  const restart = async () => {
    if (await run(() => post(`rules/${part(rule.rule)}/restart`))) onClose();
  };
  return html`<${Dialog} title="Restart this rule?" onClose=${onClose}>
    <p>
      The rule starts from scratch: windows, delays and kept values of <code>${rule.rule}</code> are
      lost. A reload keeps them.
    </p>
    <${ActionError} error=${error} />
    <div class="buttons">
      <button type="button" class="danger" disabled=${isBusy} onClick=${restart}>Restart</button>
      <button type="button" onClick=${onClose}>Cancel</button>
    </div>
  <//>`;
}

/**
 * The buttons of a rule: enable or disable, restart, reload, versions.
 *
 * @param {{rule: object, onDone: () => void}} properties
 */
export function RuleActions({rule, onDone}) {
  const {isBusy, error, run} = useAction();
  const [isAsking, setAsking] = useState(false);
  const ask = (path) => async () => {
    if (await run(() => post(path))) onDone();
  };
  const verb = rule.state === "disabled" ? "enable" : "disable";
  const name = part(rule.rule);
  const close = () => {
    setAsking(false);
    onDone();
  };
  return html`<div class="actions">
    <div class="buttons">
      <button type="button" disabled=${isBusy} onClick=${ask(`rules/${name}/${verb}`)}>
        ${verb === "enable" ? "Enable" : "Disable"}
      </button>
      <button type="button" disabled=${isBusy} onClick=${() => setAsking(true)}>Restart…</button>
      <button type="button" disabled=${isBusy} onClick=${ask(`rules/${name}/reload`)}>
        Reload
      </button>
      <a class="button" href=${`#/versions/${part(rule.module)}`}>Roll back…</a>
    </div>
    ${!isAsking && html`<${ActionError} error=${error} />`}
    ${isAsking && html`<${Restart} ...${{rule, run, isBusy, error, onClose: close}} />`}
  </div>`;
}
