/** The background work of this memory: its state, the last error, and live events. */

import { html, useEffect, useState } from "../vendor/preact.js";
import { ask, askScope } from "../api.js";
import { ago, count, moment } from "../format.js";
import { Loaded, Figure, LanguageNote, StoredText, Time } from "../parts.js";
import { useLoaded, useInspector, useLive } from "../state.js";
import { TEXTS } from "../texts.js";

const T = TEXTS.worker;
const POLL_MILLISECONDS = 3000;
const FEED_LENGTH = 100;

/** The view "worker". */
export function Worker() {
  const { scope } = useInspector();
  const loaded = useLoaded((signal) => loadWork(scope, signal), [scope]);
  const [feed, setFeed] = useState([]);
  useLive((name, data) => {
    if (name in T.events) setFeed((before) => [{ id: crypto.randomUUID?.() ?? Math.random(), at: new Date().toISOString(), name, data }, ...before].slice(0, FEED_LENGTH));
    if (name === "stats") loaded.again();
  });
  useEffect(() => {
    const timer = setInterval(loaded.again, POLL_MILLISECONDS);
    return () => clearInterval(timer);
  }, []);
  return html`
    <${Loaded} loaded=${loaded}>${(seen) => html`<${Standing} ...${seen} again=${loaded.again} />`}<//>
    <section class="card">
      <h2>${T.feed}</h2>
      <${Feed} feed=${feed} />
    </section>
    <${Server} />
  `;
}

async function loadWork(scope, signal) {
  const [work, stats] = await Promise.all([askScope(scope, "/work", { signal }), askScope(scope, "/stats", { signal })]);
  return { work, stats };
}

function stateOf(work, stats) {
  if (work.failures) return "failing";
  if (work.working) return "working";
  if (!stats.pages_due && !stats.pages_without_vector) return "idle";
  return work.background ? "collecting" : "manual";
}

function Standing({ work, stats, again }) {
  const { scope, notify } = useInspector();
  const [isRunning, setRunning] = useState(false);
  const state = stateOf(work, stats);
  const flush = async () => {
    setRunning(true);
    try {
      const { pages_due: due } = await askScope(scope, "/flush", { method: "POST" });
      notify(due ? T.left(due) : T.worked);
    } catch (problem) {
      notify(TEXTS.shell.failed(problem.message), "bad");
    } finally {
      setRunning(false);
      again();
    }
  };
  return html`
    <section class=${`card workload ${state}`}>
      <header class="between">
        <h2 aria-live="polite"><span class="lamp" aria-hidden="true"></span>${T.states[state]}</h2>
        <button type="button" disabled=${isRunning} aria-busy=${String(isRunning)} onClick=${flush}>${isRunning ? T.working : T.now}</button>
      </header>
      ${state === "failing" ? html`<${Failing} work=${work} />` : null}
      <div class="figures">
        <${Figure} value=${count(stats.pages_due)} name=${T.due} class=${stats.pages_due ? "due" : ""} />
        <${Figure} value=${count(stats.pages_without_vector)} name=${T.withoutVector} />
        <${Figure} value=${count(stats.pages_provisional)} name=${T.provisional} />
        <${Figure} value=${count(stats.pages - stats.pages_learned)} name=${T.unlearned} />
        <${Figure} value=${count(stats.pages)} name=${T.pages} />
        <${Figure} value=${count(stats.segments)} name=${T.segments} />
        <${Figure} value=${count(stats.knowledge_about_user + stats.knowledge_about_assistant)} name=${T.facts} />
      </div>
      <p class="facts faint">
        <span>${T.analyst}: ${stats.analyst}</span>
        <span>${T.embedder}: ${stats.embedder}</span>
        ${work.last_page_at ? html`<span>${T.newest}: <${Time} at=${work.last_page_at} /></span>` : null}
      </p>
      <${LanguageNote} stats=${stats} />
    </section>
  `;
}

function Failing({ work }) {
  return html`
    <div class="trouble">
      <p>
        <strong>${T.failures(work.failures)}</strong>${work.retry_at
          ? html`, <span title=${moment(work.retry_at)}>${T.retry(ago(work.retry_at, Date.parse(work.now)))}</span>`
          : null}
      </p>
      <p>${T.error}: <${StoredText} text=${work.last_error} /></p>
    </div>
  `;
}

function Feed({ feed }) {
  if (!feed.length) return html`<p class="faint">${T.quiet}</p>`;
  return html`
    <ol class="chronicle" role="log">
      ${feed.map(({ id, at, name, data }) => html`<li key=${id} class="fresh"><${Time} at=${at} /> <span>${T.events[name](data)}</span></li>`)}
    </ol>
  `;
}

function Server() {
  const { setup } = useInspector();
  const loaded = useLoaded((signal) => (setup.is_admin ? ask("v1/stats", { signal }) : Promise.resolve(null)), [setup]);
  if (!loaded.value) return null;
  return html`
    <section class="card">
      <h2>${T.server}</h2>
      <div class="figures">
        <${Figure} value=${count(loaded.value.memories)} name=${T.memories} />
        <${Figure} value=${count(loaded.value.backlog)} name=${T.waiting} />
      </div>
    </section>
  `;
}
