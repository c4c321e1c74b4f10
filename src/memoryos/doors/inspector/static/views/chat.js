import { html } from "../vendor/preact.js";

/** The view "chat". */
export function Chat() {
  return html`<div></div>`;
}
