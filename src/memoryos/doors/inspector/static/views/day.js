/** One day of the timeline; it expands to the pages, segments and facts of the day. */

import { html } from "../vendor/preact.js";
import { askScope } from "../api.js";
import { day as dayName, decimal } from "../format.js";
import { Loaded, Bar, PageCard, StoredText, Sources } from "../parts.js";
import { useLoaded, useInspector } from "../state.js";
import { TEXTS } from "../texts.js";

const T = TEXTS.timeline;
const PART = 50;

/** @param {{found: any, share: number, open: boolean, toggle: () => void}} given `share`: its number of pages relative to the day with most pages */
export function DayRow({ found, share, open, toggle }) {
  const { day, pages, segments, facts, profile } = found;
  const id = `day-${day}`;
  return html`
    <li class=${`day ${open ? "open" : ""}`} data-day=${day}>
      <button type="button" class="row" aria-expanded=${String(open)} aria-controls=${id} onClick=${toggle}>
        <time dateTime=${day}>${dayName(day)}</time>
        <${Bar} share=${share} />
        <span class="what">
          ${pages ? html`<span>${T.pages(pages)}</span>` : null}
          ${segments.length ? html`<span class="sign of-segments">${T.founded(segments.length)}</span>` : null}
          ${facts.length ? html`<span class="sign of-facts">${T.learned(facts.length)}</span>` : null}
          ${profile.length ? html`<span class="sign of-profile">${T.version(profile.at(-1).version)}</span>` : null}
        </span>
      </button>
      ${open ? html`<div id=${id} class="within"><${Within} found=${found} /></div>` : null}
    </li>
  `;
}

function Within({ found }) {
  return html`
    ${found.segments.map((segment) => html`<${Founded} key=${segment.segment_id} segment=${segment} />`)}
    ${found.facts.map((fact) => html`<${Learned} key=${fact.knowledge_id} fact=${fact} />`)}
    ${found.profile.map((version) => html`<${Version} key=${version.version} version=${version} />`)}
    ${found.pages ? html`<${Pages} day=${found.day} />` : null}
  `;
}

function Founded({ segment }) {
  const { go } = useInspector();
  return html`
    <article class="event of-segments">
      <button type="button" class="quiet" onClick=${() => go("tiers", "segments", segment.segment_id)}>${T.segment}</button>
      <${StoredText} class="clamp" text=${segment.summary} />
      <span class="faint">${T.pages(segment.page_count)} · ${T.heat(decimal(segment.heat))}</span>
    </article>
  `;
}

function Learned({ fact }) {
  return html`
    <article class="event of-facts">
      <span class="faint">${T.fact} ${T.about[fact.about]}</span>
      <${StoredText} text=${fact.text} />
      ${fact.superseded_by ? html`<span class="badge">${T.superseded}</span>` : null}
      <${Sources} ids=${fact.source_page_ids} />
    </article>
  `;
}

function Version({ version }) {
  const { go } = useInspector();
  return html`
    <article class="event of-profile">
      <button type="button" class="quiet" onClick=${() => go("tiers", "profile")}>${T.version(version.version)}</button>
      <span class="faint">${T.holds(version.attributes.length, version.traits.length)}</span>
    </article>
  `;
}

function Pages({ day }) {
  const { scope, notify } = useInspector();
  const part = (after, signal) => askScope(scope, `/days/${day}/pages`, { query: { limit: PART, after_seq: after }, signal });
  const loaded = useLoaded((signal) => part(0, signal), [scope, day]);
  const further = async () => {
    try {
      const later = await part(loaded.value.next_after_seq);
      loaded.set((before) => ({ ...later, pages: [...before.pages, ...later.pages] }));
    } catch (problem) {
      notify(TEXTS.shell.failed(problem.message), "bad");
    }
  };
  return html`
    <${Loaded} loaded=${loaded}>
      ${({ pages, next_after_seq: next }) => html`
        ${pages.map((page) => html`<${PageCard} key=${page.page_id} page=${page} />`)}
        ${next ? html`<button type="button" class="second" onClick=${further}>${T.morePages}</button>` : null}
      `}
    <//>
  `;
}
