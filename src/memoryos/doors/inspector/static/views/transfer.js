/** Import of conversation files with progress, and export of the memory as a file. */

import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { requestScope } from "../api.js";
import { StoredText } from "../parts.js";
import { useInspector } from "../state.js";
import { TEXTS } from "../texts.js";
import { upload } from "../upload.js";

const T = TEXTS.transfer;

/** The view "transfer". */
export function Transfer() {
  return html`
    <div class="two">
      <${Import} />
      <${Export} />
    </div>
  `;
}

function Import() {
  const { scope } = useInspector();
  const [jobs, setJobs] = useState([]);
  const [over, setOver] = useState(false);
  const input = useRef(null);
  const stopping = useRef(null);
  const change = (id, values) => setJobs((before) => before.map((job) => (job.id === id ? { ...job, ...values } : job)));
  const waiting = jobs.find((job) => job.state === "waiting");
  const isBusy = jobs.some((job) => job.state === "sending");
  useEffect(() => {
    if (!waiting || isBusy) return;
    stopping.current = new AbortController();
    change(waiting.id, { state: "sending" });
    upload(scope, waiting.file, {
      onSent: (share) => change(waiting.id, { share }),
      signal: stopping.current.signal,
    }).then(
      (loaded) => change(waiting.id, { state: "read", loaded }),
      (problem) => change(waiting.id, { state: problem.name === "AbortError" ? "stopped" : "failed", problem }),
    );
  }, [waiting, isBusy]);
  useEffect(() => () => stopping.current?.abort(), []);
  const take = (files) =>
    setJobs((before) => [
      ...before,
      ...[...files].map((file, index) => ({ id: before.length + index, file, state: "waiting", share: 0 })),
    ]);
  const dropped = (event) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files);
  };
  return html`
    <section class="card">
      <h2>${T.importing}</h2>
      <p class="faint">${T.reads}</p>
      <div class=${`drop ${over ? "over" : ""}`} onDrop=${dropped} onDragLeave=${() => setOver(false)}
        onDragOver=${(event) => {
          event.preventDefault();
          setOver(true);
        }}>
        <button type="button" onClick=${() => input.current.click()}>${T.choose}</button> <span class="faint">${T.drop}</span>
        <input ref=${input} type="file" multiple hidden aria-label=${T.choose}
          onChange=${(event) => {
            take(event.target.files);
            event.target.value = "";
          }} />
      </div>
      <p class="faint">${T.into(scope.userId, scope.assistantId)}</p>
      <ul class="jobs">
        ${jobs.map((job) => html`<${Job} key=${job.id} job=${job} stop=${() => stopping.current.abort()} />`)}
      </ul>
    </section>
  `;
}

function Job({ job, stop }) {
  const name = job.file.name;
  const isSent = job.share >= 1;
  const text = {
    waiting: T.waiting(name),
    sending: isSent ? T.reading(name) : T.sending(name, Math.floor(job.share * 100)),
    read: T.read(name),
    failed: T.failed(name),
    stopped: T.stopped,
  }[job.state];
  return html`
    <li class=${`job ${job.state}`}>
      <p role="status"><${StoredText} text=${text} /></p>
      ${job.state === "sending"
        ? html`
            <div class="inline">
              <progress aria-label=${T.progress(name)} max="1" value=${isSent ? undefined : job.share}></progress>
              ${isSent ? null : html`<button type="button" class="second" onClick=${stop}>${T.stop}</button>`}
            </div>
          `
        : null}
      ${job.state === "read" ? html`<${Loaded} loaded=${job.loaded} />` : null}
      ${job.state === "failed" ? html`<p class="trouble" role="alert">${job.problem.status ? job.problem.message : TEXTS.shell.offline}</p>` : null}
    </li>
  `;
}

function Loaded({ loaded }) {
  return html`
    <p class="facts">
      <strong>${T.pages(loaded.pages)}</strong>
      ${loaded.known ? html`<span>${T.known(loaded.known)}</span>` : null}
      ${loaded.forgotten ? html`<span>${T.forgotten(loaded.forgotten)}</span>` : null}
      ${loaded.tiers ? html`<span>${T.tiers}</span>` : null}
    </p>
    ${loaded.problems.length
      ? html`
          <details open>
            <summary>${T.problems(loaded.problems.length)}</summary>
            <ul class="problems">
              ${loaded.problems.map((problem, index) => html`<li key=${index}><${StoredText} text=${problem} /></li>`)}
            </ul>
          </details>
        `
      : null}
  `;
}

function Export() {
  const { scope, notify } = useInspector();
  const [announcement, announce] = useState("");
  const [under, setUnder] = useState(false);
  const save = async () => {
    setUnder(true);
    try {
      const parts = [];
      let size = 0;
      const response = await requestScope(scope, "/export");
      for await (const part of piecesOf(response)) {
        parts.push(part);
        size += part.length;
        announce(T.saving(T.kilobytes(Math.ceil(size / 1000))));
      }
      offer(new Blob(parts, { type: "application/jsonl" }), `memory-${fileName(scope.userId)}.jsonl`);
      announce(T.saved(T.kilobytes(Math.ceil(size / 1000))));
    } catch (problem) {
      announce("");
      notify(TEXTS.shell.failed(problem.message), "bad");
    } finally {
      setUnder(false);
    }
  };
  return html`
    <section class="card">
      <h2>${T.exporting}</h2>
      <p class="faint">${T.holds}</p>
      <p><button type="button" disabled=${under} onClick=${save}>${T.save}</button></p>
      <p role="status" class="faint">${announcement}</p>
    </section>
  `;
}

async function* piecesOf(response) {
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function fileName(text) {
  return text.replace(/[^\p{L}\p{N}_-]+/gu, "-").slice(0, 60) || "user";
}

function offer(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
