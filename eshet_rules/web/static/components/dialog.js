/**
 * A dialog of the browser, which keeps the focus inside, and gives it back at its end.
 */

import {html, useEffect, useRef} from "../vendor/htm-preact.js";
import {Icon} from "./icons.js";

let lastId = 0;

/**
 * A dialog that is open as long as it is rendered.
 *
 * @param {{title: string, onClose: () => void, children: any}} properties `onClose` is also called
 *   for Escape.
 */
export function Dialog({title, onClose, children}) {
  const element = useRef(null);
  const id = useRef(null);
  id.current ??= `dialog-${(lastId += 1)}`;
  useEffect(() => {
    const before = document.activeElement;
    const dialog = element.current;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${element} aria-labelledby=${id.current} onCancel=${cancel}>
    <div class="dialog-head">
      <h2 id=${id.current}>${title}</h2>
      <button type="button" class="quiet" aria-label="Close" onClick=${onClose}>
        <${Icon} name="close" />
      </button>
    </div>
    ${children}
  </dialog>`;
}
