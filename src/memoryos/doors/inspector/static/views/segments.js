/** Segments as a heat map over time: creation, last visit, size and heat of each. */

import { html, useMemo, useRef, useState } from "../vendor/preact.js";
import { addressOf } from "../address.js";
import { askAll } from "../api.js";
import { ago, day, decimal, serverNow } from "../format.js";
import { Loaded, Choice, Empty, StoredText, VirtualList } from "../parts.js";
import { useLoaded, useInspector, useLive } from "../state.js";
import { TEXTS } from "../texts.js";

const T = TEXTS.segments;
const ROW_PIXELS = 58;
const TICKS = 4;
const ORDERS = {
  heat: (one, other) => other.heat - one.heat,
  newest: (one, other) => other.created_at.localeCompare(one.created_at),
  size: (one, other) => other.page_count - one.page_count,
  visited: (one, other) => other.last_visited_at.localeCompare(one.last_visited_at),
};

/** The tier "segments". */
export function Segments() {
  const { scope, setup } = useInspector();
  const [order, setOrder] = useState("heat");
  const [which, setWhich] = useState("active");
  const archived = which === "archived";
  const loaded = useLoaded((signal) => askAll(scope, "/segments", { field: "segments", query: { archived }, signal }), [scope, which]);
  const [fresh, setFresh] = useState(() => new Map());
  useLive((name, data) => {
    if (name === "missed") loaded.again();
    if (archived) return;
    if (name === "segment_changed") {
      setFresh((before) => new Map(before).set(data.segment_id, (before.get(data.segment_id) ?? 0) + 1));
      loaded.set((known) => known && [...known.filter((each) => each.segment_id !== data.segment_id), data]);
    }
    if (name === "segment_gone") loaded.set((known) => known?.filter((each) => each.segment_id !== data.segment_id) ?? known);
  });
  return html`
    <div class="between">
      <${Choice} label=${T.sort} choices=${Object.entries(T.orders)} chosen=${order} onChoose=${setOrder} />
      <${Choice} label=${T.which} choices=${Object.entries(T.kinds)} chosen=${which} onChoose=${setWhich} />
      <${Legend} threshold=${setup.heat_threshold} />
    </div>
    <${Loaded} loaded=${loaded}>
      ${(segments) =>
        segments.length
          ? html`<${HeatMap} segments=${segments} order=${order} fresh=${fresh} />`
          : html`<${Empty} text=${archived ? T.noneArchived : T.none} />`}
    <//>
  `;
}

/** @returns {number} the heat as a step from 0 to 4; from step 3, long-term memory is updated from the segment */
export function heatStep(heat, threshold) {
  if (heat > 2 * threshold) return 4;
  if (heat > threshold) return 3;
  return Math.min(2, Math.floor((heat / threshold) * 3));
}

/** The legend of the heat colours. */
function Legend({ threshold }) {
  return html`
    <p class="legend faint">
      <span>${T.legend}</span>
      ${[0, 1, 2, 3, 4].map((step) => html`<i key=${step} class=${`heat-${step}`}></i>`)}
      <span>${T.threshold(decimal(threshold))}</span>
    </p>
  `;
}

function HeatMap({ segments, order, fresh }) {
  const { scope, setup } = useInspector();
  const [isPointedAt, setPointedAt] = useState(false);
  const sorted = useSorted(segments, order, isPointedAt);
  const span = useMemo(() => spanOf(segments), [segments]);
  const largest = Math.max(...segments.map((each) => each.page_count));
  const row = (segment) => html`
    <${Row} segment=${segment} span=${span} largest=${largest} threshold=${setup.heat_threshold} changes=${fresh.get(segment.segment_id) ?? 0}
      href=${addressOf({ view: "tiers", rest: ["segments", segment.segment_id], ...scope })} />
  `;
  return html`
    <div class="heat-map" onPointerEnter=${() => setPointedAt(true)} onPointerLeave=${() => setPointedAt(false)}
      onFocusIn=${() => setPointedAt(true)} onFocusOut=${() => setPointedAt(false)}>
      <${Axis} span=${span} />
      <${VirtualList} items=${sorted} rowHeight=${ROW_PIXELS} row=${row} keyOf=${(segment) => segment.segment_id} label=${T.list} />
    </div>
  `;
}

/** Returns the sorted segments; their order does not change while the pointer is over the list. */
function useSorted(segments, order, isPointedAt) {
  const places = useRef({});
  return useMemo(() => {
    const sorted = [...segments].sort(ORDERS[order]);
    const { order: before, known } = places.current;
    if (isPointedAt && before === order) sorted.sort((one, other) => (known.get(one.segment_id) ?? Infinity) - (known.get(other.segment_id) ?? Infinity));
    places.current = { order, known: new Map(sorted.map((each, index) => [each.segment_id, index])) };
    return sorted;
  }, [segments, order, isPointedAt]);
}

/** Returns the CSS class that highlights a changed row. It alternates, because the same class would not restart the animation. */
function freshness(changes) {
  return changes ? ["fresh", "fresh-again"][changes % 2] : "";
}

function spanOf(segments) {
  const first = Math.min(...segments.map((each) => Date.parse(each.created_at)));
  const last = Math.max(...segments.map((each) => Date.parse(each.last_visited_at)), first + 86_400_000);
  return { first, length: last - first };
}

function Axis({ span }) {
  const ticks = Array.from({ length: TICKS + 1 }, (_, index) => index / TICKS);
  return html`
    <div class="axis" aria-hidden="true">
      <span></span><span></span>
      <div>${ticks.map((share) => html`<span key=${share} style=${{ left: `${share * 100}%` }}>${day(span.first + share * span.length)}</span>`)}</div>
    </div>
  `;
}

function Row({ segment, span, largest, threshold, changes, href }) {
  const step = heatStep(segment.heat, threshold);
  const from = (Date.parse(segment.created_at) - span.first) / span.length;
  const to = (Date.parse(segment.last_visited_at) - span.first) / span.length;
  const size = Math.sqrt(segment.page_count / largest);
  const values = { heat: decimal(segment.heat), pages: T.pages(segment.page_count), visited: ago(segment.last_visited_at, serverNow()), summary: segment.summary };
  return html`
    <a class=${`segment-row ${freshness(changes)}`} href=${href} aria-label=${T.row(values)}>
      <span class=${`heat heat-${step}`}>${values.heat}</span>
      <span class="what">
        <${StoredText} class="one-line" text=${segment.summary} />
        <span class="one-line faint">
          ${values.pages} · ${values.visited} · <${StoredText} text=${segment.keywords.slice(0, 8).join(" ")} />
        </span>
      </span>
      <span class="strip">
        <i class=${`heat-${step}`} style=${{ left: `${from * 100}%`, width: `${Math.max(0, to - from) * 100}%`, height: `${20 + 70 * size}%` }}></i>
      </span>
    </a>
  `;
}
