/** Components shared by the views. Stored texts become text nodes only; no component accepts markup. */

import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";
import { askPage } from "./api.js";
import { ago, decimal, moment } from "./format.js";
import { useLoaded, useInspector } from "./state.js";
import { TEXTS } from "./texts.js";

/** The signals of a score in display order. */
export const SIGNALS = ["meaning", "words", "neighbours", "session", "speaker", "time", "recency"];
const LEAST_SHOWN = 0.005;

/** A time in the zone of its UTC offset; `relative` shows the time that has passed instead. @param {{at: string, relative?: boolean}} given */
export function Time({ at, relative }) {
  return html`<time dateTime=${at} title=${at}>${relative ? ago(at) : moment(at)}</time>`;
}

/** A stored text in its own writing direction; occurrences of `mark` are highlighted. */
export function StoredText({ text, mark, class: look = "" }) {
  return html`<span class=${`said ${look}`} dir="auto">${mark ? marked(text, mark) : text}</span>`;
}

function marked(text, words) {
  const parts = text.split(new RegExp(`(${words.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")})`, "iu"));
  return parts.map((part, index) => (index % 2 ? html`<mark>${part}</mark>` : part));
}

/** A note that the embedding model does not support the languages of the newest pages; nothing if it does. */
export function LanguageNote({ stats }) {
  return stats?.language_note ? html`<p class="trouble" role="note">${stats.language_note}</p>` : null;
}

/** @returns {{side: string, speaker: string, text: string}[]} the texts of a page of any JSON model */
export function sidesOf(page) {
  const sides = page.shown
    ? Object.entries(page.shown).map(([side, text]) => ({ side, speaker: page.speakers[side], text }))
    : [
        { side: "user", speaker: page.user_name || "user", text: page.user_text ?? page.user },
        { side: "assistant", speaker: page.assistant_name || "assistant", text: page.assistant_text ?? page.assistant },
      ];
  return sides.filter(({ text }) => text);
}

/**
 * A page with its date, speakers and texts, and additions of the view.
 * @param {{page: any, children?: any, foot?: any, flagged?: boolean, still?: boolean, class?: string}} given
 *   `still`: without the button that opens the page; `mark`: words to highlight
 */
export function PageCard({ page, children, foot, flagged, still, mark, class: look = "" }) {
  const { openPage } = useInspector();
  return html`
    <article class=${`card page ${look}`} data-page=${page.page_id}>
      <header>
        <${Time} at=${page.at} />
        ${page.seq ? html`<span class="faint">${TEXTS.page.position(page.seq)}</span>` : null}
        ${flagged ? html`<span class="badge warn">${TEXTS.page.flagged}</span>` : null}
        ${children}
        ${still
          ? null
          : html`<button type="button" class="quiet open" onClick=${() => openPage(page.page_id)}>${TEXTS.page.open}</button>`}
      </header>
      ${sidesOf(page).map(
        ({ side, speaker, text }) => html`
          <p class=${`line ${side}`} key=${side}>
            <${StoredText} class="speaker" text=${speaker} /> <${StoredText} text=${text} mark=${mark} />
          </p>
        `,
      )}
      ${foot}
    </article>
  `;
}

/** The contribution of each signal to a score as bars to both sides of zero. @param {{signals: any, score: number, scale?: number}} given */
export function SignalBars({ signals, score, scale }) {
  const shown = SIGNALS.filter((name) => Math.abs(signals[name]) >= LEAST_SHOWN);
  const widest = scale ?? Math.max(1, ...shown.map((name) => Math.abs(signals[name])));
  return html`
    <dl class="signals" aria-label=${TEXTS.signals.label(decimal(score))}>
      ${shown.map(
        (name) => html`
          <div key=${name} class=${`signal hue-${name}`}>
            <dt title=${TEXTS.signals.about[name]}>${TEXTS.signals.names[name]}</dt>
            <dd>
              <${Bar} share=${signals[name] / widest} />
              <span class="number">${decimal(signals[name])}</span>
            </dd>
          </div>
        `,
      )}
    </dl>
  `;
}

/** A bar from zero to a share in [-1, 1]. */
export function Bar({ share, class: look = "" }) {
  const length = `${Math.min(1, Math.abs(share)) * 100}%`;
  return html`<span class=${`bar ${share < 0 ? "below" : ""} ${look}`} aria-hidden="true"><i style=${{ width: length }}></i></span>`;
}

/** Buttons that open the source pages of an item. @param {{ids: string[]}} given */
export function Sources({ ids }) {
  const { openPage } = useInspector();
  if (!ids.length) return html`<span class="faint">${TEXTS.page.noSource}</span>`;
  return html`
    <span class="sources">
      <span class="faint">${TEXTS.page.sources(ids.length)}</span>
      ${ids.map(
        (id, index) => html`
          <button type="button" key=${id} class="chip" aria-label=${TEXTS.page.source(index + 1)} onClick=${() => openPage(id)}>
            ${index + 1}
          </button>
        `,
      )}
    </span>
  `;
}

/** A modal dialog; Esc and a click outside close it. @param {{title: string, onClose: () => void, children: any, wide?: boolean}} given */
export function Dialog({ title, onClose, children, wide }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return html`
    <dialog
      ref=${element}
      class=${wide ? "wide" : ""}
      aria-label=${title}
      onCancel=${(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick=${(event) => event.target === element.current && onClose()}
    >
      <div class="sheet">
        <header>
          <h2>${title}</h2>
          <button type="button" class="quiet" aria-label=${TEXTS.shell.close} onClick=${onClose}>×</button>
        </header>
        ${children}
      </div>
    </dialog>
  `;
}

