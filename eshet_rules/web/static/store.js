/**
 * A value that components follow.
 */

import {useEffect, useState} from "./vendor/htm-preact.js";

/** A value with listeners. */
export class Store {
  /** @param {any} value The first value. */
  constructor(value) {
    this.value = value;
    this.listeners = new Set();
  }

  /**
   * Replaces the value, and calls the listeners if it is another one.
   *
   * @param {any} value
   */
  set(value) {
    if (value === this.value) return;
    this.value = value;
    for (const listener of [...this.listeners]) listener(value);
  }

  /**
   * Calls a function at each later change.
   *
   * @param {(value: any) => void} listener
   * @returns {() => void} Ends it.
   */
  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

/**
 * Returns the value of a store; the component is rendered again when it changes.
 *
 * @param {Store} store
 */
export function useStore(store) {
  const [value, setValue] = useState(store.value);
  useEffect(() => {
    setValue(store.value);
    return store.listen(setValue);
  }, [store]);
  return value;
}
