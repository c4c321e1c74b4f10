/** Chat with the memory; a panel shows the recalled context of an answer. */

import { html, useCallback, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { askScope, eventsOf, Problem, requestScope } from "../api.js";
import { Loaded, Empty, StoredText, sidesOf, Sources, Time, ErrorMessage } from "../parts.js";
import { useLoaded, useInspector } from "../state.js";
import { TEXTS } from "../texts.js";
import { Context, RecalledFacts, RecalledPages, TokenMeter } from "./recalled.js";

const T = TEXTS.chat;
const EARLIER = 10;
let lastId = 0;

/** The view "chat". */
export function Chat() {
  const { scope } = useInspector();
  const { exchanges, asking, send, stop } = useExchanges(scope);
  const [chosen, choose] = useState(null);
  const shown = exchanges.find((each) => each.id === chosen) ?? exchanges.at(-1);
  return html`
    <div class="chat">
      <section class="talk" aria-label=${T.talk}>
        <${Talk} exchanges=${exchanges} shown=${shown} choose=${choose} />
        <${Composer} asking=${asking} stop=${stop} send=${(message) => {
          choose(null);
          send(message);
        }} />
      </section>
      <aside class="why" aria-label=${T.recalled}>
        <h2>${T.recalled}</h2>
        ${shown?.recall ? html`<${Why} exchange=${shown} />` : html`<p class="faint">${shown && !shown.problem ? T.recalling : T.recalledHint}</p>`}
      </aside>
    </div>
  `;
}

/** The exchanges since the view was opened; each is updated while its answer is streamed. */
function useExchanges(scope) {
  const [exchanges, setExchanges] = useState([]);
  const controller = useRef(null);
  useEffect(() => () => controller.current?.abort(), []);
  const send = useCallback(
    async ({ query, style, remember }) => {
      const id = ++lastId;
      const request = (controller.current = new AbortController());
      const change = (update) => setExchanges((before) => before.map((each) => (each.id === id ? { ...each, ...update(each) } : each)));
      setExchanges((before) => [...before, { id, query, remember, answer: "", state: "asking" }]);
      try {
        await follow(scope, { query, style_hint: style, remember, stream: true }, request.signal, change);
      } catch (problem) {
        change(() => (problem.name === "AbortError" ? { state: "stopped" } : { state: "failed", problem }));
      }
      if (controller.current === request) controller.current = null;
    },
    [scope],
  );
  const stop = useCallback(() => controller.current?.abort(), []);
  return { exchanges, asking: exchanges.some((each) => each.state === "asking"), send, stop };
}

async function follow(scope, body, signal, change) {
  const response = await requestScope(scope, "/answers", { body, signal });
  for await (const { name, data } of eventsOf(response)) {
    if (name === "recall") change(() => ({ recall: data }));
    if (name === "piece") change((before) => ({ answer: before.answer + data.text }));
    if (name === "done") change(() => ({ state: "done", done: data, answer: data.answer }));
    if (name === "error") throw new Problem(data);
    if (name === "done") return;
  }
  throw new Problem({ title: T.cut });
}

function Talk({ exchanges, shown, choose }) {
  const { scope } = useInspector();
  const earlier = useLoaded((signal) => askScope(scope, "/pages", { query: { limit: EARLIER }, signal }), [scope]);
  const end = useRef(null);
  const last = exchanges.at(-1);
  useLayoutEffect(() => {
    const list = end.current;
    list.scrollTop = list.scrollHeight;
  }, [last?.id, last?.answer, last?.state, earlier.value]);
  return html`
    <div class="talked" ref=${end} tabindex="0" role="log" aria-label=${T.talk}>
      <${Loaded} loaded=${earlier}>${({ pages }) => html`<${Earlier} pages=${[...pages].reverse()} alone=${!exchanges.length} />`}<//>
      ${exchanges.map((each) => html`<${Exchange} key=${each.id} exchange=${each} chosen=${each === shown} choose=${choose} />`)}
    </div>
  `;
}

function Earlier({ pages, alone }) {
  const { openPage } = useInspector();
  if (!pages.length) return alone ? html`<${Empty} text=${T.none} />` : null;
  return html`
    <p class="day-mark faint">${T.earlier}</p>
    ${pages.map(
      (page) => html`
        <div class="exchange earlier" key=${page.page_id}>
          ${sidesOf(page).map(
            ({ side, speaker, text }) => html`
              <div key=${side} class=${`bubble ${side}`}><${StoredText} class="speaker" text=${speaker} /> <${StoredText} text=${text} /></div>
            `,
          )}
          <p class="under"><${Time} at=${page.at} /> <button type="button" class="quiet" onClick=${() => openPage(page.page_id)}>${TEXTS.page.open}</button></p>
        </div>
      `,
    )}
    <p class="day-mark faint">${T.now}</p>
  `;
}

function Exchange({ exchange, chosen, choose }) {
  const { id, query, answer, state, done, problem, remember } = exchange;
  return html`
    <div class=${`exchange ${chosen ? "chosen" : ""}`} data-state=${state}>
      <div class="bubble user"><${StoredText} text=${query} /></div>
      ${answer || state === "asking"
        ? html`<div class="bubble assistant" aria-busy=${state === "asking" ? "true" : null}><${StoredText} text=${answer} />${state === "asking" ? html`<span class="caret" aria-hidden="true"></span>` : null}</div>`
        : null}
      ${problem ? html`<${ErrorMessage} problem=${problem} />` : null}
      <p class="under">
        ${state === "stopped" ? html`<span class="badge warn">${T.stopped}</span>` : null}
        ${done?.origin ? html`<span class="badge">${T.by(done.origin.analyst)}</span>` : null}
        ${done ? html`<span class="faint">${remember ? T.remembered : T.notRemembered}</span><${Sources} ids=${done.source_page_ids} />` : null}
        ${chosen ? null : html`<button type="button" class="quiet" onClick=${() => choose(id)}>${T.why}</button>`}
      </p>
    </div>
  `;
}

function Composer({ asking, send, stop }) {
  const [query, setQuery] = useState("");
  const [style, setStyle] = useState("");
  const [remember, setRemember] = useState(true);
  const field = useRef(null);
  const sent = (event) => {
    event?.preventDefault();
    if (asking || !query.trim()) return;
    send({ query, style, remember });
    setQuery("");
    field.current.focus();
  };
  const pressed = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) sent(event);
  };
  return html`
    <form class="composer" onSubmit=${sent}>
      <textarea ref=${field} rows="2" aria-label=${T.label} placeholder=${T.placeholder} value=${query}
        onInput=${(event) => setQuery(event.target.value)} onKeyDown=${pressed}></textarea>
      <div class="facts">
        <label><input type="checkbox" role="switch" checked=${remember} onChange=${(event) => setRemember(event.target.checked)} /> ${T.remember}</label>
        <input class="style" aria-label=${T.style} placeholder=${T.stylePlaceholder} value=${style} onInput=${(event) => setStyle(event.target.value)} />
        ${asking
          ? html`<button type="button" class="second" onClick=${stop}>${T.stop}</button>`
          : html`<button type="submit" disabled=${!query.trim()}>${T.send}</button>`}
      </div>
    </form>
  `;
}

function Why({ exchange }) {
  const { setup } = useInspector();
  const { recall, done } = exchange;
  const based = new Set(done?.source_page_ids ?? []);
  const note = (page) => (based.has(page.page_id) ? html`<span class="badge hot">${T.used}</span>` : null);
  return html`
    <p class="asked faint"><${StoredText} text=${recall.query} /></p>
    <${TokenMeter} used=${recall.tokens} budget=${setup.llm_context_tokens} about=${setup.has_llm ? T.budget : T.budgetLocal} />
    <h3>${T.pages(recall.pages.length)}</h3>
    <${RecalledPages} pages=${recall.pages} flagged=${recall.flagged_page_ids} note=${note} />
    ${recall.knowledge.length ? html`<h3>${T.facts(recall.knowledge.length)}</h3><${RecalledFacts} facts=${recall.knowledge} />` : null}
    <h3>${T.context}</h3>
    <${Context} recall=${recall} />
  `;
}