/** The dialog of one page with its metadata and its segment. */
export function PageDialog({ pageId, onClose }) {
  const { scope, go } = useInspector();
  const { value: page, problem } = useLoaded(() => askPage(scope, pageId), [scope, pageId]);
  const toSegment = () => {
    onClose();
    go("tiers", "segments", page.segment_id);
  };
  return html`
    <${Dialog} title=${TEXTS.page.title} onClose=${onClose} wide>
      ${problem ? html`<${ErrorMessage} problem=${problem.status === 404 ? new Error(TEXTS.page.gone) : problem} />` : null}
      ${page
        ? html`
            <${PageCard} page=${page} still foot=${html`<${PageFoot} page=${page} toSegment=${toSegment} />`} />
          `
        : null}
    <//>
  `;
}

function PageFoot({ page, toSegment }) {
  const hasMetadata = Object.keys(page.meta_data).length > 0;
  return html`
    <footer>
      <p class="facts">
        <span class="badge">${page.learned ? TEXTS.page.learned : TEXTS.page.unlearned}</span>
        ${page.segment_id
          ? html`<button type="button" class="quiet" onClick=${toSegment}>${TEXTS.page.segment}</button>`
          : html`<span class="faint">${TEXTS.page.noSegment}</span>`}
        <code class="faint">${page.page_id}</code>
      </p>
      ${hasMetadata
        ? html`<details><summary>${TEXTS.page.metadata}</summary><pre class="said" dir="auto">${JSON.stringify(page.meta_data, null, 2)}</pre></details>`
        : null}
    </footer>
  `;
}

/** An error message with a button to try again. @param {{problem: Error, again?: () => void}} given */
export function ErrorMessage({ problem, again }) {
  const reason = problem.status === 0 ? TEXTS.shell.offline : problem.message;
  return html`
    <p class="trouble" role="alert">
      ${reason} ${again ? html`<button type="button" class="quiet" onClick=${again}>${TEXTS.shell.again}</button>` : null}
    </p>
  `;
}

/** The state of `useLoaded`: a loading message, an error message, or the result of `children`. */
export function Loaded({ loaded, children }) {
  if (loaded.problem) return html`<${ErrorMessage} problem=${loaded.problem} again=${loaded.again} />`;
  if (loaded.value === null) return html`<${Loading} />`;
  return children(loaded.value);
}

/** A loading message. */
export function Loading() {
  return html`<p class="faint loading" aria-busy="true">${TEXTS.shell.loading}</p>`;
}

/** A message for an empty view. */
export function Empty({ text, children }) {
  return html`<div class="empty"><p>${text}</p>${children}</div>`;
}

/** A number with its label. */
export function Figure({ value, name, class: look = "" }) {
  return html`<div class=${`figure ${look}`}><strong>${value}</strong><span>${name}</span></div>`;
}

/** A group of buttons of which one is selected. @param {{label: string, choices: [string, string][], chosen: string, onChoose: (name: string) => void}} given */
export function Choice({ label, choices, chosen, onChoose }) {
  return html`
    <div class="choice" role="group" aria-label=${label}>
      ${choices.map(
        ([name, text]) => html`
          <button type="button" key=${name} aria-pressed=${String(name === chosen)} onClick=${() => onChoose(name)}>${text}</button>
        `,
      )}
    </div>
  `;
}

/**
 * A list of rows of equal height. Only visible rows are in the document, so 5,000 rows render as fast as 20.
 * @param {{items: any[], rowHeight: number, row: (item: any, index: number) => any, keyOf: (item: any) => string, label: string, onEnd?: () => void}} given
 *   `onEnd` is called when the last row becomes visible
 */
export function VirtualList({ items, rowHeight, row, keyOf, label, onEnd }) {
  const element = useRef(null);
  const [viewport, setViewport] = useState({ top: 0, height: 800 });
  useEffect(() => {
    const list = element.current;
    const look = () => setViewport({ top: list.scrollTop, height: list.clientHeight });
    const sized = new ResizeObserver(look);
    sized.observe(list);
    list.addEventListener("scroll", look, { passive: true });
    return () => {
      sized.disconnect();
      list.removeEventListener("scroll", look);
    };
  }, []);
  const first = Math.max(0, Math.floor(viewport.top / rowHeight) - 5);
  const last = Math.min(items.length, Math.ceil((viewport.top + viewport.height) / rowHeight) + 5);
  const near = last >= items.length;
  useEffect(() => {
    if (near) onEnd?.();
  }, [near, items.length]);
  return html`
    <div ref=${element} class="virtual" style=${{ height: `${items.length * rowHeight + 2}px` }} tabindex="0" role="region" aria-label=${label}>
      <ol style=${{ height: `${items.length * rowHeight}px` }}>
        ${items.slice(first, last).map(
          (item, index) => html`
            <li
              key=${keyOf(item)}
              style=${{ height: `${rowHeight}px`, transform: `translateY(${(first + index) * rowHeight}px)` }}
              aria-setsize=${items.length}
              aria-posinset=${first + index + 1}
            >
              ${row(item, first + index)}
            </li>
          `,
        )}
      </ol>
    </div>
  `;
}
