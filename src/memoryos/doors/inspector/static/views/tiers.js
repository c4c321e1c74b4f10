/** The tiers: short-term window, segments with heat, knowledge and profile, with live updates. */

import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { addressOf } from "../address.js";
import { askAll, askScope } from "../api.js";
import { decimal } from "../format.js";
import { LanguageNote } from "../parts.js";
import { useLoaded, useInspector, useLive } from "../state.js";
import { TEXTS } from "../texts.js";
import { Knowledge } from "./knowledge.js";
import { Profile } from "./profile.js";
import { SegmentView } from "./segment.js";
import { Segments } from "./segments.js";
import { Window } from "./window.js";

const T = TEXTS.tiers;
const FEED_LENGTH = 4;
const TOUCHED = {
  page_added: "window",
  page_slid_out: "window",
  segment_founded: "segments",
  segment_heated: "segments",
  segment_cooled: "segments",
  segment_gone: "segments",
  learned: "knowledge",
  gone: "knowledge",
};

/** The view "tiers"; `rest` is the tier, and an id in it. */
export function Tiers({ rest: [tier = "window", id] }) {
  const { scope } = useInspector();
  const stats = useLoaded((signal) => askScope(scope, "/stats", { signal }), [scope]);
  const [feed, setFeed] = useState([]);
  const knownHeat = useKnownHeat(scope);
  useLive((name, data) => {
    if (name === "stats") stats.set(data);
    if (name === "missed") stats.again();
    const kind = name === "segment_changed" ? changeOf(data, knownHeat) : name;
    if (kind in T.events) setFeed((before) => [{ id: (before[0]?.id ?? 0) + 1, kind, text: T.events[kind](values(data)) }, ...before].slice(0, FEED_LENGTH));
  });
  const shown = { window: Window, segments: id ? SegmentView : Segments, knowledge: Knowledge, profile: Profile }[tier] ?? Window;
  return html`
    <${Overview} tier=${tier} stats=${stats.value} newest=${feed[0]} />
    <${LanguageNote} stats=${stats.value} />
    <div class="feed" role="status" aria-label=${T.feed}>
      ${feed.map((each) => html`<span key=${each.id} class=${`happened ${TOUCHED[each.kind]} fresh`}>${each.text}</span>`)}
    </div>
    <${shown} key=${`${tier} ${id ?? ""}`} id=${id} />
  `;
}

/** The last known heat of each segment, which shows whether a change raised or lowered it. */
function useKnownHeat(scope) {
  const knownHeat = useRef(new Map());
  useEffect(() => {
    const controller = new AbortController();
    askAll(scope, "/segments", { field: "segments", signal: controller.signal }).then(
      (segments) => segments.forEach((each) => knownHeat.current.set(each.segment_id, each.heat)),
      () => {},
    );
    return () => controller.abort();
  }, [scope]);
  return knownHeat.current;
}

function changeOf(segment, knownHeat) {
  const before = knownHeat.get(segment.segment_id);
  knownHeat.set(segment.segment_id, segment.heat);
  if (before === undefined) return "segment_founded";
  return segment.heat < before ? "segment_cooled" : "segment_heated";
}

function values(data) {
  return data.heat === undefined ? data : { ...data, heat: decimal(data.heat) };
}

function Overview({ tier, stats, newest }) {
  const { scope } = useInspector();
  const touched = newest && TOUCHED[newest.kind];
  return html`
    <nav class="overview" aria-label=${T.choose}>
      ${Object.entries(T.names).map(
        ([name, text]) => html`
          <a key=${name} class=${name} href=${addressOf({ view: "tiers", rest: [name], ...scope })} aria-current=${name === tier ? "true" : null}>
            <span class="name">${text}</span>
            ${stats ? html`<${Standing} key=${touched === name ? newest.id : 0} fresh=${touched === name} values=${standing(name, stats)} />` : null}
          </a>
        `,
      )}
    </nav>
  `;
}

function Standing({ fresh, values: [first, second] }) {
  return html`<span class=${`standing ${fresh ? "fresh" : ""}`}><strong>${first}</strong><span class="faint">${second}</span></span>`;
}

function standing(name, stats) {
  const { setup } = useInspector();
  if (name === "window") return [T.ofCapacity(stats.short_term_pages, setup.short_term_capacity), stats.pages_due ? T.due(stats.pages_due) : T.nothingDue];
  if (name === "segments") return [T.active(stats.segments), T.archived(stats.segments_archived)];
  if (name === "knowledge") return [T.facts(stats.knowledge_about_user + stats.knowledge_about_assistant), T.noLonger(stats.knowledge_no_longer_current)];
  return [T.traits(stats.traits, setup.dimensions.length), T.version(stats.profile_version)];
}

