import { html } from "../vendor/preact.js";

/** The view "tiers". */
export function Tiers() {
  return html`<div></div>`;
}
