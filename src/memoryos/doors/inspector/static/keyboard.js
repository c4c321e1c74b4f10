/** Keyboard shortcuts (g and a letter, /, u, ?); they are off while an input field has the focus or a dialog is open. */

import { useEffect } from "./vendor/preact.js";

const WAIT_MILLISECONDS = 1500;

/** @param {{name: string, letter: string}[]} views @param {{go: Function, showHelp: Function, chooseScope: Function}} actions */
export function useShortcuts(views, { go, showHelp, chooseScope }) {
  useEffect(() => {
    let going = 0;
    const pressed = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isBusy(event.target)) return;
      const key = event.key.toLowerCase();
      if (going && Date.now() - going < WAIT_MILLISECONDS) {
        going = 0;
        const view = views.find((each) => each.letter === key);
        if (view) done(event, () => go(view.name));
        return;
      }
      going = key === "g" ? Date.now() : 0;
      if (key === "/") done(event, () => search(go));
      if (key === "?") done(event, showHelp);
      if (key === "u") done(event, chooseScope);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [go]);
}

function done(event, act) {
  event.preventDefault();
  act();
}

const SEARCH = "main input[type=search]";
let focusSelector = null;

function search(go) {
  if (document.querySelector('nav.views a[aria-current][href^="#/search"]')) document.querySelector(SEARCH)?.focus();
  else focusSelector = SEARCH;
  go("search");
}

/** Focuses the field selected by a shortcut in a newly opened view, else its heading. @param {HTMLElement} main */
export function focusNewView(main) {
  const field = focusSelector && document.querySelector(focusSelector);
  focusSelector = null;
  (field ?? main?.querySelector("h1"))?.focus();
}

function isBusy(target) {
  if (document.querySelector("dialog[open]")) return true;
  return target instanceof HTMLElement && (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName));
}
