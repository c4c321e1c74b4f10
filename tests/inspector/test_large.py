"""Performance with a memory of 5,000 pages: load time and long tasks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.inspector.conftest import Server, Visit, Visitor
from tests.inspector.server import LARGE, Kind
from tests.inspector.story import Story
from tests.waiting import slowdown

FIRST_VIEW_SECONDS = 2.0
LONG_TASK_MS = 200
WATCH = """() => {
    window.tasks = [];
    new PerformanceObserver(list => window.tasks.push(...list.getEntries().map(each => each.duration)))
        .observe({type: "longtask", buffered: true});
}"""
MARKED = """() => new Promise(done => {
    const look = () => document.querySelector(".hits mark") ? done() : requestAnimationFrame(look);
    look();
})"""
VIEWS = ("chat", "tiers", "tiers/segments", "tiers/knowledge", "explorer", "timeline", "search", "worker")


@pytest.fixture
def large(serve: Callable[[Kind], Server]) -> Server:
    return serve("large")


def longest_task(page: Page) -> float:
    """Returns the duration of the longest task so far, in milliseconds."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 100)))")
    longest: float = page.evaluate("() => Math.max(0, ...window.tasks)")
    return longest


def opened(tab: Visit, view: str) -> float:
    """Opens a view and returns the seconds until it is complete."""
    tab.page.add_init_script(f"({WATCH})()")
    started = time.monotonic()
    tab.go(*view.split("/"))
    return time.monotonic() - started


def best_of(tries: int, measure: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """Returns the lowest seconds and milliseconds of several runs, to exclude load of the machine.

    What is measured takes longer while other processes use the cores. Each try is divided by the slowdown of this
    process meanwhile, and is repeated only while it exceeds a limit.
    """
    seconds, longest = math.inf, math.inf
    while (seconds > FIRST_VIEW_SECONDS or longest > LONG_TASK_MS) and tries:
        before = slowdown()
        now = measure()
        factor = max(before, slowdown())
        seconds, longest = min(seconds, now[0] / factor), min(longest, now[1] / factor)
        tries -= 1
    return seconds, longest


@pytest.mark.parametrize("view", VIEWS)
def test_first_view_of_a_large_memory_loads_fast(visit: Visitor, large: Server, view: str) -> None:
    def measure() -> tuple[float, float]:
        tab = visit(large)
        return opened(tab, view), longest_task(tab.page)

    seconds, longest = best_of(5, measure)
    assert seconds <= FIRST_VIEW_SECONDS
    assert longest <= LONG_TASK_MS


def test_views_of_a_large_memory_have_no_long_tasks(visit: Visitor, large: Server, story: Story) -> None:
    assert best_of(5, lambda: (0.0, work(visit(large), story)))[1] <= LONG_TASK_MS


def work(tab: Visit, story: Story) -> float:
    """Uses the large views and returns the duration of the longest task in milliseconds.

    Places are named by CSS, and among thousands of elements nothing is expected: Playwright looks for roles, and takes
    its picture of what a screen reader hears, in the page itself, where that is a long task.
    """
    opened(tab, "search")
    page = tab.page
    field = page.locator("main input[type=search]")
    expect(page.locator("main [role=status]")).to_have_text(f"All {LARGE:,} pages, newest first")
    for shown in range(100, 400, 50):
        page.locator(".hits + button").press("Enter")
        expect(page.locator(".hits .page")).to_have_count(shown)
    field.focus()
    page.keyboard.type(story.word)
    page.evaluate(MARKED)
    tab.go("timeline")
    page.locator(".days + button").click()
    page.locator(".days .row", has_text="pages").first.click()
    expect(page.locator(".within .page").first).to_be_visible()
    tab.go("explorer")
    field.fill(story.question)
    expect(page.locator("main .page").first).to_be_visible()
    page.locator("input[type=range]").first.focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    tab.settle("explorer")
    tab.go("forget")
    page.locator(".choice button").last.click()
    page.locator(".way > button").click()
    expect(page.locator(".closure .figure").first).to_have_text(f"{LARGE:,}pages")
    page.locator(".closure .found-pages > button").first.click()
    expect(page.locator(".closure .found-pages").first.locator(".page:not(.waiting)")).to_have_count(120)
    return longest_task(page)
