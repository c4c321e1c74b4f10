/** One segment: the terms of its heat, and its chains with their pages. */

import { html, useMemo, useState } from "../vendor/preact.js";
import { addressOf } from "../address.js";
import { askScope } from "../api.js";
import { decimal, serverNow } from "../format.js";
import { Loaded, Empty, PageCard, StoredText, Time } from "../parts.js";
import { useLoaded, useInspector, useLive } from "../state.js";
import { TEXTS } from "../texts.js";
import { heatStep } from "./segments.js";

const T = TEXTS.segments;
const PART = 60;

/** One segment of the tier "segments". @param {{id: string}} given */
export function SegmentView({ id }) {
  const { scope } = useInspector();
  const loaded = useLoaded((signal) => askScope(scope, `/segments/${encodeURIComponent(id)}`, { signal }), [scope, id]);
  useLive((name, data) => name === "segment_changed" && data.segment_id === id && loaded.again());
  return html`
    <p><a href=${addressOf({ view: "tiers", rest: ["segments"], ...scope })}>← ${T.back}</a></p>
    ${loaded.problem?.status === 404
      ? html`<${Empty} text=${T.gone} />`
      : html`<${Loaded} loaded=${loaded}>${(segment) => html`<${Whole} segment=${segment} />`}<//>`}
  `;
}

function Whole({ segment }) {
  return html`
    <section class="card segment-head" aria-label=${T.segment}>
      <h2><${StoredText} text=${segment.summary} /></h2>
      <p class="facts">
        ${segment.keywords.map((each) => html`<span class="badge" key=${each}><${StoredText} text=${each} /></span>`)}
      </p>
      <${HeatTerms} segment=${segment} />
      <p class="facts faint">
        <span>${T.pages(segment.page_count)}</span>
        <span>${T.created} <${Time} at=${segment.created_at} /></span>
        <span>${T.visited} <${Time} at=${segment.last_visited_at} relative /></span>
        ${segment.archived_at ? html`<span class="badge warn">${T.archivedAt} <${Time} at=${segment.archived_at} /></span>` : null}
      </p>
    </section>
    <${Chains} segment=${segment} />
  `;
}

/** Eq. 4 as a bar of three parts. */
function HeatTerms({ segment }) {
  const { setup } = useInspector();
  const { visit_weight: visit, length_weight: length, recency_weight: recency, recency_seconds: fading } = setup.heat;
  const seconds = Math.max(0, (serverNow() - Date.parse(segment.last_visited_at)) / 1000);
  const share = Math.exp(-seconds / fading);
  const terms = [
    ["visits", visit * segment.visits, T.terms.visits(segment.visits, decimal(visit))],
    ["length", length * segment.length, T.terms.length(segment.length, decimal(length))],
    ["recency", recency * share, T.terms.recency(decimal(share), decimal(recency))],
  ];
  const whole = Math.max(segment.heat, setup.heat_threshold);
  const hot = segment.heat > setup.heat_threshold;
  return html`
    <div class="equation">
      <span><strong class=${`heat heat-${heatStep(segment.heat, setup.heat_threshold)}`}>${decimal(segment.heat)}</strong> ${T.equation}</span>
      <span class="terms" aria-hidden="true">
        ${terms.map(([name, value]) => html`<i key=${name} class=${name} style=${{ width: `${(value / whole) * 100}%` }}></i>`)}
        <b style=${{ left: `${(setup.heat_threshold / whole) * 100}%` }}></b>
      </span>
      <span class="facts small">
        ${terms.map(([name, , text]) => html`<span key=${name} class=${`term ${name}`}>${text}</span>`)}
      </span>
      <span class="faint small">${hot ? T.hot : T.since}</span>
    </div>
  `;
}

function Chains({ segment }) {
  const [most, setMost] = useState(PART);
  const runs = useMemo(() => runsOf(segment, most), [segment, most]);
  const left = segment.pages.length - most;
  return html`
    ${runs.map(
      ({ chain, pages, id }) => html`
        <section class="chain" key=${id}>
          <header>
            <h3>${chain ? T.chain(pages.length) : T.noChain}</h3>
            ${chain?.summary ? html`<p><${StoredText} text=${chain.summary} /></p>` : null}
          </header>
          ${pages.map((page) => html`<${PageCard} key=${page.page_id} page=${page} />`)}
        </section>
      `,
    )}
    ${left > 0 ? html`<button type="button" class="second" onClick=${() => setMost(most + PART)}>${T.more(left)}</button>` : null}
  `;
}

/** Returns the chains with their pages, ordered by the time of the first page. */
function runsOf(segment, most) {
  const chains = new Map(segment.chains.map((each) => [each.chain_id, each]));
  const runs = new Map();
  for (const page of segment.pages.slice(0, most)) {
    const id = page.chain_id ?? "";
    if (!runs.has(id)) runs.set(id, { id, chain: chains.get(id), pages: [] });
    runs.get(id).pages.push(page);
  }
  return [...runs.values()];
}
