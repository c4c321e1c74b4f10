/** What every view may use: the scope, the server's set-up, and the doors to pages, views and messages. */

import { createContext, useCallback, useContext, useEffect, useRef, useState } from "./vendor/preact.js";

/** @type {any} {scope, setup, live, go(view, ...rest), openPage(pageId), say(text, kind)} */
export const Inspector = createContext(null);

/** @returns {{scope: {userId: string, assistantId: string}, setup: any, live: any, go: Function, openPage: Function, say: Function}} */
export function useInspector() {
  return useContext(Inspector);
}

/**
 * Runs something that takes time when what it depends on changes; what is overtaken is aborted and never shown.
 * @param {(signal: AbortSignal) => Promise<any>} run
 * @param {any[]} depends
 * @returns {{value: any, problem: Error|null, loading: boolean, again: () => void, set: (value: any) => void}}
 */
export function useAsked(run, depends) {
  const [shown, show] = useState({ value: null, problem: null, loading: true });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const overtaken = new AbortController();
    show((before) => ({ ...before, loading: true }));
    run(overtaken.signal).then(
      (value) => overtaken.signal.aborted || show({ value, problem: null, loading: false }),
      (problem) => overtaken.signal.aborted || show({ value: null, problem, loading: false }),
    );
    return () => overtaken.abort();
  }, [...depends, round]);
  const again = useCallback(() => setRound((before) => before + 1), []);
  const set = useCallback((change) => show((before) => ({ ...before, value: change instanceof Function ? change(before.value) : change })), []);
  return { ...shown, again, set };
}

/** Calls `heard(name, data)` for what happens in the scope while the view is shown. */
export function useLive(heard) {
  const { live } = useInspector();
  const latest = useRef(heard);
  latest.current = heard;
  useEffect(() => live.listen((name, data) => latest.current(name, data)), [live]);
}

/** @returns {any} the value, once it has stood still for so long */
export function useSettled(value, milliseconds) {
  const [settled, settle] = useState(value);
  useEffect(() => {
    const waiting = setTimeout(() => settle(value), milliseconds);
    return () => clearTimeout(waiting);
  }, [value, milliseconds]);
  return settled;
}
