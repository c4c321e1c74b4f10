/** Client of the server's REST API. The key is stored in this tab and sent only in a header. */

const ROOT = new URL("../", import.meta.url);
const KEY = "memoryos-key";

/** An error response of the server (RFC 9457), or a failed connection (status 0). */
export class Problem extends Error {
  /** @param {{status?: number, title?: string, detail?: string, errors?: {field: string, message: string}[]}} details */
  constructor(details) {
    const faults = (details.errors ?? []).map((fault) => `${fault.field}: ${fault.message}`).join("; ");
    super(faults || details.detail || details.title || String(details.status));
    this.status = details.status ?? 0;
    this.title = details.title ?? "";
  }
}

/** @returns {string} the key of this tab; "" if there is none */
export function knownKey() {
  return sessionStorage.getItem(KEY) ?? "";
}

/** Stores the key for this tab; "" removes it. @param {string} key */
export function keepKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/**
 * Sends a request to the server.
 * @param {string} path below the server's root, such as "v1/users"
 * @param {{method?: string, query?: object, body?: any, headers?: object, signal?: AbortSignal}} [options]
 *   a Blob body is sent unchanged, every other body as JSON
 * @returns {Promise<Response>}
 * @throws {Problem}
 */
export async function request(path, { method, query, body, headers, signal } = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  const sent = new Headers(headers);
  if (knownKey()) sent.set("Authorization", `Bearer ${knownKey()}`);
  const raw = body instanceof Blob;
  if (body !== undefined && !raw) sent.set("Content-Type", "application/json");
  let response;
  try {
    response = await fetch(url, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers: sent,
      body: body === undefined || raw ? body : JSON.stringify(body),
      signal,
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ status: 0, title: "offline" });
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  const details = await response.json().catch(() => ({}));
  return new Problem({ title: response.statusText, ...details, status: response.status });
}

/** Sends a request as `request` does, and returns the JSON of the response. */
export async function ask(path, options) {
  return (await request(path, options)).json();
}

/** @returns {string} the path of a resource of a user; the id may contain any character */
export function userPath(scope, rest = "") {
  return `v1/users/${encodeURIComponent(scope.userId)}${rest}`;
}

/** @returns {URL} the absolute URL of a resource of a scope, for callers that can't use `request` */
export function scopeUrl(scope, rest) {
  const url = new URL(userPath(scope, rest), ROOT);
  url.searchParams.set("assistant_id", scope.assistantId);
  return url;
}

/** Requests the JSON of a resource of a scope. @param {{userId: string, assistantId: string}} scope @param {string} rest */
export function askScope(scope, rest, { query, ...options } = {}) {
  return ask(userPath(scope, rest), { ...options, query: { ...query, assistant_id: scope.assistantId } });
}

/** Requests a resource of a scope and returns the response, which need not be JSON. */
export function requestScope(scope, rest, { query, ...options } = {}) {
  return request(userPath(scope, rest), { ...options, query: { ...query, assistant_id: scope.assistantId } });
}

/**
 * Yields server-sent events. EventSource is not used, because it can't send the key.
 * @param {Response} response
 * @returns {AsyncGenerator<{name: string, data: any}>}
 */
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += value;
      const blocks = rest.split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const found = readEvent(block);
        if (found) yield found;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function readEvent(block) {
  const lines = block.split("\n");
  const value = (name) =>
    lines
      .filter((line) => line.startsWith(`${name}: `))
      .map((line) => line.slice(name.length + 2))
      .join("\n");
  const data = value("data");
  return data ? { name: value("event"), data: JSON.parse(data) } : null;
}

/** Requests all parts of a paged list, up to `most` items. @returns {Promise<any[]>} */
export async function askAll(scope, rest, { field, query, signal, most = 5000 }) {
  const found = [];
  let after;
  do {
    const part = await askScope(scope, rest, { query: { ...query, limit: 500, after }, signal });
    found.push(...part[field]);
    after = part.next_after;
  } while (after && found.length < most);
  return found;
}

let pages = new Map();
let pagesOf = "";

/** Returns one page. Pages are cached for the current scope, because their texts never change. */
export function askPage(scope, pageId) {
  const owner = JSON.stringify(scope);
  if (owner !== pagesOf) [pages, pagesOf] = [new Map(), owner];
  if (!pages.has(pageId)) {
    const response = askScope(scope, `/pages/${encodeURIComponent(pageId)}`);
    pages.set(pageId, response);
    response.catch(() => pages.delete(pageId));
  }
  return pages.get(pageId);
}
