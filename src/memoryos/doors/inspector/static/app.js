/** The page: who looks, at whose memory, through which view. */

import { html, render, useCallback, useEffect, useErrorBoundary, useMemo, useRef, useState } from "./vendor/preact.js";
import { keepKey, knownKey } from "./api.js";
import { focusArrival, useShortcuts } from "./keyboard.js";
import { Live } from "./live.js";
import { Loading, PageDialog, Trouble } from "./parts.js";
import { addressOf, readAddress } from "./address.js";
import { Help, KeyForm, ScopeDialog, Shell } from "./shell.js";
import { arrive } from "./arrival.js";
import { Inspector } from "./state.js";
import { TEXTS } from "./texts.js";
import { VIEWS } from "./views.js";

const TOAST_SECONDS = 8;

function App() {
  const [arrived, setArrived] = useState({ loading: true });
  const [address, setAddress] = useState(() => readAddress(location.hash));
  const come = useCallback(() => {
    setArrived({ loading: true });
    arrive().then(setArrived, (problem) => setArrived({ problem }));
  }, []);
  useEffect(come, []);
  useEffect(() => {
    const changed = () => setAddress(readAddress(location.hash));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  if (arrived.loading) return html`<${Loading} />`;
  if (arrived.problem?.status === 401) {
    return html`<${KeyForm}
      wrong=${Boolean(knownKey())}
      onKey=${(key) => {
        keepKey(key);
        come();
      }}
    />`;
  }
  if (arrived.problem) return html`<main class="alone"><${Trouble} problem=${arrived.problem} again=${come} /></main>`;
  const leave = () => {
    keepKey("");
    location.hash = "";
    come();
  };
  return html`<${Inside} setup=${arrived.setup} home=${arrived.scope} address=${address} leave=${leave} />`;
}

function Inside({ setup, home, address, leave }) {
  const [open, setOpen] = useState({});
  const [toasts, say] = useToasts();
  const userId = address.userId ?? home.userId;
  const assistantId = address.assistantId ?? home.assistantId;
  const scope = useMemo(() => ({ userId, assistantId }), [userId, assistantId]);
  const live = useMemo(() => new Live(scope), [scope]);
  useEffect(() => () => live.close(), [live]);
  const view = VIEWS.find((each) => each.name === address.view) ?? VIEWS[0];
  const go = useCallback((name, ...rest) => (location.hash = addressOf({ view: name, rest, ...scope })), [scope]);
  const openPage = useCallback((pageId) => setOpen({ pageId }), []);
  useShortcuts(VIEWS, { go, showHelp: () => setOpen({ help: true }), chooseScope: () => setOpen({ scope: true }) });
  const main = useRef(null);
  useFocusOnArrival(main, view.name);
  const shared = useMemo(() => ({ scope, setup, live, go, openPage, say }), [scope, setup, live]);
  const close = () => setOpen({});
  return html`
    <${Inspector.Provider} value=${shared}>
      <${Shell} view=${view} toasts=${toasts} main=${main}
        onHelp=${() => setOpen({ help: true })} onScope=${() => setOpen({ scope: true })}>
        <${Guarded} key=${`${view.name} ${userId} ${assistantId}`} view=${view} rest=${address.rest} />
      <//>
      ${open.help ? html`<${Help} onClose=${close} />` : null}
      ${open.scope ? html`<${ScopeDialog} onClose=${close} leave=${leave} view=${view.name} />` : null}
      ${open.pageId ? html`<${PageDialog} key=${open.pageId} pageId=${open.pageId} onClose=${close} />` : null}
    <//>
  `;
}

function Guarded({ view, rest }) {
  const [broken, repair] = useErrorBoundary((error) => console.error(error));
  if (broken) return html`<${Trouble} problem=${new Error(TEXTS.shell.broken)} again=${repair} />`;
  return html`<${view.View} rest=${rest} />`;
}

function useToasts() {
  const [toasts, setToasts] = useState([]);
  const say = useCallback((text, kind = "told") => {
    const toast = { id: crypto.randomUUID?.() ?? String(Math.random()), text, kind };
    setToasts((before) => [...before.slice(-3), toast]);
    setTimeout(() => setToasts((before) => before.filter((each) => each !== toast)), TOAST_SECONDS * 1000);
  }, []);
  return [toasts, say];
}

function useFocusOnArrival(main, name) {
  const first = useRef(true);
  useEffect(() => {
    document.title = TEXTS.shell.title(TEXTS.views[name]);
    if (!first.current) focusArrival(main.current);
    first.current = false;
  }, [name]);
}

render(html`<${App} />`, document.getElementById("app"));
