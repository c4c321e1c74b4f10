/** Search for words in the pages; selected pages can be forgotten. */

import { html, useEffect, useMemo, useState } from "../vendor/preact.js";
import { askScope } from "../api.js";
import { Loaded, Empty, PageCard } from "../parts.js";
import { useLoaded, useInspector, useLive, useDebounced } from "../state.js";
import { TEXTS } from "../texts.js";

const T = TEXTS.search;
const PART = 50;
const SETTLE_MILLISECONDS = 250;
const LONGEST = 1000;

/** The view "search". */
export function Search() {
  const { scope, go } = useInspector();
  const [text, setText] = useState("");
  const words = useDebounced(text.trim(), SETTLE_MILLISECONDS);
  const [picked, setPicked] = useState([]);
  const [fresh, setFresh] = useState(0);
  const loaded = useLoaded((signal) => part(scope, words, null, signal), [scope, words]);
  const stats = useLoaded((signal) => askScope(scope, "/stats", { signal }), [scope]);
  useLive((name, data) => {
    if (name === "page_added") setFresh((before) => before + 1);
    if (name === "stats") stats.set(data);
  });
  useEffect(() => setFresh(0), [loaded.value]);
  const pick = (pageId) =>
    setPicked((before) => (before.includes(pageId) ? before.filter((each) => each !== pageId) : [...before, pageId]));
  return html`
    <div class="searching">
      <input type="search" aria-label=${T.label} placeholder=${T.placeholder} maxlength=${LONGEST} value=${text}
        onInput=${(event) => setText(event.target.value)} />
      ${fresh ? html`<button type="button" class="second" onClick=${loaded.again}>${T.fresh(fresh)}</button>` : null}
    </div>
    <${Loaded} loaded=${loaded}>
      ${() => html`<${Found} loaded=${loaded} stats=${stats.value} picked=${picked} pick=${pick} />`}
    <//>
    ${picked.length
      ? html`
          <div class="picked" role="region" aria-label=${T.picked(picked.length)}>
            <strong>${T.picked(picked.length)}</strong>
            <button type="button" class="danger" onClick=${() => go("forget", "pages", ...picked)}>${T.forget}</button>
            <button type="button" class="second" onClick=${() => setPicked([])}>${T.clear}</button>
          </div>
        `
      : null}
  `;
}

async function part(scope, words, before, signal) {
  const found = await askScope(scope, "/pages", { query: { q: words, limit: PART, before_seq: before }, signal });
  return { ...found, words };
}

function Found({ loaded, stats, picked, pick }) {
  const { scope, notify } = useInspector();
  const [under, setUnder] = useState(false);
  const { pages, words, next_before_seq: next } = loaded.value;
  const cards = useMemo(() => pages.map((page) => cardOf(page, words, picked, pick)), [pages, picked]);
  const further = async () => {
    setUnder(true);
    try {
      const later = await part(scope, words, next);
      loaded.set({ ...later, pages: [...pages, ...later.pages] });
    } catch (problem) {
      notify(TEXTS.shell.failed(problem.message), "bad");
    } finally {
      setUnder(false);
    }
  };
  if (!pages.length && !next) return html`<${Empty} text=${words ? T.none : T.nothing} />`;
  return html`
    <p class="faint" role="status">
      ${words ? (pages.length ? T.found(pages.length, next) : T.further) : T.all(stats?.pages ?? pages.length)}
    </p>
    <div class="hits">
      ${cards}
    </div>
    ${next
      ? html`<button type="button" class="second" disabled=${under} onClick=${further}>${pages.length ? T.more : T.further}</button>`
      : null}
  `;
}

function cardOf(page, words, picked, pick) {
  return html`
    <${PageCard} key=${page.page_id} page=${page} mark=${words}>
      <label class="pick">
        <input type="checkbox" aria-label=${T.pick(page.seq)} checked=${picked.includes(page.page_id)} onChange=${() => pick(page.page_id)} />
      </label>
    <//>
  `;
}
