/** Reads and writes the address of a view: `#/tiers/segments/ID?user=tom&assistant=helper`. Browsers do not send the part after # to the server. */

/** @param {string} hash @returns {{view: string, rest: string[], userId?: string, assistantId?: string}} */
export function readAddress(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const given = new URLSearchParams(query);
  const [view, ...rest] = path.split("/").map(decoded);
  return {
    view,
    rest,
    userId: given.get("user") ?? undefined,
    assistantId: given.get("assistant") ?? undefined,
  };
}

/** @param {{view: string, rest?: string[], userId: string, assistantId: string}} place @returns {string} */
export function addressOf({ view, rest = [], userId, assistantId }) {
  const query = new URLSearchParams({ user: userId, assistant: assistantId });
  return `#/${[view, ...rest].map(encodeURIComponent).join("/")}?${query}`;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
