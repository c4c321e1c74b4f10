"""Tests of the inspector by keyboard only."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.inspector.conftest import Api, Visitor, user_path
from tests.inspector.story import Story

LETTERS = {
    "chat": "c",
    "tiers": "t",
    "explorer": "r",
    "timeline": "l",
    "search": "s",
    "forget": "f",
    "transfer": "i",
    "costs": "o",
    "worker": "w",
}
MARK_FOCUSABLE = """() => {
    const all = [...document.querySelectorAll(
        "a[href], button:not([disabled]), input:not([disabled]), select, textarea, summary, [tabindex='0']")];
    const seen = all.filter(each => each.checkVisibility({visibilityProperty: true, contentVisibilityAuto: false})
        && each.tabIndex >= 0);
    seen.forEach((each, index) => each.dataset.place = index);
    return seen.length;
}"""
FOCUSED = """() => {
    const each = document.activeElement;
    const style = getComputedStyle(each);
    const box = each.getBoundingClientRect();
    return {
        place: each.dataset.place ?? null,
        name: each.outerHTML.slice(0, 120),
        marked: style.outlineStyle !== "none" || style.boxShadow !== "none",
        seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    };
}"""


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def tab_to(page: Page, name: str, *, role: str = "button", most: int = 400) -> None:
    """Presses Tab until the control with that name has the focus."""
    wanted = page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
    for _ in range(most):
        press(page, "Tab")
        if wanted.and_(page.locator(":focus")).count():
            return
    pytest.fail(f"Tab does not reach {name}")


def test_shortcut_opens_each_view(visit: Visitor) -> None:
    tab = visit()
    page = tab.go("chat")
    for view, letter in reversed(LETTERS.items()):
        page.locator("main h1").focus()
        press(page, "g", letter)
        tab.settle(view)
        expect(page).to_have_title(f"{page.locator('main h1').inner_text()} · MemoryOS")


def test_heading_is_focused_after_a_change_of_view(visit: Visitor) -> None:
    tab = visit()
    page = tab.go("chat")
    page.locator("main h1").focus()
    press(page, "g", "w")
    tab.settle("worker")
    expect(page.locator("main h1")).to_be_focused()


def test_shortcuts_are_off_in_input_fields(visit: Visitor) -> None:
    tab = visit()
    page = tab.go("search")
    page.get_by_role("searchbox").focus()
    page.keyboard.type("g w?/u")
    expect(page.get_by_role("searchbox")).to_have_value("g w?/u")
    expect(page.get_by_role("dialog")).to_have_count(0)
    tab.settle("search")


def test_slash_question_mark_and_escape_shortcuts(visit: Visitor) -> None:
    tab = visit()
    page = tab.go("costs")
    press(page, "/")
    tab.settle("search")
    expect(page.get_by_role("searchbox")).to_be_focused()
    press(page, "Shift+Tab", "?")
    help_ = page.get_by_role("dialog", name="Keyboard")
    expect(help_).to_be_visible()
    for letter in LETTERS.values():
        expect(help_.get_by_text(f"g {letter}", exact=True)).to_be_visible()
    press(page, "g", "c")
    expect(help_).to_be_visible()
    press(page, "Escape")
    expect(help_).to_have_count(0)


def test_memory_is_selected_by_keyboard(visit: Visitor, api: Api, story: Story, new_user: str) -> None:
    api.post(f"{user_path(new_user)}/pages", {"user_input": "I am somebody else."}, assistant_id=story.assistant_id)
    page = visit().go("search")
    page.locator("main h1").focus()
    press(page, "u")
    choice = page.get_by_role("dialog", name="Select a memory")
    expect(choice).to_be_visible()
    choice.get_by_role("searchbox").focus()
    page.keyboard.type(new_user)
    expect(choice.locator("li")).to_have_count(1)
    press(page, "Tab", "Enter")
    expect(choice).to_have_count(0)
    expect(page.locator("header.top .scope")).to_contain_text(new_user)
    expect(page.locator("main .page")).to_contain_text("I am somebody else.")


def test_first_tab_stop_is_the_skip_link(visit: Visitor) -> None:
    page = visit().go("timeline")
    press(page, "Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    press(page, "Enter")
    expect(page.locator("main h1")).to_be_focused()


@pytest.mark.parametrize("view", LETTERS)
def test_every_control_is_reachable_by_tab_and_visible(visit: Visitor, view: str) -> None:
    page = visit().go(view)
    count = page.evaluate(MARK_FOCUSABLE)
    page.evaluate("document.activeElement.blur()")
    reached, unmarked = set(), []
    for _ in range(count + 40):
        press(page, "Tab")
        focused = page.evaluate(FOCUSED)
        if focused["place"] is None:
            continue
        reached.add(int(focused["place"]))
        if not (focused["marked"] and focused["seen"]):
            unmarked.append(focused["name"])
        if len(reached) == count:
            break
    left_out = page.evaluate(
        "places => [...document.querySelectorAll('[data-place]')]"
        ".filter(each => !places.includes(Number(each.dataset.place))).map(each => each.outerHTML.slice(0, 120))",
        sorted(reached),
    )
    assert left_out == []
    assert unmarked == []


def test_forget_a_page_by_keyboard(visit: Visitor, api: Api, story: Story, new_user: str) -> None:
    path = f"{user_path(new_user)}/pages"
    for text in ("Forget me, please.", "Remember me, please."):
        api.post(path, {"user_input": text}, assistant_id=story.assistant_id)
    tab = visit()
    page = tab.go("chat", user_id=new_user)
    page.locator("main h1").focus()
    press(page, "/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("forget me")
    expect(page.locator("main .page")).to_have_count(1)
    tab_to(page, "Select page no. 1", role="checkbox")
    press(page, "Space")
    tab_to(page, "Forget …")
    press(page, "Enter")
    tab.settle("forget")
    tab_to(page, "Preview")
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Would be deleted")).to_be_focused()
    tab_to(page, "Forget permanently")
    press(page, "Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    tab_to(page, "Forget permanently", most=4)
    press(page, "Enter")
    expect(page.get_by_role("heading", name="1 page was forgotten.")).to_be_visible()
    left = api.get(path, assistant_id=story.assistant_id)["pages"]
    assert [each["user_text"] for each in left] == ["Remember me, please."]


def test_dialog_traps_and_restores_focus(visit: Visitor) -> None:
    page = visit().go("search")
    opener = page.locator("main .page").first.get_by_role("button", name="Open the page")
    opener.focus()
    press(page, "Enter")
    sheet = page.get_by_role("dialog")
    expect(sheet).to_be_visible()
    for _ in range(12):
        press(page, "Tab")
        inside = page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
        assert inside
    press(page, "Escape")
    expect(opener).to_be_focused()
