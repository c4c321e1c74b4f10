/** The chart of the timeline: pages as columns, segments as bars coloured by heat, facts and profile versions as marks. */

import { html, useMemo } from "../vendor/preact.js";
import { day as dayName, decimal } from "../format.js";
import { useInspector } from "../state.js";
import { TEXTS } from "../texts.js";
import { heatStep } from "./segments.js";

const T = TEXTS.timeline;
const DAY = 86_400_000;
const MOST_COLUMNS = 180;
const MOST_SEGMENTS = 30;
const LEAST_WIDTH = 0.4;

/**
 * @param {{found: any, goTo: (day: string) => void}} given `goTo` receives the clicked day;
 *   the list of days has the same data for screen readers
 */
export function Lanes({ found, goTo }) {
  const span = useMemo(() => spanOf(found), [found]);
  const clicked = (event) => {
    const lane = event.target.closest(".lane-field")?.getBoundingClientRect();
    if (lane) goTo(isoDay(span.first + ((event.clientX - lane.left) / lane.width) * span.length));
  };
  const largest = useMemo(() => [...found.segments].sort((one, other) => other.page_count - one.page_count).slice(0, MOST_SEGMENTS), [found]);
  return html`
    <figure class="lanes card" aria-hidden="true" onClick=${clicked}>
      <${Lane} name=${T.lanes.pages}><${Columns} days=${found.days} span=${span} /><//>
      <${Lane}
        name=${T.lanes.segments}
        note=${largest.length < found.segments.length ? T.fewSegments(largest.length, found.segments.length) : null}
      >
        <${Segments} segments=${largest} span=${span} />
      <//>
      <${Lane} name=${T.lanes.facts}><${Marks} kind="facts" items=${found.knowledge.map((fact) => [fact.recorded_at, fact.text])} span=${span} /><//>
      <${Lane} name=${T.lanes.profile}>
        <${Marks} kind="profile" items=${found.versions.filter((each) => each.recorded_at).map((each) => [each.recorded_at, T.version(each.version)])} span=${span} />
      <//>
      <${Axis} span=${span} />
    </figure>
  `;
}

function spanOf({ days, segments, knowledge, versions }) {
  const times = [
    ...days.map((each) => each.day),
    ...segments.flatMap((each) => [each.created_at, each.last_visited_at]),
    ...knowledge.map((each) => each.recorded_at),
    ...versions.flatMap((each) => each.recorded_at ?? []),
  ].map((at) => Date.parse(at));
  const first = Math.floor(times.reduce((one, other) => Math.min(one, other)) / DAY) * DAY;
  const end = (Math.floor(times.reduce((one, other) => Math.max(one, other)) / DAY) + 1) * DAY;
  return { first, length: end - first };
}

function isoDay(milliseconds) {
  return new Date(milliseconds).toISOString().slice(0, 10);
}

function Lane({ name, note, children }) {
  return html`
    <div class="lane">
      <span class="lane-name">${name}${note ? html`<small>${note}</small>` : null}</span>
      <div class="lane-field">${children}</div>
    </div>
  `;
}

function percent(share) {
  return `${(share * 100).toFixed(3)}%`;
}

function Columns({ days, span }) {
  const { counts, most } = useMemo(() => {
    const columns = Math.min(MOST_COLUMNS, Math.ceil(span.length / DAY));
    const counted = new Array(columns).fill(0);
    for (const { day, pages } of days) counted[Math.floor(((Date.parse(day) - span.first) / span.length) * columns)] += pages;
    return { counts: counted, most: Math.max(...counted) };
  }, [days, span]);
  return html`
    <div class="columns">
      ${counts.map((pages, index) => html`<i key=${index} title=${pages ? T.pages(pages) : null} style=${{ height: percent(pages / most) }}></i>`)}
    </div>
  `;
}

function Segments({ segments, span }) {
  const { heat_threshold: threshold } = useInspector().setup;
  const rows = useMemo(() => stacked(segments, span), [segments, span]);
  const height = 9;
  return html`
    <div class="spans" style=${{ height: `${Math.max(1, rows.length) * height}px` }}>
      ${rows.flatMap((row, index) =>
        row.map(
          ({ segment, left, width }) => html`
            <i
              key=${segment.segment_id}
              class=${`heat-${heatStep(segment.heat, threshold)}`}
              title=${`${dayName(segment.created_at)} – ${dayName(segment.last_visited_at)} · ${T.pages(segment.page_count)} · ${T.heat(decimal(segment.heat))}`}
              style=${{ left: percent(left), width: percent(width), top: `${index * height}px` }}
            ></i>
          `,
        ),
      )}
    </div>
  `;
}

/** @returns {{segment: any, left: number, width: number}[][]} rows of bars that do not overlap */
function stacked(segments, span) {
  const rows = [];
  const placed = [...segments].sort((one, other) => (one.created_at < other.created_at ? -1 : 1));
  for (const segment of placed) {
    const left = (Date.parse(segment.created_at) - span.first) / span.length;
    const width = Math.max(LEAST_WIDTH / 100, (Date.parse(segment.last_visited_at) - span.first) / span.length - left);
    const row = rows.find((each) => each.at(-1).left + each.at(-1).width + 0.002 < left);
    if (row) row.push({ segment, left, width });
    else rows.push([{ segment, left, width }]);
  }
  return rows;
}

function Marks({ kind, items, span }) {
  const columns = new Map();
  for (const [at, title] of items) {
    const position = Math.round(((Date.parse(at) - span.first) / span.length) * 400) / 400;
    columns.set(position, [...(columns.get(position) ?? []), title]);
  }
  return html`
    <div class=${`marks of-${kind}`}>
      ${[...columns].map(
        ([position, titles]) => html`<i key=${position} class=${`size-${Math.min(3, titles.length)}`} title=${titles.slice(0, 8).join("\n")} style=${{ left: percent(position) }}></i>`,
      )}
    </div>
  `;
}

function Axis({ span }) {
  const shares = [0, 0.25, 0.5, 0.75, 1];
  return html`
    <div class="lane scale">
      <span class="lane-name"></span>
      <div class="lane-field">
        ${shares.map((share) => html`<span key=${share} class=${`tick at-${share * 100}`} style=${{ left: percent(share) }}>${dayName(new Date(span.first + share * (span.length - 1)))}</span>`)}
      </div>
    </div>
  `;
}
