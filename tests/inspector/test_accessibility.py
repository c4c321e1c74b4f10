"""Accessibility: axe finds no serious violation in any view, theme and viewport size.

The page's policy is off here, because axe writes styles into what it looks at; elsewhere it is on.
"""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from benchmarks.inspector import VIEWS
from playwright.sync_api import Page, expect

from tests.inspector.conftest import DESK, PHONE, Api, Visit, Visitor, user_path
from tests.inspector.story import Story

RULES: dict[str, Any] = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
    "preload": False,
}
GRAVE = {"serious", "critical"}


def findings(page: Page) -> list[str]:
    """Returns the violations that axe finds, with their elements."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{each['impact']} {each['id']}: {node['target']} {node.get('failureSummary', '')}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"][:3]
    ]


SETTLED = """async () => {
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
    const isMoving = (each) => each.playState === "running" && each.effect.getComputedTiming().endTime !== Infinity;
    return !document.getAnimations().some(isMoving);
}"""
"""Resolves when the new theme and size are rendered and no transition runs."""


def check_everywhere(tab: Visit, name: str) -> None:
    """Checks the current view in both themes and both viewport sizes."""
    for size, viewport in (("desk", DESK), ("phone", PHONE)):
        tab.page.set_viewport_size(viewport)  # type: ignore[arg-type]
        for theme in ("light", "dark"):
            tab.page.emulate_media(color_scheme=theme)
            tab.page.wait_for_function(SETTLED)
            assert findings(tab.page) == [], f"{name}, {theme}, {size}"
        assert tab.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, f"{name}, {size}"
        if size == "phone":
            tab.shoot(f"phone-{name.replace('/', '-')}")


@pytest.mark.parametrize("view", VIEWS)
def test_views_have_no_serious_accessibility_violation(visit: Visitor, story: Story, view: str) -> None:
    tab = visit(bypass_csp=True)
    page = tab.go(*view.split("/"))
    if view == "chat":
        page.get_by_role("switch", name="Store in memory").uncheck()
        page.get_by_role("textbox", name="Message").fill(story.question)
        page.keyboard.press("Enter")
        expect(page.locator(".why .page").first).to_be_visible()
    if view == "explorer":
        page.get_by_role("searchbox").fill(story.question)
        expect(page.locator("main .page").first).to_be_visible()
    if view == "timeline":
        page.locator(".days .row").nth(1).click()
        expect(page.locator(".within .page").first).to_be_visible()
    if view == "search":
        page.get_by_role("searchbox").fill(story.word)
        page.get_by_role("checkbox").nth(1).check()
    check_everywhere(tab, view)


def test_dialogs_have_no_serious_accessibility_violation(visit: Visitor) -> None:
    tab = visit(bypass_csp=True)
    page = tab.go("search")
    page.locator("main .page").first.get_by_role("button", name="Open the page").click()
    expect(page.get_by_role("dialog").locator(".page")).to_be_visible()
    check_everywhere(tab, "dialog-page")
    page.keyboard.press("Escape")
    page.locator("main h1").focus()
    for key, name in (("?", "dialog-help"), ("u", "dialog-scope")):
        page.keyboard.press(key)
        expect(page.get_by_role("dialog")).to_be_visible()
        expect(page.locator('[aria-busy="true"]')).to_have_count(0)
        check_everywhere(tab, name)
        page.keyboard.press("Escape")


def test_forget_view_has_no_serious_accessibility_violation(
    visit: Visitor, api: Api, story: Story, new_user: str
) -> None:
    api.post(f"{user_path(new_user)}/pages", {"user_input": "Forget me."}, assistant_id=story.assistant_id)
    tab = visit(bypass_csp=True)
    page = tab.go("forget", user_id=new_user)
    for way in ("Facts", "By query", "Before a date", "Everything"):
        page.get_by_role("button", name=way).click()
        expect(page.locator('main [aria-busy="true"]')).to_have_count(0)
        assert findings(page) == []
    page.get_by_role("button", name="Preview").click()
    check_everywhere(tab, "forget-closure")
    page.get_by_role("button", name="Forget permanently").click()
    check_everywhere(tab, "dialog-forget")


def test_empty_memory_and_key_form_have_no_serious_accessibility_violation(
    visit: Visitor, serve: Any, new_user: str
) -> None:
    tab = visit(bypass_csp=True)
    for view in ("chat", "timeline", "search", "forget", "tiers"):
        tab.go(view, user_id=new_user)
        assert findings(tab.page) == [], view
    locked = visit(serve("keys"), bypass_csp=True)
    locked.page.goto(locked.address)
    expect(locked.page.get_by_label("Key", exact=True)).to_be_visible()
    check_everywhere(locked, "key")
    locked.refusals.clear()


def test_chosen_theme_is_kept_after_reload(visit: Visitor) -> None:
    tab = visit(theme="light", bypass_csp=True)
    page = tab.go("search")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Theme: system").click()
    page.get_by_role("button", name="Theme: light").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    tab.settle("search")
    assert page.evaluate(paper) == dark
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()


@pytest.mark.parametrize(
    "view", ["chat", "tiers", "explorer", "timeline", "search", "forget", "transfer", "costs", "worker"]
)
def test_every_view_is_reachable_on_a_phone(visit: Visitor, view: str) -> None:
    tab = visit(viewport=PHONE, has_touch=True, is_mobile=True)
    page = tab.go("worker" if view == "chat" else "chat")
    page.locator(f'nav.views a[href^="#/{view}?"]').tap()
    tab.settle(view)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    small = page.locator("main button:visible").evaluate_all(
        "all => all.filter(each => Math.min(each.offsetWidth, each.offsetHeight) < 24).map(each => each.outerHTML.slice(0, 90))"
    )
    assert small == []
