/** Forgetting in three steps: selection, preview, and permanent deletion. */

import { html, useMemo, useState } from "../vendor/preact.js";
import { askAll, askScope } from "../api.js";
import { Loaded, Choice, Dialog, Empty, StoredText } from "../parts.js";
import { useLoaded, useInspector } from "../state.js";
import { TEXTS } from "../texts.js";
import { Closure, FoundPages } from "./closure.js";

const T = TEXTS.forget;

/** The view "forget". @param {{rest: string[]}} given "pages" and ids if pages were selected in the search */
export function Forget({ rest }) {
  const { scope, notify } = useInspector();
  const [what, setWhat] = useState(null);
  const [receipt, setReceipt] = useState(null);
  const [asking, setAsking] = useState(false);
  const [under, setUnder] = useState(false);
  const send = async (body, dryRun) => {
    setUnder(true);
    try {
      const result = await askScope(scope, "/forget", { body: { ...body, dry_run: dryRun } });
      setReceipt(result);
      if (!dryRun) notify(T.done(result.page_ids.length));
    } catch (problem) {
      notify(TEXTS.shell.failed(problem.message), "bad");
    } finally {
      setUnder(false);
    }
  };
  const preview = (body) => {
    setWhat(body);
    send(body, true);
  };
  const reset = () => {
    setReceipt(null);
    setWhat(null);
  };
  if (receipt && !receipt.dry_run) return html`<${Gone} receipt=${receipt} again=${reset} />`;
  return html`
    <p class="faint">${T.intro}</p>
    <${What} picked=${rest[0] === "pages" ? rest.slice(1) : []} under=${under} preview=${preview} reset=${reset} />
    ${receipt ? html`<${Closure} receipt=${receipt} doIt=${() => setAsking(true)} />` : null}
    ${asking
      ? html`<${Sure}
          whole=${Boolean(what.everything)}
          cancel=${() => setAsking(false)}
          doIt=${() => {
            setAsking(false);
            send(what, false);
          }}
        />`
      : null}
  `;
}

function What({ picked, under, preview, reset }) {
  const [way, setWay] = useState("pages");
  const choose = (name) => {
    setWay(name);
    reset();
  };
  const Way = { pages: Pages, facts: Facts, about: About, before: Before, everything: Everything }[way];
  return html`
    <section class="card">
      <${Choice} label=${T.way} choices=${Object.entries(T.ways)} chosen=${way} onChoose=${choose} />
      <div class="way"><${Way} key=${way} picked=${picked} under=${under} preview=${preview} /></div>
    </section>
  `;
}

function Preview({ under, disabled, onClick }) {
  return html`<button type="button" disabled=${under || disabled} aria-busy=${String(under)} onClick=${onClick}>${T.preview}</button>`;
}

function Pages({ picked, under, preview }) {
  const { go } = useInspector();
  const toSearch = html`<button type="button" class="second" onClick=${() => go("search")}>${T.toSearch}</button>`;
  if (!picked.length) return html`<${Empty} text=${T.noPages}>${toSearch}<//>`;
  return html`
    <p>${T.picked(picked.length)}</p>
    <p class="inline"><${Preview} under=${under} onClick=${() => preview({ page_ids: picked })} />${toSearch}</p>
  `;
}

function Facts({ under, preview }) {
  const { scope } = useInspector();
  const loaded = useLoaded((signal) => askAll(scope, "/knowledge", { field: "knowledge", signal }), [scope]);
  const [filter, setFilter] = useState("");
  const [picked, setPicked] = useState([]);
  return html`
    <${Loaded} loaded=${loaded}>
      ${(facts) => html`
        <input type="search" aria-label=${T.filter} placeholder=${T.filter} value=${filter} onInput=${(event) => setFilter(event.target.value)} />
        <${FactList} facts=${facts} filter=${filter.toLowerCase()} picked=${picked} onPick=${setPicked} />
        <${Preview} under=${under} disabled=${!picked.length} onClick=${() => preview({ knowledge_ids: picked })} />
      `}
    <//>
  `;
}

