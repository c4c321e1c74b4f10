/** LLM calls: tokens per day by purpose or model, and a table of the calls. */

import { html, useState } from "../vendor/preact.js";
import { askScope } from "../api.js";
import { colour, Plot } from "../charts.js";
import { count, day, decimal } from "../format.js";
import { Loaded, Choice, Empty, Figure } from "../parts.js";
import { useLoaded, useInspector, useLive } from "../state.js";
import { TEXTS } from "../texts.js";

const T = TEXTS.costs;
const HUES = ["--signal-meaning", "--signal-words", "--signal-session", "--signal-neighbours", "--signal-speaker", "--signal-segment"];

/** The view "costs". */
export function Costs() {
  const { scope, setup } = useInspector();
  const loaded = useLoaded((signal) => askScope(scope, "/costs", { signal }), [scope]);
  useLive((name) => name === "stats" && loaded.again());
  return html`
    <${Loaded} loaded=${loaded}>
      ${({ costs }) =>
        costs.length
          ? html`<${Ledger} costs=${costs} />`
          : html`<${Empty} text=${T.none}>${setup.has_llm ? null : html`<p>${T.local}</p>`}<//>`}
    <//>
  `;
}

function Ledger({ costs }) {
  const [by, setBy] = useState("purpose");
  const sum = (name) => costs.reduce((total, account) => total + account[name], 0);
  const failed = sum("failed_calls");
  return html`
    <div class="figures">
      <${Figure} value=${count(sum("calls"))} name=${T.calls} />
      <${Figure} value=${count(failed)} name=${T.failed} class=${failed ? "bad" : ""} />
      <${Figure} value=${count(sum("prompt_tokens"))} name=${T.read} />
      <${Figure} value=${count(sum("completion_tokens"))} name=${T.written} />
      <${Figure} value=${decimal(sum("seconds"))} name=${T.seconds} />
    </div>
    <section class="card">
      <header class="between">
        <h2>${T.chart}</h2>
        <${Choice} label=${T.by} choices=${Object.entries(T.kinds)} chosen=${by} onChoose=${setBy} />
      </header>
      <${Days} costs=${costs} by=${by} />
    </section>
    <section class="card">
      <h2>${T.accounts}</h2>
      <${Accounts} costs=${costs} />
    </section>
  `;
}

function Days({ costs, by }) {
  const days = [...new Set(costs.map((account) => account.day))];
  const names = [...new Set(costs.map((account) => account[by]))].sort();
  const tokens = (name, at) =>
    costs
      .filter((account) => account[by] === name && account.day === at)
      .reduce((total, account) => total + account.prompt_tokens + account.completion_tokens, 0);
  const make = () => ({
    type: "bar",
    data: {
      labels: days.map(day),
      datasets: names.map((name, index) => ({
        label: name,
        data: days.map((at) => tokens(name, at)),
        backgroundColor: colour(HUES[index % HUES.length]),
        maxBarThickness: 44,
      })),
    },
    options: {
      scales: { x: { stacked: true, grid: { display: false } }, y: { stacked: true, beginAtZero: true, ticks: { callback: count } } },
      plugins: { legend: { position: "bottom", labels: { boxWidth: 12 } } },
    },
  });
  const table = { head: [T.day, ...names], rows: days.map((at) => [day(at), ...names.map((name) => count(tokens(name, at)))]) };
  return html`<${Plot} label=${T.chart} make=${make} depends=${[costs, by]} table=${table} />`;
}

const NUMBERS = [
  ["calls", T.calls, count],
  ["failed_calls", T.failed, count],
  ["prompt_tokens", T.read, count],
  ["completion_tokens", T.written, count],
  ["seconds", T.seconds, decimal],
];

function Accounts({ costs }) {
  return html`
    <div class="scroll" tabindex="0" role="region" aria-label=${T.accounts}>
      <table class="accounts">
        <thead>
          <tr>
            <th scope="col">${T.day}</th>
            <th scope="col">${T.purpose}</th>
            <th scope="col">${T.model}</th>
            ${NUMBERS.map(([name, title]) => html`<th scope="col" key=${name} class="number">${title}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${costs.toReversed().map(
            (account) => html`
              <tr key=${JSON.stringify([account.day, account.purpose, account.model])}>
                <td>${day(account.day)}</td>
                <td><span title=${T.purposes[account.purpose]}>${account.purpose}</span></td>
                <td><span class="said">${account.model}</span></td>
                ${NUMBERS.map(
                  ([name, , written]) =>
                    html`<td key=${name} class=${`number ${name === "failed_calls" && account[name] ? "bad" : ""}`}>${written(account[name])}</td>`,
                )}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}
