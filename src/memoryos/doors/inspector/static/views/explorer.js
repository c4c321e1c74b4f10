import { html } from "../vendor/preact.js";

/** The view "explorer". */
export function Explorer() {
  return html`<div></div>`;
}
