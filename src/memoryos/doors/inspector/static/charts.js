/** Charts (Chart.js) in the colours of the theme; each has a table with the same numbers for screen readers. */

import { html, useEffect, useRef, useState } from "./vendor/preact.js";

let loading = null;

/** Loads Chart.js when the first chart is shown. */
function loadChart() {
  loading ??= import("./vendor/chart.js").then(() => globalThis.Chart);
  return loading;
}

/** @returns {string} the colour of a CSS custom property, for example "--accent", in the current theme */
export function colour(name) {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** Renders again when the theme changes. @returns {number} the number of changes */
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
 * A chart with its table.
 * @param {{label: string, make: () => object, depends: any[], table: {head: string[], rows: any[][]}, height?: number}} given
 *   `make` returns the configuration of Chart.js; it is called again when the theme or `depends` change
 */
export function Plot({ label, make, depends, table, height = 240 }) {
  const canvas = useRef(null);
  const theme = useTheme();
  useEffect(() => {
    let chart = null;
    let unmounted = false;
    loadChart().then((Chart) => {
      if (unmounted) return;
      Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
      Chart.defaults.color = colour("--ink-soft");
      Chart.defaults.borderColor = colour("--rule");
      Chart.defaults.animation = false;
      Chart.defaults.maintainAspectRatio = false;
      chart = new Chart(canvas.current, make());
    });
    return () => {
      unmounted = true;
      chart?.destroy();
    };
  }, [theme, ...depends]);
  return html`
    <figure class="plot">
      <div style=${{ height: `${height}px` }}><canvas ref=${canvas} role="img" aria-label=${label}></canvas></div>
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
