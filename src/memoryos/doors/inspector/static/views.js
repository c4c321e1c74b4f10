/** The views in the order of the navigation; the shortcut of a view is `g` and its letter. */

import { Chat } from "./views/chat.js";
import { Costs } from "./views/costs.js";
import { Explorer } from "./views/explorer.js";
import { Forget } from "./views/forget.js";
import { Search } from "./views/search.js";
import { Tiers } from "./views/tiers.js";
import { Timeline } from "./views/timeline.js";
import { Transfer } from "./views/transfer.js";
import { Worker } from "./views/worker.js";

/** @type {{name: string, letter: string, View: Function}[]} `View` receives `rest`: the parts of the address after the name of the view */
export const VIEWS = [
  { name: "chat", letter: "c", View: Chat },
  { name: "tiers", letter: "t", View: Tiers },
  { name: "explorer", letter: "r", View: Explorer },
  { name: "timeline", letter: "l", View: Timeline },
  { name: "search", letter: "s", View: Search },
  { name: "forget", letter: "f", View: Forget },
  { name: "transfer", letter: "i", View: Transfer },
  { name: "costs", letter: "o", View: Costs },
  { name: "worker", letter: "w", View: Worker },
];
