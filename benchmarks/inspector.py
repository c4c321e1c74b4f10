"""Measures the speed of the inspector's views in Chromium, for a memory of 5,000 pages.

For each view it reports the seconds until the view is shown and the longest task of the browser's main thread.
``python -m benchmarks.inspector --json benchmarks/results/inspector.json`` requires chromium on PATH (``make browser``).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from benchmarks.micro.dialogue import exchanges
from memoryos.config import Config
from memoryos.engine import MemoryEngine

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VIEWS = (
    "chat",
    "tiers/window",
    "tiers/segments",
    "tiers/knowledge",
    "tiers/profile",
    "explorer",
    "timeline",
    "search",
    "forget",
    "transfer",
    "costs",
    "worker",
)
MOST_SECONDS = 2.0
MOST_TASK_MS = 200
STEADY_FRAMES = 3
WATCH = """
window.tasks = [];
new PerformanceObserver(list => window.tasks.push(...list.getEntries().map(each => each.duration)))
    .observe({type: "longtask", buffered: true});
window.there = new Promise(done => {
    let since = 0, frames = 0;
    const look = () => {
        const main = document.querySelector("main#content");
        const isThere = main && main.querySelector("h1") && !main.querySelector("[aria-busy=true]");
        if (!isThere) frames = 0;
        else if (!frames++) since = performance.now();
        if (frames > STEADY_FRAMES) done(since); else requestAnimationFrame(look);
    };
    look();
});
""".replace("STEADY_FRAMES", str(STEADY_FRAMES))


def main() -> None:
    """Fills a database, starts the server, opens each view and prints the times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--pages", type=int, default=5_000)
    parser.add_argument("--visits", type=int, default=5, help="visits of each view; the median is reported")
    parser.add_argument("--json", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder), options.pages)
        process = _serve(Path(folder))
        try:
            assert process.stdout is not None
            address = process.stdout.readline().rsplit(" ", 1)[-1].strip()
            figures = _measure(address, options.visits)
        finally:
            process.terminate()
            process.communicate()
    report = {"pages": options.pages, "visits": options.visits, "views": figures}
    _show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def _fill(folder: Path, pages: int) -> None:
    with MemoryEngine(Config(data_storage_path=folder, background=False)) as engine:
        memory = engine.memory("bench")
        for user, assistant, at in exchanges(pages):
            memory.add_memory(user, assistant, at)
        memory.flush(3_600)


def _serve(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "memoryos", "--data", str(folder), "serve", "--port", "0"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603  (our own)


def _measure(address: str, visits: int) -> dict[str, Any]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("no chromium on PATH; install it with: make browser")
    arguments = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        figures = {view: _open(browser, f"{address}/#/{view}?user=bench", visits) for view in VIEWS}
        browser.close()
    return figures


def _open(browser: Browser, address: str, visits: int) -> dict[str, float]:
    """Opens a view in a new browser context without a cache."""
    seconds, tasks, kilobytes = [], [], []
    for _ in range(visits):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.add_init_script(WATCH)
        page.goto(address)
        seconds.append(page.evaluate("() => window.there") / 1e3)
        page.wait_for_timeout(1_000)
        tasks.append(page.evaluate("() => Math.max(0, ...window.tasks)"))
        sizes = "() => performance.getEntriesByType('resource').reduce((sum, each) => sum + each.transferSize, 0)"
        kilobytes.append(page.evaluate(sizes) / 1e3)
        context.close()
    return {
        "seconds": round(statistics.median(seconds), 3),
        "slowest_seconds": round(max(seconds), 3),
        "longest_task_ms": round(max(tasks)),
        "kilobytes": round(statistics.median(kilobytes)),
    }


def _show(report: dict[str, Any]) -> None:
    print(f"{report['pages']} pages, {report['visits']} visits of each view")
    print(f"{'':18}{'seconds':>9}{'slowest':>9}{'longest task':>14}{'kB':>7}")
    for view, told in report["views"].items():
        is_fast = told["slowest_seconds"] <= MOST_SECONDS and told["longest_task_ms"] <= MOST_TASK_MS
        print(
            f"{view:18}{told['seconds']:9.2f}{told['slowest_seconds']:9.2f}{told['longest_task_ms']:11} ms"
            f"{told['kilobytes']:7}  {'' if is_fast else 'too slow'}"
        )


if __name__ == "__main__":
    main()
