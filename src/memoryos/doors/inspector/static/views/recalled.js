/** Recalled items with their signals; used by the chat and the recall explorer. */

import { html } from "../vendor/preact.js";
import { count, decimal } from "../format.js";
import { Bar, PageCard, StoredText, SIGNALS, SignalBars, Sources } from "../parts.js";
import { TEXTS } from "../texts.js";

const T = TEXTS.recalled;

/** @returns {number} the largest signal of all items; it is the common scale of their bars */
export function scaleOf(items) {
  return Math.max(1, ...items.flatMap((item) => SIGNALS.map((name) => Math.abs(item.signals[name]))));
}

/**
 * Recalled pages, best first.
 * @param {{pages: any[], flagged?: string[], scale?: number, from?: number, note?: (page: any, index: number) => any}} given
 *   `from`: the rank of the first; `note` adds to the head of a page
 */
export function RecalledPages({ pages, flagged = [], scale = scaleOf(pages), from = 1, note }) {
  return html`
    <ol class="ranking">
      ${pages.map(
        (page, index) => html`
          <li key=${page.page_id}>
            <${PageCard}
              page=${page}
              flagged=${flagged.includes(page.page_id)}
              foot=${html`<${SignalBars} signals=${page.signals} score=${page.score} scale=${scale} />`}
            >
              <span class="rank">${count(from + index)}</span>
              <strong class="score" title=${TEXTS.signals.label(decimal(page.score))}>${decimal(page.score)}</strong>
              ${note?.(page, index)}
            <//>
          </li>
        `,
      )}
    </ol>
  `;
}

/** Recalled facts, those about the user first. @param {{facts: any[]}} given */
export function RecalledFacts({ facts }) {
  const scale = scaleOf(facts);
  return html`
    <ul class="facts-found">
      ${facts.map(
        (fact) => html`
          <li key=${fact.knowledge_id}>
            <p><span class="badge">${TEXTS.about[fact.about]}</span> <${StoredText} text=${fact.text} /></p>
            <p class="facts">
              <span class="faint">${TEXTS.signals.score} ${decimal(fact.score)}</span>
              <${Sources} ids=${fact.source_page_ids} />
            </p>
            <details>
              <summary>${T.why}</summary>
              <${SignalBars} signals=${fact.signals} score=${fact.score} scale=${scale} />
            </details>
          </li>
        `,
      )}
    </ul>
  `;
}

/** The used part of a token budget. @param {{used: number, budget: number|null, about: string}} given */
export function TokenMeter({ used, budget, about }) {
  return html`
    <div class="meter">
      <span><strong>${count(used)}</strong> ${budget ? T.ofTokens(budget) : T.tokens}</span>
      ${budget ? html`<${Bar} share=${used / budget} />` : null}
      <span class="faint">${about}</span>
    </div>
  `;
}

/** The profile and the short-term window of a context, and the context as text. @param {{recall: any, open?: boolean}} given */
export function Context({ recall, open }) {
  const { attributes, traits } = recall.profile;
  return html`
    <${PromptText} recall=${recall} open=${open} />
    ${attributes.length || traits.length
      ? html`
          <details>
            <summary>${T.profile(attributes.length, traits.length)}</summary>
            <ul class="plain">
              ${attributes.map((each) => html`<li key=${`${each.name} ${each.value}`}><span class="faint">${named(each.name)}:</span> <${StoredText} text=${each.value} /></li>`)}
              ${traits.map((each) => html`<li key=${`${each.category} ${each.dimension}`}><span class="faint">${each.dimension} (${TEXTS.levels[each.level]}):</span> <${StoredText} text=${each.reason} /></li>`)}
            </ul>
          </details>
        `
      : null}
    ${recall.short_term.length
      ? html`
          <details>
            <summary>${T.window(recall.short_term.length)}</summary>
            ${recall.short_term.map((page) => html`<${PageCard} key=${page.page_id} page=${page} />`)}
          </details>
        `
      : null}
  `;
}

function PromptText({ recall, open }) {
  return html`
    <details open=${open}>
      <summary>${T.prompt}</summary>
      <pre class="said prompt" dir="auto" tabindex="0">${recall.prompt || T.noPrompt}</pre>
    </details>
  `;
}

/** @returns {string} the name of an attribute as words */
export function named(name) {
  return name.replaceAll("_", " ");
}
