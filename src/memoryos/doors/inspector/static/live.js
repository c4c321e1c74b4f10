/** Live events of one memory over one connection, which all listeners in the tab share. */

import { eventsOf, requestScope } from "./api.js";

const RECONNECT_DELAYS_MILLISECONDS = [1000, 2000, 5000, 15000];

/** Receives the events of a scope until it is closed; reconnects when the connection is lost. */
export class Live {
  /** @param {{userId: string, assistantId: string}} scope */
  constructor(scope) {
    this.scope = scope;
    this.listeners = new Set();
    this.state = "off";
    this.controller = null;
  }

  /**
   * Calls `listener(name, data)` for each event; the event "state" has the data "live", "off" or
   * "refused"; the event "missed" follows a reconnection, because earlier events may be lost.
   * @returns {() => void} stops listening
   */
  listen(listener) {
    this.listeners.add(listener);
    listener("state", this.state);
    if (!this.controller) this.connect();
    return () => {
      this.listeners.delete(listener);
      if (!this.listeners.size) this.close();
    };
  }

  /** Closes the connection. */
  close() {
    this.controller?.abort();
    this.controller = null;
    this.state = "off";
  }

  async connect() {
    const controller = (this.controller = new AbortController());
    let wasConnected = false;
    for (let failures = 0; !controller.signal.aborted; failures++) {
      try {
        const response = await requestScope(this.scope, "/events", { signal: controller.signal });
        this.emit("state", "live");
        if (wasConnected) this.emit("missed", null);
        wasConnected = true;
        for await (const { name, data } of eventsOf(response)) {
          failures = 0;
          this.emit(name, data);
        }
      } catch (problem) {
        if (controller.signal.aborted) return;
        if (problem.status === 401 || problem.status === 403) {
          this.emit("state", "refused");
          return;
        }
      }
      this.emit("state", "off");
      await new Promise((done) => setTimeout(done, RECONNECT_DELAYS_MILLISECONDS[Math.min(failures, RECONNECT_DELAYS_MILLISECONDS.length - 1)]));
    }
  }

  emit(name, data) {
    if (name === "state") this.state = data;
    for (const listener of [...this.listeners]) listener(name, data);
  }
}
