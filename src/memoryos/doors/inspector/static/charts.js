/** Charts of Chart.js, drawn in the colours of the theme; each has its numbers as a table for those who don't see it. */

import { html, useEffect, useRef, useState } from "./vendor/preact.js";

let loading = null;

/** Loads Chart.js with the first chart. */
function loadChart() {
  loading ??= import("./vendor/chart.js").then(() => globalThis.Chart);
  return loading;
}

/** @returns {string} the colour that a custom property, as "--accent", has in the theme that is shown */
export function colour(name) {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** Calls back when the theme changes. @returns {number} that grows with each change */
export function useTheme() {
  const [round, setRound] = useState(0);
  useEffect(() => {
    const changed = () => setRound((before) => before + 1);
    const watched = new MutationObserver(changed);
    watched.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", changed);
    return () => {
      watched.disconnect();
      system.removeEventListener("change", changed);
    };
  }, []);
  return round;
}

/**
 * A chart.
 * @param {{label: string, make: () => object, depends: any[], table: {head: string[], rows: any[][]}, height?: number}} given
 *   `make` returns the configuration of Chart.js; it is called anew when the theme or `depends` change
 */
export function Plot({ label, make, depends, table, height = 240 }) {
  const place = useRef(null);
  const theme = useTheme();
  useEffect(() => {
    let chart = null;
    let left = false;
    loadChart().then((Chart) => {
      if (left) return;
      Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
      Chart.defaults.color = colour("--ink-soft");
      Chart.defaults.borderColor = colour("--rule");
      Chart.defaults.animation = false;
      Chart.defaults.maintainAspectRatio = false;
      chart = new Chart(place.current, make());
    });
    return () => {
      left = true;
      chart?.destroy();
    };
  }, [theme, ...depends]);
  return html`
    <figure class="plot">
      <div style=${{ height: `${height}px` }}><canvas ref=${place} role="img" aria-label=${label}></canvas></div>
      <div class="unseen">
        <table>
          <caption>${label}</caption>
          <thead><tr>${table.head.map((each) => html`<th scope="col" key=${each}>${each}</th>`)}</tr></thead>
          <tbody>
            ${table.rows.map((row) => html`<tr key=${String(row[0])}>${row.map((each) => html`<td>${each}</td>`)}</tr>`)}
          </tbody>
        </table>
      </div>
    </figure>
  `;
}
