/** The frame around a view: navigation, the selected memory, the theme, and notifications. */

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/preact.js";
import { addressOf } from "./address.js";
import { ask, knownKey } from "./api.js";
import { Loaded, Dialog, StoredText } from "./parts.js";
import { useLoaded, useInspector, useLive } from "./state.js";
import { TEXTS } from "./texts.js";
import { VIEWS } from "./views.js";

const THEMES = ["auto", "light", "dark"];
const MOST_SCOPES = 2000;

/** @param {{view: any, toasts: any[], main: any, onHelp: () => void, onScope: () => void, children: any}} given */
export function Shell({ view, toasts, main, onHelp, onScope, children }) {
  const { scope } = useInspector();
  return html`
    <a class="skip" href="#content" onClick=${(event) => {
      event.preventDefault();
      main.current.querySelector("h1").focus();
    }}>${TEXTS.shell.skip}</a>
    <div class="shell">
      <header class="top">
        <span class="brand"><img src="inspector/icon.svg" alt="" width="22" height="22" /> ${TEXTS.shell.brand}</span>
        <button type="button" class="scope" aria-label=${TEXTS.scope.button(scope.userId, scope.assistantId)} onClick=${onScope}>
          <${StoredText} text=${scope.userId} /><span class="faint" aria-hidden="true">·</span><${StoredText} class="faint" text=${scope.assistantId} />
        </button>
        <${LiveMark} />
        <${ThemeButton} />
        <button type="button" class="quiet" aria-label=${TEXTS.shell.help} title=${TEXTS.shell.help} onClick=${onHelp}>?</button>
      </header>
      <${Navigation} chosen=${view.name} />
      <main id="content" ref=${main}>
        <h1 tabindex="-1">${TEXTS.views[view.name]}</h1>
        ${children}
      </main>
    </div>
    <div class="toasts" role="status" aria-live="polite" aria-label=${TEXTS.shell.noticed}>
      ${toasts.map((toast) => html`<p key=${toast.id} class=${`toast ${toast.kind}`}>${toast.text}</p>`)}
    </div>
  `;
}

function Navigation({ chosen }) {
  const { scope } = useInspector();
  const element = useRef(null);
  useEffect(() => {
    const current = element.current.querySelector("[aria-current]");
    element.current.scrollLeft = current.offsetLeft - (element.current.clientWidth - current.clientWidth) / 2;
  }, [chosen]);
  return html`
    <nav ref=${element} class="views" aria-label=${TEXTS.shell.navigation}>
      ${VIEWS.map(
        ({ name, letter }) => html`
          <a key=${name} href=${addressOf({ view: name, ...scope })} aria-current=${name === chosen ? "page" : null}>
            <span>${TEXTS.views[name]}</span><kbd aria-hidden="true">${letter}</kbd>
          </a>
        `,
      )}
    </nav>
  `;
}

function LiveMark() {
  const [state, setState] = useState("off");
  useLive((name, data) => name === "state" && setState(data));
  return html`<span class=${`live ${state}`} aria-label=${TEXTS.shell.liveLabel(TEXTS.shell.live[state])} role="img"
    title=${TEXTS.shell.live[state]}></span>`;
}

function ThemeButton() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "auto");
  useLayoutEffect(() => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("memoryos-theme", theme);
    } catch {
      // Without local storage the choice is lost when the tab closes.
    }
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  const sign = { auto: "◐", light: "○", dark: "●" }[theme];
  return html`
    <button type="button" class="quiet" data-chosen=${theme} aria-label=${TEXTS.shell.theme[theme]} title=${TEXTS.shell.theme[theme]}
      onClick=${() => setTheme(next)}>${sign}</button>
  `;
}

