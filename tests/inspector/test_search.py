"""The view that looks for pages word for word."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.inspector.conftest import Api, Visitor, user_path
from tests.inspector.story import Story


def holds(story: Story, word: str) -> int:
    return sum(word in f"{each.user_text}\n{each.assistant_text}".lower() for each in story.drafts)


def test_all_pages_are_shown_newest_first_part_by_part(visit: Visitor, story: Story) -> None:
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


def test_words_are_found_in_any_case_and_marked(visit: Visitor, story: Story) -> None:
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


def test_words_that_nobody_said_find_nothing(visit: Visitor) -> None:
    page = visit().go("search")
    page.get_by_role("searchbox").fill("(.*)+[ that nobody said")
    expect(page.get_by_text("No page contains these words.")).to_be_visible()


def test_signs_of_patterns_are_words_like_others(visit: Visitor, api: Api, story: Story, somebody: str) -> None:
    said = "It cost $5 (really?) [a+b]*c \\d ^x{2} | y/z - done."
    api.post(f"{user_path(somebody)}/pages", {"user_input": said}, assistant_id=story.assistant_id)
    page = visit().go("search", user_id=somebody)
    for words in ("$5 (really?)", "[a+b]*c \\d", "^x{2} | y/z -"):
        page.get_by_role("searchbox").fill(words)
        expect(page.locator(".hits mark")).to_have_text(words)
        expect(page.locator(".hits .page")).to_contain_text(said)


def test_what_is_picked_goes_to_forgetting(visit: Visitor, story: Story) -> None:
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


def test_a_page_that_comes_meanwhile_is_offered(visit: Visitor, api: Api, story: Story, somebody: str) -> None:
    page = visit().go("search", user_id=somebody)
    expect(page.get_by_text("No pages yet.")).to_be_visible()
    api.post(f"{user_path(somebody)}/pages", {"user_input": "Hello there"}, assistant_id=story.assistant_id)
    page.get_by_role("button", name="Show 1 new page").click()
    expect(page.locator(".hits .page")).to_contain_text("Hello there")
