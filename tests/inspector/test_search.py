"""Tests of the search view."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.inspector.conftest import Api, Visitor, user_path
from tests.inspector.story import Story


def holds(story: Story, word: str) -> int:
    return sum(word in f"{each.user_text}\n{each.assistant_text}".lower() for each in story.drafts)


def test_search_lists_all_pages_newest_first(visit: Visitor, story: Story) -> None:
    page = visit().go("search")
    cards = page.locator(".hits .page")
    expect(cards).to_have_count(min(50, len(story.drafts)))
    newest = story.drafts[-1]
    expect(cards.first).to_contain_text(newest.user_text or newest.assistant_text)
    while page.get_by_role("button", name="Show more").count():
        shown = cards.count()
        page.get_by_role("button", name="Show more").click()
        expect(cards).not_to_have_count(shown)
    expect(cards).to_have_count(len(story.drafts))
    expect(page.get_by_role("status").filter(has_text="newest first")).to_have_text(
        f"All {len(story.drafts)} pages, newest first"
    )


def test_search_ignores_case_and_marks_matches(visit: Visitor, story: Story) -> None:
    tab = visit()
    page = tab.go("search")
    page.get_by_role("searchbox").fill(story.word.upper())
    found = holds(story, story.word)
    assert found > 1
    cards = page.locator(".hits .page")
    expect(cards).to_have_count(found)
    expect(page.get_by_text(f"{found} pages with these words")).to_be_visible()
    for card in cards.all():
        expect(card.locator("mark").first).to_have_text(story.word, ignore_case=True)
    tab.shoot("search")


def test_search_without_match(visit: Visitor) -> None:
    page = visit().go("search")
    page.get_by_role("searchbox").fill("(.*)+[ that nobody said")
    expect(page.get_by_text("No page contains these words.")).to_be_visible()


def test_pattern_characters_are_searched_literally(visit: Visitor, api: Api, story: Story, new_user: str) -> None:
    said = "It cost $5 (really?) [a+b]*c \\d ^x{2} | y/z - done."
    api.post(f"{user_path(new_user)}/pages", {"user_input": said}, assistant_id=story.assistant_id)
    page = visit().go("search", user_id=new_user)
    for words in ("$5 (really?)", "[a+b]*c \\d", "^x{2} | y/z -"):
        page.get_by_role("searchbox").fill(words)
        expect(page.locator(".hits mark")).to_have_text(words)
        expect(page.locator(".hits .page")).to_contain_text(said)


def test_selected_pages_are_passed_to_the_forget_view(visit: Visitor, story: Story) -> None:
    page = visit().go("search")
    page.get_by_role("searchbox").fill(story.word)
    boxes = page.get_by_role("checkbox")
    expect(boxes).to_have_count(holds(story, story.word))
    boxes.nth(0).check()
    boxes.nth(1).check()
    picked = page.get_by_role("region", name="2 pages selected")
    picked.get_by_role("button", name="Clear").click()
    expect(picked).to_have_count(0)
    boxes.nth(1).check()
    ids = page.locator(".hits .page").evaluate_all("cards => cards.map(card => card.dataset.page)")
    page.get_by_role("button", name="Forget …").click()
    expect(page.get_by_text("1 page is selected.")).to_be_visible()
    assert f"#/forget/pages/{ids[1]}?" in page.url


def test_new_page_is_offered_in_the_search(visit: Visitor, api: Api, story: Story, new_user: str) -> None:
    page = visit().go("search", user_id=new_user)
    expect(page.get_by_text("No pages yet.")).to_be_visible()
    api.post(f"{user_path(new_user)}/pages", {"user_input": "Hello there"}, assistant_id=story.assistant_id)
    page.get_by_role("button", name="Show 1 new page").click()
    expect(page.locator(".hits .page")).to_contain_text("Hello there")
