/** What happens in one memory, as it happens: one connection a tab, shared by all that listen. */

import { eventsOf, requestScope } from "./api.js";

const AGAIN_AFTER = [1000, 2000, 5000, 15000];

/** Listens to one scope until it is closed; comes again when the connection breaks. */
export class Live {
  /** @param {{userId: string, assistantId: string}} scope */
  constructor(scope) {
    this.scope = scope;
    this.listeners = new Set();
    this.state = "off";
    this.leaving = null;
  }

  /**
   * Calls `listener(name, data)` for each event; "state" tells "live", "off" or "refused", "missed" that the
   * connection is back and that what happened meanwhile was not told.
   * @returns {() => void} what ends it
   */
  listen(listener) {
    this.listeners.add(listener);
    listener("state", this.state);
    if (!this.leaving) this.go();
    return () => {
      this.listeners.delete(listener);
      if (!this.listeners.size) this.close();
    };
  }

  /** Ends the connection. */
  close() {
    this.leaving?.abort();
    this.leaving = null;
    this.state = "off";
  }

  async go() {
    const leaving = (this.leaving = new AbortController());
    let cameBefore = false;
    for (let failures = 0; !leaving.signal.aborted; failures++) {
      try {
        const response = await requestScope(this.scope, "/events", { signal: leaving.signal });
        this.tell("state", "live");
        if (cameBefore) this.tell("missed", null);
        cameBefore = true;
        for await (const { name, data } of eventsOf(response)) {
          failures = 0;
          this.tell(name, data);
        }
      } catch (problem) {
        if (leaving.signal.aborted) return;
        if (problem.status === 401 || problem.status === 403) {
          this.tell("state", "refused");
          return;
        }
      }
      this.tell("state", "off");
      await new Promise((done) => setTimeout(done, AGAIN_AFTER[Math.min(failures, AGAIN_AFTER.length - 1)]));
    }
  }

  tell(name, data) {
    if (name === "state") this.state = data;
    for (const listener of [...this.listeners]) listener(name, data);
  }
}
