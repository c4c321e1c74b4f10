/** The receipt of forgetting: deleted pages and derived items, and pages that are kept. */

import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { askAll, askPage } from "../api.js";
import { count } from "../format.js";
import { Empty, Figure, PageCard, StoredText } from "../parts.js";
import { useLoaded, useInspector } from "../state.js";
import { TEXTS } from "../texts.js";

const T = TEXTS.forget;
const FIRST = 20;

/**
 * The button is above the pages, because they change its position while they load.
 * @param {{receipt: any, doIt?: () => void}} given `doIt` starts the deletion; it is absent if the deletion is done
 */
export function Closure({ receipt, doIt }) {
  const figures = [
    [receipt.page_ids.length, T.parts.pages],
    [receipt.answer_page_ids.length, T.parts.answers],
    [receipt.knowledge_ids.length, T.parts.facts],
    [receipt.attributes.length, T.parts.attributes],
    [receipt.traits.length, T.parts.traits],
    [receipt.segments, T.parts.segments],
    [receipt.pages_due, T.parts.due],
    [receipt.pages_reopened, T.parts.reopened],
    [receipt.echo_page_ids.length, T.parts.echoes],
  ].filter(([number]) => number);
  const heading = useRef(null);
  useEffect(() => {
    if (!doIt) return;
    heading.current.focus({ preventScroll: true });
    heading.current.scrollIntoView({ block: "start" });
  }, [receipt]);
  return html`
    <section class=${`card closure ${doIt ? "would" : ""}`}>
      <h2 ref=${heading} tabindex="-1">${doIt ? T.would : T.went}</h2>
      ${figures.length
        ? html`<div class="figures">${figures.map(([number, name]) => html`<${Figure} key=${name} value=${count(number)} name=${name} />`)}</div>`
        : html`<${Empty} text=${T.nothing} />`}
      ${doIt ? html`<button type="button" class="danger" disabled=${!figures.length} onClick=${doIt}>${T.doIt}</button> <${Parts} receipt=${receipt} />` : null}
    </section>
  `;
}

function Parts({ receipt }) {
  const named = [...receipt.attributes, ...receipt.traits];
  return html`
    ${receipt.page_ids.length ? html`<h3>${T.ways.pages}</h3><${FoundPages} ids=${receipt.page_ids} />` : null}
    ${receipt.knowledge_ids.length ? html`<h3>${T.facts}</h3><${FactTexts} ids=${receipt.knowledge_ids} />` : null}
    ${named.length ? html`<p class="chips">${named.map((name) => html`<span key=${name} class="chip"><${StoredText} text=${name} /></span>`)}</p>` : null}
    ${receipt.answer_page_ids.length ? html`<h3>${T.answers}</h3><${FoundPages} ids=${receipt.answer_page_ids} />` : null}
    ${receipt.echo_page_ids.length ? html`<h3>${T.echoes}</h3><${FoundPages} ids=${receipt.echo_page_ids} />` : null}
  `;
}

/** Pages by id; only the first are loaded at once. @param {{ids: string[], picked?: string[], onPick?: (id: string) => void}} given */
export function FoundPages({ ids, picked, onPick }) {
  const [shown, setShown] = useState(FIRST);
  return html`
    <div class="found-pages">
      ${ids.slice(0, shown).map((id) => html`<${FoundPage} key=${id} id=${id} picked=${picked?.includes(id)} onPick=${onPick} />`)}
      ${ids.length > shown
        ? html`<button type="button" class="quiet" onClick=${() => setShown(shown + FIRST * 5)}>${T.more(Math.min(ids.length - shown, FIRST * 5))}</button>`
        : null}
    </div>
  `;
}

function FoundPage({ id, picked, onPick }) {
  const { scope } = useInspector();
  const { value: page, problem } = useLoaded(() => askPage(scope, id), [scope, id]);
  if (problem) return html`<p class="faint">${T.unknown}: <code>${id}</code></p>`;
  if (!page) return html`<div class="card page waiting" aria-busy="true"></div>`;
  return html`
    <${PageCard} page=${page}>
      ${onPick
        ? html`<label class="pick"><input type="checkbox" aria-label=${TEXTS.search.pick(page.seq)} checked=${picked} onChange=${() => onPick(id)} /></label>`
        : null}
    <//>
  `;
}

function FactTexts({ ids }) {
  const { scope } = useInspector();
  const loaded = useLoaded((signal) => askAll(scope, "/knowledge", { field: "knowledge", query: { history: true }, signal }), [scope]);
  const texts = useMemo(() => new Map((loaded.value ?? []).map((fact) => [fact.knowledge_id, fact.text])), [loaded.value]);
  return html`
    <ul class="texts">
      ${ids.slice(0, FIRST * 5).map((id) => html`<li key=${id}><${StoredText} text=${texts.get(id) ?? (loaded.loading ? "…" : id)} /></li>`)}
    </ul>
    ${ids.length > FIRST * 5 ? html`<p class="faint">${T.more(ids.length - FIRST * 5)}</p>` : null}
  `;
}
