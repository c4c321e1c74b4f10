/** Shared state of the views: the scope, the setup, and functions to open pages and views and to show notifications. */

import { createContext, useCallback, useContext, useEffect, useRef, useState } from "./vendor/preact.js";

/** @type {any} {scope, setup, live, go(view, ...rest), openPage(pageId), notify(text, kind)} */
export const Inspector = createContext(null);

/** @returns {{scope: {userId: string, assistantId: string}, setup: any, live: any, go: Function, openPage: Function, notify: Function}} */
export function useInspector() {
  return useContext(Inspector);
}

/**
 * Runs an asynchronous function whenever a dependency changes. An earlier run that has not ended is aborted and its result ignored.
 * @param {(signal: AbortSignal) => Promise<any>} run
 * @param {any[]} depends
 * @returns {{value: any, problem: Error|null, loading: boolean, again: () => void, set: (value: any) => void}}
 */
export function useLoaded(run, depends) {
  const [shown, show] = useState({ value: null, problem: null, loading: true });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    show((before) => ({ ...before, loading: true }));
    run(controller.signal).then(
      (value) => controller.signal.aborted || show({ value, problem: null, loading: false }),
      (problem) => controller.signal.aborted || show({ value: null, problem, loading: false }),
    );
    return () => controller.abort();
  }, [...depends, round]);
  const again = useCallback(() => setRound((before) => before + 1), []);
  const set = useCallback((change) => show((before) => ({ ...before, value: change instanceof Function ? change(before.value) : change })), []);
  return { ...shown, again, set };
}

/** Calls `onEvent(name, data)` for each live event of the scope while the component is mounted. */
export function useLive(onEvent) {
  const { live } = useInspector();
  const latest = useRef(onEvent);
  latest.current = onEvent;
  useEffect(() => live.listen((name, data) => latest.current(name, data)), [live]);
}

/** @returns {any} the debounced value: the last value that was unchanged for `milliseconds` */
export function useDebounced(value, milliseconds) {
  const [debounced, setDebounced] = useState(value);
  useEffect(() => {
    const waiting = setTimeout(() => setDebounced(value), milliseconds);
    return () => clearTimeout(waiting);
  }, [value, milliseconds]);
  return debounced;
}
