/** The application: loads the setup, and shows the view and the memory in the address. */

import { html, render, useCallback, useEffect, useErrorBoundary, useMemo, useRef, useState } from "./vendor/preact.js";
import { keepKey, knownKey } from "./api.js";
import { focusNewView, useShortcuts } from "./keyboard.js";
import { Live } from "./live.js";
import { Loading, PageDialog, ErrorMessage } from "./parts.js";
import { addressOf, readAddress } from "./address.js";
import { Help, KeyForm, ScopeDialog, Shell } from "./shell.js";
import { loadStartup } from "./startup.js";
import { Inspector } from "./state.js";
import { TEXTS } from "./texts.js";
import { VIEWS } from "./views.js";

const TOAST_SECONDS = 8;

function App() {
  const [startup, setStartup] = useState({ loading: true });
  const [address, setAddress] = useState(() => readAddress(location.hash));
  const load = useCallback(() => {
    setStartup({ loading: true });
    loadStartup().then(setStartup, (problem) => setStartup({ problem }));
  }, []);
  useEffect(load, []);
  useEffect(() => {
    const changed = () => setAddress(readAddress(location.hash));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  if (startup.loading) return html`<${Loading} />`;
  if (startup.problem?.status === 401) {
    return html`<${KeyForm}
      wrong=${Boolean(knownKey())}
      onKey=${(key) => {
        keepKey(key);
        load();
      }}
    />`;
  }
  if (startup.problem) return html`<main class="alone"><${ErrorMessage} problem=${startup.problem} again=${load} /></main>`;
  const removeKey = () => {
    keepKey("");
    location.hash = "";
    load();
  };
  return html`<${LoadedApp} setup=${startup.setup} defaultScope=${startup.scope} address=${address} removeKey=${removeKey} />`;
}

function LoadedApp({ setup, defaultScope, address, removeKey }) {
  const [open, setOpen] = useState({});
  const [toasts, notify] = useToasts();
  const userId = address.userId ?? defaultScope.userId;
  const assistantId = address.assistantId ?? defaultScope.assistantId;
  const scope = useMemo(() => ({ userId, assistantId }), [userId, assistantId]);
  const live = useMemo(() => new Live(scope), [scope]);
  useEffect(() => () => live.close(), [live]);
  const view = VIEWS.find((each) => each.name === address.view) ?? VIEWS[0];
  const go = useCallback((name, ...rest) => (location.hash = addressOf({ view: name, rest, ...scope })), [scope]);
  const openPage = useCallback((pageId) => setOpen({ pageId }), []);
  useShortcuts(VIEWS, { go, showHelp: () => setOpen({ help: true }), chooseScope: () => setOpen({ scope: true }) });
  const main = useRef(null);
  useFocusOnNewView(main, view.name);
  const shared = useMemo(() => ({ scope, setup, live, go, openPage, notify }), [scope, setup, live]);
  const close = () => setOpen({});
  return html`
    <${Inspector.Provider} value=${shared}>
      <${Shell} view=${view} toasts=${toasts} main=${main}
        onHelp=${() => setOpen({ help: true })} onScope=${() => setOpen({ scope: true })}>
        <${ErrorBoundary} key=${`${view.name} ${userId} ${assistantId}`} view=${view} rest=${address.rest} />
      <//>
      ${open.help ? html`<${Help} onClose=${close} />` : null}
      ${open.scope ? html`<${ScopeDialog} onClose=${close} removeKey=${removeKey} view=${view.name} />` : null}
      ${open.pageId ? html`<${PageDialog} key=${open.pageId} pageId=${open.pageId} onClose=${close} />` : null}
    <//>
  `;
}

function ErrorBoundary({ view, rest }) {
  const [broken, repair] = useErrorBoundary((error) => console.error(error));
  if (broken) return html`<${ErrorMessage} problem=${new Error(TEXTS.shell.broken)} again=${repair} />`;
  return html`<${view.View} rest=${rest} />`;
}

function useToasts() {
  const [toasts, setToasts] = useState([]);
  const notify = useCallback((text, kind = "told") => {
    const toast = { id: crypto.randomUUID?.() ?? String(Math.random()), text, kind };
    setToasts((before) => [...before.slice(-3), toast]);
    setTimeout(() => setToasts((before) => before.filter((each) => each !== toast)), TOAST_SECONDS * 1000);
  }, []);
  return [toasts, notify];
}

function useFocusOnNewView(main, name) {
  const first = useRef(true);
  useEffect(() => {
    document.title = TEXTS.shell.title(TEXTS.views[name]);
    if (!first.current) focusNewView(main.current);
    first.current = false;
  }, [name]);
}

render(html`<${App} />`, document.getElementById("app"));
