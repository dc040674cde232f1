/**
 * Signing in with a token.
 */

import {html, useEffect, useState} from "../vendor/htm-preact.js";
import {access, get, signIn, signOut} from "../api.js";
import {Store, useStore} from "../store.js";
import {Dialog} from "./dialog.js";
import {Icon} from "./icons.js";
import {CopyCommand} from "./command.js";

/** Whether the dialog is open. */
export const isAsking = new Store(false);

function Form() {
  const [token, setToken] = useState("");
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [folder, setFolder] = useState(null);
  useEffect(() => {
    // Each rules folder has tokens of its own. Who may not read yet does not get its name.
    get("overview").then(
      ({runner}) => setFolder(runner.folder),
      () => {},
    );
  }, []);
  const words = ["eshet-rules", "web", "token", "--act"];
  if (folder) words.push("--rules", folder);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError("");
    try {
      const couldRead = access.value?.read;
      await signIn(token.trim());
      if (couldRead && !access.value?.act) {
        setError("this token is only for reading; the command above makes one that may act");
      } else {
        isAsking.set(false);
      }
    } catch (failure) {
      setError(failure.message);
    } finally {
      setBusy(false);
    }
  };
  return html`<form onSubmit=${submit}>
    <p>
      On the machine of the runner, everybody may look. To change anything, and from elsewhere, sign
      in with a token. Make one that may act where the runner runs:
    </p>
    <${CopyCommand} words=${words} />
    <label for="token">Token</label>
    <input
      id="token"
      type="password"
      autocomplete="current-password"
      required
      value=${token}
      aria-describedby="token-error"
      aria-invalid=${error ? "true" : "false"}
      onInput=${(event) => setToken(event.target.value)}
    />
    <p id="token-error" class="failure" role="alert">${error}</p>
    <div class="buttons">
      <button type="submit" class="primary" disabled=${isBusy}>Sign in</button>
      <button type="button" onClick=${() => isAsking.set(false)}>Cancel</button>
    </div>
  </form>`;
}

/** The dialog, if it is open. */
export function SignInDialog() {
  if (!useStore(isAsking)) return null;
  return html`<${Dialog} title="Sign in" onClose=${() => isAsking.set(false)}><${Form} /><//>`;
}

/** The button of the header: sign in, or sign out. */
export function SignInButton() {
  const allowed = useStore(access);
  if (allowed?.act) {
    return html`<button type="button" class="quiet" onClick=${() => signOut().catch(() => {})}>
      <${Icon} name="key" /><span class="word">Sign out</span>
    </button>`;
  }
  return html`<button type="button" class="quiet" onClick=${() => isAsking.set(true)}>
    <${Icon} name="key" /><span class="word">Sign in</span>
  </button>`;
}

/**
 * Its children if this browser may act; else a button to sign in.
 *
 * @param {{what: string, children: any}} properties `what`: what signing in is for, such as
 *   "to control this rule".
 */
export function IfMayAct({what, children}) {
  const allowed = useStore(access);
  if (allowed?.act) return children;
  return html`<button type="button" onClick=${() => isAsking.set(true)}>
    <${Icon} name="key" />Sign in ${what}
  </button>`;
}