function FactList({ facts, filter, picked, onPick }) {
  const shown = useMemo(() => facts.filter((fact) => fact.text.toLowerCase().includes(filter)), [facts, filter]);
  if (!shown.length) return html`<p class="faint">${T.noFacts}</p>`;
  return html`
    <ul class="picks" aria-label=${T.facts}>
      ${shown.map(
        (fact) => html`
          <li key=${fact.knowledge_id}>
            <label>
              <input type="checkbox" checked=${picked.includes(fact.knowledge_id)} onChange=${() => onPick(toggled(picked, fact.knowledge_id))} />
              <${StoredText} text=${fact.text} /> <span class="faint">${TEXTS.timeline.about[fact.about]}</span>
            </label>
          </li>
        `,
      )}
    </ul>
  `;
}

function toggled(list, item) {
  return list.includes(item) ? list.filter((each) => each !== item) : [...list, item];
}

function About({ under, preview }) {
  const { scope, notify } = useInspector();
  const [query, setQuery] = useState("");
  const [found, setFound] = useState(null);
  const [picked, setPicked] = useState([]);
  const find = async (event) => {
    event.preventDefault();
    try {
      setFound((await askScope(scope, "/forget", { body: { query_preview: query } })).page_ids);
      setPicked([]);
    } catch (problem) {
      notify(TEXTS.shell.failed(problem.message), "bad");
    }
  };
  return html`
    <form class="inline" onSubmit=${find}>
      <label>${T.about}<input required value=${query} onInput=${(event) => setQuery(event.target.value)} /></label>
      <button type="submit" class="second">${T.find}</button>
    </form>
    ${found && !found.length ? html`<p class="faint">${T.notFound}</p>` : null}
    ${found?.length
      ? html`
          <p>${T.found}</p>
          <${FoundPages} ids=${found} picked=${picked} onPick=${(id) => setPicked(toggled(picked, id))} />
          <${Preview} under=${under} disabled=${!picked.length} onClick=${() => preview({ page_ids: picked })} />
        `
      : null}
  `;
}

function Before({ under, preview }) {
  const [day, setDay] = useState("");
  return html`
    <div class="inline">
      <label>${T.before}<input type="date" required value=${day} onInput=${(event) => setDay(event.target.value)} /></label>
      <${Preview} under=${under} disabled=${!day} onClick=${() => preview({ before: `${day}T00:00:00Z` })} />
    </div>
  `;
}

function Everything({ under, preview }) {
  const { scope } = useInspector();
  return html`
    <p>${T.everything(scope.userId, scope.assistantId)}</p>
    <${Preview} under=${under} onClick=${() => preview({ everything: true })} />
  `;
}

function Sure({ whole, cancel, doIt }) {
  const { scope } = useInspector();
  const [typed, setTyped] = useState("");
  const sent = (event) => {
    event.preventDefault();
    if (!whole || typed === scope.userId) doIt();
  };
  return html`
    <${Dialog} title=${T.sure} onClose=${cancel}>
      <form onSubmit=${sent}>
        <p>${T.cannot}</p>
        ${whole
          ? html`<label>${T.type(scope.userId)}<input autocomplete="off" spellcheck="false" value=${typed} onInput=${(event) => setTyped(event.target.value)} /></label>`
          : null}
        <p class="inline end">
          <button type="button" class="second" onClick=${cancel}>${T.cancel}</button>
          <button type="submit" class="danger" disabled=${whole && typed !== scope.userId}>${T.doIt}</button>
        </p>
      </form>
    <//>
  `;
}

function Gone({ receipt, again }) {
  return html`
    <section class="card" role="status">
      <h2>${T.done(receipt.page_ids.length)}</h2>
      <p>${receipt.erased ? T.erased : T.notErased}</p>
    </section>
    <${Closure} receipt=${receipt} />
    <button type="button" class="second" onClick=${again}>${T.again}</button>
  `;
}
