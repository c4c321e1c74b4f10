/** The recall explorer: a query, the ranked results with their signals, and adjustable weights and limits. */

import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { askScope } from "../api.js";
import { count, decimal } from "../format.js";
import { Empty, Loading, ErrorMessage } from "../parts.js";
import { useLoaded, useInspector, useDebounced } from "../state.js";
import { TEXTS } from "../texts.js";
import { Context, RecalledFacts, RecalledPages, scaleOf, TokenMeter } from "./recalled.js";

const T = TEXTS.explorer;
const SETTLE_MILLISECONDS = 90;
const TYPED_MILLISECONDS = 250;
const WEIGHTS = ["meaning", "words", "previous", "following", "session", "speaker", "time", "recency"];
const MOST = { max_pages: 100, max_tokens: 100_000, near_misses: 50 };

/** The view "explorer". */
export function Explorer() {
  const { setup } = useInspector();
  const [query, setQuery] = useState("");
  const [bounds, setBounds] = useState({ max_pages: setup.retrieval_queue_capacity, max_tokens: null, near_misses: 5 });
  const [weights, setWeights] = useState(setup.ranking);
  const trial = useTrial(query, bounds, weights);
  return html`
    <form class="asking" onSubmit=${(event) => event.preventDefault()}>
      <${QueryField} onQuery=${setQuery} />
      <button type="submit">${T.ask}</button>
    </form>
    <div class="explorer">
      <section class="controls card" aria-label=${T.controls}>
        <${Weights} weights=${weights} usual=${setup.ranking} onChange=${setWeights} />
        <${Bounds} bounds=${bounds} onChange=${setBounds} />
      </section>
      ${trial.problem ? html`<div class="found"><${ErrorMessage} problem=${trial.problem} again=${trial.again} /></div>` : null}
      ${trial.value ? html`<${Ranking} ...${trial.value} bounds=${bounds} under=${trial.loading} />` : null}
      ${!trial.value && !trial.problem ? html`<div class="found">${query ? html`<${Loading} />` : html`<${Empty} text=${T.none} />`}</div>` : null}
    </div>
  `;
}

/** Recalls with the adjusted weights, and once with the configured weights to show the changes of rank. */
function useTrial(query, bounds, weights) {
  const { scope, setup } = useInspector();
  const debouncedSettings = useDebounced(JSON.stringify({ bounds, weights }), SETTLE_MILLISECONDS);
  const usual = useRef({});
  return useLoaded(
    async (signal) => {
      if (!query) return null;
      const tried = JSON.parse(debouncedSettings);
      const recallWith = (ranking) => askScope(scope, "/recall", { body: { query, ...tried.bounds, ranking }, signal });
      const name = JSON.stringify([query, tried.bounds]);
      const isTried = WEIGHTS.some((each) => tried.weights[each] !== setup.ranking[each]);
      const recall = await recallWith(tried.weights);
      if (!isTried) usual.current = { name, recall };
      if (usual.current.name !== name) usual.current = { name, recall: await recallWith(setup.ranking) };
      return { recall, usual: isTried ? usual.current.recall : null };
    },
    [scope, query, debouncedSettings],
  );
}

function QueryField({ onQuery }) {
  const [text, setText] = useState("");
  const debounced = useDebounced(text, TYPED_MILLISECONDS).trim();
  useEffect(() => onQuery(debounced), [debounced]);
  return html`<input type="search" autofocus aria-label=${T.label} placeholder=${T.placeholder} value=${text} onInput=${(event) => setText(event.target.value)} />`;
}

function Weights({ weights, usual, onChange }) {
  const changed = WEIGHTS.some((name) => weights[name] !== usual[name]);
  return html`
    <div class="between">
      <h2>${T.weights}</h2>
      <button type="button" class="quiet" disabled=${!changed} onClick=${() => onChange(usual)}>${T.reset}</button>
    </div>
    ${WEIGHTS.map(
      (name) => html`
        <label key=${name} class=${`weight hue-${hueOf(name)}`} title=${T.about[name]}>
          <span>${T.names[name]}</span>
          <input type="range" min="0" max="3" step="0.05" name=${name} value=${weights[name]}
            onInput=${(event) => onChange({ ...weights, [name]: Number(event.target.value) })} />
          <output class=${weights[name] === usual[name] ? "faint" : ""}>${decimal(weights[name])}</output>
        </label>
      `,
    )}
    <p class="faint small">${T.trial}</p>
  `;
}

function hueOf(name) {
  return name === "previous" || name === "following" ? "neighbours" : name;
}

function Bounds({ bounds, onChange }) {
  const field = (name) => html`
    <label key=${name}>${T.bounds[name]}
      <input type="number" name=${name} min=${name === "near_misses" ? 0 : 1} max=${MOST[name]} value=${bounds[name] ?? ""} placeholder=${T.noBound}
        onInput=${(event) => onChange({ ...bounds, [name]: readNumber(event.target, name) })} />
    </label>
  `;
  return html`<h2>${T.bound}</h2><div class="bounds">${Object.keys(MOST).map(field)}</div>`;
}

function readNumber(input, name) {
  const number = Math.trunc(Number(input.value));
  if (!input.value || !Number.isFinite(number)) return name === "near_misses" ? 0 : null;
  return Math.min(MOST[name], Math.max(name === "near_misses" ? 0 : 1, number));
}

function Ranking({ recall, usual, bounds, under }) {
  const scale = scaleOf([...recall.pages, ...recall.near_misses]);
  const places = usual && new Map([...usual.pages, ...usual.near_misses].map((page, index) => [page.page_id, index]));
  const moved = (from) => (page, index) => (places ? html`<${Moved} before=${places.get(page.page_id)} now=${from + index} />` : null);
  return html`
    <section class="found" aria-label=${T.ranking} aria-busy=${String(under)}>
      <h2>${T.found(recall.pages.length)}</h2>
      ${recall.pages.length ? null : html`<p class="faint">${T.nothing}</p>`}
      <${RecalledPages} pages=${recall.pages} flagged=${recall.flagged_page_ids} scale=${scale} note=${moved(0)} />
      ${recall.near_misses.length
        ? html`
            <div class="cut"><h2>${T.missed(recall.near_misses.length)}</h2></div>
            <${RecalledPages} pages=${recall.near_misses} scale=${scale} from=${recall.pages.length + 1} note=${moved(recall.pages.length)} />
          `
        : null}
    </section>
    <section class="packed" aria-label=${T.packed}>
      <h2>${T.packed}</h2>
      <${TokenMeter} used=${recall.tokens} budget=${bounds.max_tokens} about=${T.tokens} />
      <${Context} recall=${recall} open=${true} />
      ${recall.knowledge.length ? html`<details><summary>${T.facts(recall.knowledge.length)}</summary><${RecalledFacts} facts=${recall.knowledge} /></details>` : null}
    </section>
  `;
}

function Moved({ before, now }) {
  if (before === undefined) return html`<span class="moved up" title=${T.moved.fresh}>${T.moved.new}</span>`;
  if (before === now) return html`<span class="moved faint" title=${T.moved.same}>=</span>`;
  const up = before > now;
  const places = count(Math.abs(before - now));
  return html`<span class=${`moved ${up ? "up" : "down"}`} title=${up ? T.moved.up(places) : T.moved.down(places)}>${up ? "▲" : "▼"} ${places}</span>`;
}
