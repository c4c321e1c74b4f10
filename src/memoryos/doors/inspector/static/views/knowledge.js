/** Knowledge: each fact with its source pages, its origin, and the facts that it replaced. */

import { html, useMemo, useState } from "../vendor/preact.js";
import { askAll, askScope } from "../api.js";
import { Loaded, Choice, Dialog, Empty, StoredText, Sources, Time } from "../parts.js";
import { useLoaded, useInspector, useLive } from "../state.js";
import { TEXTS } from "../texts.js";

const T = TEXTS.knowledge;
const PART = 100;

/** The tier "knowledge". */
export function Knowledge() {
  const { scope } = useInspector();
  const [about, setAbout] = useState("all");
  const [history, setHistory] = useState(false);
  const [filter, setFilter] = useState("");
  const [fresh, setFresh] = useState(() => new Set());
  const loaded = useLoaded(
    (signal) => askAll(scope, "/knowledge", { field: "knowledge", query: { about: about === "all" ? null : about, history }, signal }),
    [scope, about, history],
  );
  useLive((name, data) => {
    if (!["learned", "gone", "missed"].includes(name)) return;
    if (data?.knowledge) setFresh((before) => new Set([...before, ...data.knowledge.map((each) => each.knowledge_id)]));
    loaded.again();
  });
  return html`
    <div class="between">
      <${Choice} label=${T.about} choices=${Object.entries(T.kinds)} chosen=${about} onChoose=${setAbout} />
      <label><input type="checkbox" role="switch" checked=${history} onChange=${(event) => setHistory(event.target.checked)} /> ${T.history}</label>
      <input type="search" aria-label=${T.filter} placeholder=${T.filter} value=${filter} onInput=${(event) => setFilter(event.target.value)} />
    </div>
    <${Loaded} loaded=${loaded}>${(facts) => html`<${Facts} facts=${facts} filter=${filter} fresh=${fresh} again=${loaded.again} />`}<//>
  `;
}

function Facts({ facts, filter, fresh, again }) {
  const [most, setMost] = useState(PART);
  const [opened, open] = useState(null);
  const needle = filter.trim().toLowerCase();
  const found = useMemo(() => facts.filter((each) => each.text.toLowerCase().includes(needle)).reverse(), [facts, needle]);
  if (!facts.length) return html`<${Empty} text=${T.none} />`;
  return html`
    <p class="faint" role="status">${found.length ? T.shown(found.length, facts.length) : T.noneSo}</p>
    <ul class="known">
      ${found.slice(0, most).map(
        (fact) => html`<li key=${fact.knowledge_id} class=${fresh.has(fact.knowledge_id) ? "fresh" : ""}><${Fact} fact=${fact} open=${open} /></li>`,
      )}
    </ul>
    ${found.length > most ? html`<button type="button" class="second" onClick=${() => setMost(most + PART)}>${T.more}</button>` : null}
    ${opened ? html`<${History} fact=${opened} onClose=${() => open(null)} again=${again} />` : null}
  `;
}

function Fact({ fact, open }) {
  const hasEnded = fact.valid_until && Date.parse(fact.valid_until) <= Date.now();
  const isCurrent = !fact.superseded_by && !fact.archived_at && !hasEnded;
  return html`
    <article class=${`card fact ${isCurrent ? "" : "past"}`}>
      <p><span class=${`badge ${fact.about}`}>${TEXTS.about[fact.about]}</span> <${StoredText} text=${fact.text} /></p>
      <p class="facts small">
        <${State} fact=${fact} />
        <${Sources} ids=${fact.source_page_ids} />
        ${open ? html`<button type="button" class="quiet" onClick=${() => open(fact)}>${T.versions}</button>` : null}
      </p>
    </article>
  `;
}

function State({ fact }) {
  return html`
    ${fact.subject === fact.about ? null : html`<span class="badge"><${StoredText} text=${fact.subject} /></span>`}
    ${fact.status ? html`<span class="badge">${T.statuses[fact.status]}</span>` : null}
    ${fact.conflicts_with.length ? html`<span class="badge" title=${T.contradictedSo}>${T.contradicted}</span>` : null}
    <span class="faint">${T.stated} <${Time} at=${fact.stated_at} /></span>
    ${fact.valid_from ? html`<span class="faint">${T.validFrom} <${Time} at=${fact.valid_from} /></span>` : null}
    ${fact.valid_until ? html`<span class="faint">${T.validUntil} <${Time} at=${fact.valid_until} /></span>` : null}
    <span class="faint" title=${T.origin}>${T.by(fact.origin)}</span>
    ${fact.superseded_by ? html`<span class="badge">${T.replaced}</span>` : null}
    ${fact.archived_at ? html`<span class="badge">${T.archived}</span>` : null}
  `;
}

function History({ fact, onClose, again }) {
  const { scope } = useInspector();
  const loaded = useLoaded((signal) => askScope(scope, `/knowledge/${encodeURIComponent(fact.knowledge_id)}/history`, { signal }), [scope, fact]);
  return html`
    <${Dialog} title=${T.versionsOf} onClose=${onClose} wide>
      <${Loaded} loaded=${loaded}>
        ${({ knowledge }) => html`
          <ol class="versions">
            ${knowledge.map((each) => html`<li key=${each.knowledge_id}><${Fact} fact=${each} /></li>`)}
          </ol>
          <${Correction} fact=${knowledge.at(-1)} done=${() => {
            onClose();
            again();
          }} />
        `}
      <//>
    <//>
  `;
}

function Correction({ fact, done }) {
  const { scope, notify } = useInspector();
  const [text, setText] = useState(null);
  if (text === null) return html`<button type="button" class="second" onClick=${() => setText(fact.text)}>${T.correct}</button>`;
  const sent = async (event) => {
    event.preventDefault();
    try {
      await askScope(scope, `/knowledge/${encodeURIComponent(fact.knowledge_id)}`, { method: "PUT", body: { text } });
      notify(T.corrected);
      done();
    } catch (problem) {
      notify(TEXTS.shell.failed(problem.message), "bad");
    }
  };
  return html`
    <form onSubmit=${sent}>
      <label>${T.right}<textarea rows="2" required value=${text} onInput=${(event) => setText(event.target.value)}></textarea></label>
      <p class="facts end">
        <button type="button" class="second" onClick=${() => setText(null)}>${T.cancel}</button>
        <button type="submit" disabled=${!text.trim() || text === fact.text}>${T.save}</button>
      </p>
    </form>
  `;
}
