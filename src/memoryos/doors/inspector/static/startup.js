/** The first requests: the server's setup, and the memory to show if the address names none. */

import { ask } from "./api.js";
import { setClock } from "./format.js";

/**
 * @returns {Promise<{setup: any, scope: {userId: string, assistantId: string}}>}
 * @throws {Problem} with status 401 if the server requires a key
 */
export async function loadStartup() {
  const setup = await ask("v1/setup");
  setClock(setup.now);
  const { users } = await ask("v1/users", { query: { limit: 500 } });
  const own = users.find((each) => each.user_id === setup.user_id && each.assistant_id === setup.assistant_id);
  const shown = own ?? users[0] ?? setup;
  return { setup, scope: { userId: shown.user_id, assistantId: shown.assistant_id } };
}
