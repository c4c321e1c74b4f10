/** The timeline: pages, new segments, learned facts and profile versions by day. */

import { html, useMemo, useRef, useState } from "../vendor/preact.js";
import { askAll, askScope } from "../api.js";
import { day as dayName } from "../format.js";
import { Loaded, Choice, Empty } from "../parts.js";
import { useLoaded, useInspector, useLive } from "../state.js";
import { TEXTS } from "../texts.js";
import { DayRow } from "./day.js";
import { Lanes } from "./lanes.js";

const T = TEXTS.timeline;
const PART = 60;

/** The view "timeline". */
export function Timeline() {
  const { scope } = useInspector();
  const loaded = useLoaded((signal) => gather(scope, signal), [scope]);
  useLive((name) => (name === "stats" || name === "learned") && loaded.again());
  return html`
    <${Loaded} loaded=${loaded}>
      ${(found) => (found.days.length ? html`<${Story} found=${found} />` : html`<${Empty} text=${T.none} />`)}
    <//>
  `;
}

async function gather(scope, signal) {
  const [{ days }, segments, knowledge, { versions }] = await Promise.all([
    askScope(scope, "/days", { signal }),
    askAll(scope, "/segments", { field: "segments", signal }),
    askAll(scope, "/knowledge", { field: "knowledge", query: { history: true }, signal }),
    askScope(scope, "/profile/history", { signal }),
  ]);
  return { days, segments, knowledge, versions };
}

/** @returns {Map<string, {day: string, pages: number, segments: any[], facts: any[], profile: any[]}>} by day, newest first */
function byDay({ days, segments, knowledge, versions }) {
  const found = new Map();
  const on = (at) => {
    const day = at.slice(0, 10);
    if (!found.has(day)) found.set(day, { day, pages: 0, segments: [], facts: [], profile: [] });
    return found.get(day);
  };
  for (const { day, pages } of days) on(day).pages = pages;
  for (const segment of segments) on(segment.created_at).segments.push(segment);
  for (const fact of knowledge) on(fact.recorded_at).facts.push(fact);
  for (const version of versions) if (version.recorded_at) on(version.recorded_at).profile.push(version);
  return new Map([...found].sort(([one], [other]) => (one < other ? 1 : -1)));
}

function Story({ found }) {
  const [kind, setKind] = useState("all");
  const [shown, setShown] = useState(PART);
  const [open, setOpen] = useState([]);
  const list = useRef(null);
  const all = useMemo(() => [...byDay(found).values()], [found]);
  const days = kind === "all" ? all : all.filter((each) => each[kind].length);
  const most = Math.max(...all.map((each) => each.pages), 1);
  const toggle = (day) => setOpen((before) => (before.includes(day) ? before.filter((each) => each !== day) : [...before, day]));
  const goTo = (day) => {
    const index = Math.max(0, all.findIndex((each) => each.day <= day));
    const nearest = all[index].day;
    setKind("all");
    setShown((before) => Math.max(before, index + PART));
    setOpen((before) => [...before, nearest]);
    requestAnimationFrame(() => {
      const row = list.current?.querySelector(`[data-day="${nearest}"] > button`);
      row?.scrollIntoView({ block: "center" });
      row?.focus();
    });
  };
  return html`
    <${Lanes} found=${found} goTo=${goTo} />
    <header class="between">
      <h2>${T.days}</h2>
      <${Choice} label=${T.kind} choices=${Object.entries(T.kinds)} chosen=${kind} onChoose=${setKind} />
    </header>
    ${days.length ? null : html`<p class="faint">${T.noneOfKind}</p>`}
    <ol class="days" ref=${list} aria-label=${T.days}>
      ${days.slice(0, shown).map(
        (each) => html`<${DayRow} key=${each.day} found=${each} share=${each.pages / most} open=${open.includes(each.day)} toggle=${() => toggle(each.day)} />`,
      )}
    </ol>
    ${days.length > shown
      ? html`<button type="button" class="second" onClick=${() => setShown(shown + PART)}>${T.more(Math.min(PART, days.length - shown))}</button>`
      : null}
    <p class="unseen">${T.picture(all.length, dayName(all.at(-1).day), dayName(all[0].day))}</p>
  `;
}