/** The list of keyboard shortcuts. */
export function Help({ onClose }) {
  const letters = VIEWS.map(({ name, letter }) => [`g ${letter}`, TEXTS.help.view(TEXTS.views[name])]);
  return html`
    <${Dialog} title=${TEXTS.help.title} onClose=${onClose}>
      <dl class="keys">
        ${[...TEXTS.help.keys, ...letters].map(([key, text]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${text}</dd></div>`)}
      </dl>
    <//>
  `;
}

/** The form for the key of the server. @param {{wrong: boolean, onKey: (key: string) => void}} given */
export function KeyForm({ wrong, onKey }) {
  const [key, setKey] = useState("");
  const sent = (event) => {
    event.preventDefault();
    if (key.trim()) onKey(key.trim());
  };
  return html`
    <main class="alone">
      <form class="card" onSubmit=${sent}>
        <h1>${TEXTS.key.title}</h1>
        <p class="faint">${TEXTS.key.intro}</p>
        ${wrong ? html`<p class="trouble" role="alert">${TEXTS.key.wrong}</p>` : null}
        <label>${TEXTS.key.label}
          <input type="password" autocomplete="off" spellcheck="false" required placeholder=${TEXTS.key.placeholder}
            value=${key} onInput=${(event) => setKey(event.target.value)} />
        </label>
        <button type="submit">${TEXTS.key.open}</button>
      </form>
    </main>
  `;
}

/** The dialog that selects a memory. @param {{onClose: () => void, removeKey: () => void, view: string}} given */
export function ScopeDialog({ onClose, removeKey, view }) {
  const { scope, setup } = useInspector();
  const loaded = useLoaded(allScopes, []);
  const choose = (userId, assistantId) => {
    location.hash = addressOf({ view, userId, assistantId });
    onClose();
  };
  return html`
    <${Dialog} title=${TEXTS.scope.title} onClose=${onClose}>
      <${Loaded} loaded=${loaded}>${(found) => html`<${ScopeList} found=${found} chosen=${scope} choose=${choose} />`}<//>
      <${OtherScope} setup=${setup} chosen=${scope} choose=${choose} />
      ${knownKey() ? html`<button type="button" class="quiet" onClick=${removeKey}>${TEXTS.key.leave}</button>` : null}
    <//>
  `;
}

async function allScopes(signal) {
  const found = [];
  let offset = 0;
  while (offset !== null && found.length < MOST_SCOPES) {
    const part = await ask("v1/users", { query: { limit: 500, offset }, signal });
    found.push(...part.users);
    offset = part.next_offset;
  }
  return { users: found, more: offset !== null };
}

function ScopeList({ found, chosen, choose }) {
  const [filter, setFilter] = useState("");
  const needle = filter.toLowerCase();
  const field = useRef(null);
  useEffect(() => field.current?.focus(), []);
  const shown = useMemo(
    () => found.users.filter((each) => `${each.user_id} ${each.assistant_id}`.toLowerCase().includes(needle)).slice(0, 200),
    [found, needle],
  );
  if (!found.users.length) return html`<p class="faint">${TEXTS.scope.empty}</p>`;
  return html`
    <input ref=${field} type="search" aria-label=${TEXTS.scope.filter} placeholder=${TEXTS.scope.filter} value=${filter}
      onInput=${(event) => setFilter(event.target.value)} />
    <ul class="scopes">
      ${shown.map(
        (each) => html`
          <li key=${JSON.stringify(each)}>
            <button type="button" aria-current=${each.user_id === chosen.userId && each.assistant_id === chosen.assistantId ? "true" : null}
              onClick=${() => choose(each.user_id, each.assistant_id)}>
              <${StoredText} text=${each.user_id} /> <${StoredText} class="faint" text=${each.assistant_id} />
            </button>
          </li>
        `,
      )}
    </ul>
    ${shown.length ? null : html`<p class="faint">${TEXTS.scope.none}</p>`}
    ${found.more ? html`<p class="faint">${TEXTS.scope.truncated(found.users.length)}</p>` : null}
  `;
}

function OtherScope({ setup, chosen, choose }) {
  const [userId, setUserId] = useState(setup.is_admin ? "" : setup.user_id);
  const [assistantId, setAssistantId] = useState(chosen.assistantId);
  const sent = (event) => {
    event.preventDefault();
    if (userId.trim() && assistantId.trim()) choose(userId, assistantId);
  };
  return html`
    <details>
      <summary>${TEXTS.scope.other}</summary>
      <form class="inline" onSubmit=${sent}>
        <label>${TEXTS.scope.user}
          <input required value=${userId} readonly=${!setup.is_admin} onInput=${(event) => setUserId(event.target.value)} />
        </label>
        <label>${TEXTS.scope.assistant}
          <input required value=${assistantId} onInput=${(event) => setAssistantId(event.target.value)} />
        </label>
        <button type="submit">${TEXTS.scope.open}</button>
      </form>
    </details>
  `;
}
