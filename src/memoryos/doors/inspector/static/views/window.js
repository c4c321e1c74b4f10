/** The short-term window: its pages, and the pages that left it since the view was opened. */

import { html, useState } from "../vendor/preact.js";
import { askScope } from "../api.js";
import { count } from "../format.js";
import { Loaded, Empty, PageCard } from "../parts.js";
import { useLoaded, useInspector, useLive } from "../state.js";
import { TEXTS } from "../texts.js";

const T = TEXTS.window;
const KEPT = 5;

/** The tier "window". */
export function Window() {
  const { scope, setup } = useInspector();
  const capacity = setup.short_term_capacity;
  const loaded = useLoaded((signal) => askScope(scope, "/pages", { query: { limit: Math.max(1, capacity) }, signal }), [scope]);
  const [fresh, setFresh] = useState(() => new Set());
  const [movedPages, setMovedPages] = useState([]);
  useLive((name, data) => {
    if (name === "page_added") {
      setFresh((before) => new Set([...before, data.page_id]));
      loaded.set((known) => known && pushed(known, data, capacity, (out) => setMovedPages((before) => [...out, ...before].slice(0, KEPT))));
    }
    if (name === "gone" || name === "missed") loaded.again();
  });
  return html`
    <p class="faint">${T.about(count(capacity))}</p>
    <${Loaded} loaded=${loaded}>
      ${({ pages }) => html`
        ${pages.length ? null : html`<${Empty} text=${T.none} />`}
        <ol class="window" style=${{ "--places": capacity }}>
          ${pages.slice(0, capacity).map(
            (page, index) => html`
              <li key=${page.page_id} class=${fresh.has(page.page_id) ? "fresh" : ""}>
                <${PageCard} page=${page}>
                  ${index === 0 ? html`<span class="badge">${T.newest}</span>` : null}
                  ${index === capacity - 1 ? html`<span class="badge warn">${T.leaves}</span>` : null}
                <//>
              </li>
            `,
          )}
        </ol>
      `}
    <//>
    ${movedPages.length
      ? html`
          <section class="slid" aria-label=${T.slidOut}>
            <h2>${T.slidOut}</h2>
            ${movedPages.map((page) => html`<${PageCard} key=${page.page_id} page=${page} />`)}
          </section>
        `
      : null}
  `;
}

function pushed(known, page, capacity, slidOut) {
  if (known.pages.some((each) => each.page_id === page.page_id)) return known;
  const pages = [page, ...known.pages];
  if (pages.length > capacity) slidOut(pages.slice(capacity));
  return { ...known, pages: pages.slice(0, capacity) };
}
