"""Tests of the forget view."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.inspector.conftest import Api, Visitor, user_path
from tests.inspector.story import Story


@pytest.fixture
def story_user(api: Api, story: Story, new_user: str) -> str:
    """A user for this test only, with the same story."""
    api.copy(story.user_id, new_user)
    return new_user


def pages_of(api: Api, story: Story, user_id: str) -> list[str]:
    listed = api.get(f"{user_path(user_id)}/pages", assistant_id=story.assistant_id, limit=500)
    return [f"{each['user_text']} {each['assistant_text']}" for each in listed["pages"]]


def fact_of(api: Api, story: Story, user_id: str) -> dict[str, Any]:
    listed = api.get(f"{user_path(user_id)}/knowledge", assistant_id=story.assistant_id, about="user")["knowledge"]
    fact: dict[str, Any] = max(listed, key=lambda each: len(each["text"]))
    return fact


def choose(page: Page, way: str) -> None:
    page.get_by_role("group", name="What to forget").get_by_role("button", name=way).click()


def closure(page: Page) -> Any:
    return page.locator(".closure")


def test_pages_found_by_query_are_selected_previewed_and_forgotten(
    visit: Visitor, api: Api, story: Story, story_user: str
) -> None:
    tab = visit()
    page = tab.go("forget", user_id=story_user)
    choose(page, "By query")
    page.get_by_label("Query").fill(story.question)
    page.get_by_role("button", name="Find pages").click()
    hit = page.locator(".found-pages .page", has_text=story.answer_words).first
    expect(hit).to_be_visible()
    hit_id = hit.get_attribute("data-page")
    expect(page.get_by_role("button", name="Preview")).to_be_disabled()
    hit.get_by_role("checkbox").check()
    page.get_by_role("button", name="Preview").click()
    expect(closure(page).get_by_role("heading", name="Would be deleted")).to_be_focused()
    expect(closure(page).locator(".found-pages").first.locator(".page")).to_have_attribute("data-page", str(hit_id))
    tab.shoot("forget")
    before = pages_of(api, story, story_user)
    closure(page).get_by_role("button", name="Forget permanently").click()
    sure = page.get_by_role("dialog", name="Forget this permanently?")
    sure.get_by_role("button", name="Cancel").click()
    assert pages_of(api, story, story_user) == before
    closure(page).get_by_role("button", name="Forget permanently").click()
    sure.get_by_role("button", name="Forget permanently").click()
    expect(page.get_by_role("heading", name="1 page was forgotten.")).to_be_visible()
    expect(page.locator("main")).to_contain_text(re.compile("The deleted bytes (were|are) erased from the files"))
    gone = set(before) - set(pages_of(api, story, story_user))
    assert len(gone) == 1
    assert story.answer_words in gone.pop()
    page.get_by_role("button", name="Forget something else").click()
    expect(page.get_by_role("group", name="What to forget")).to_be_visible()


def test_preview_lists_facts_derived_from_a_page(visit: Visitor, api: Api, story: Story, story_user: str) -> None:
    fact = fact_of(api, story, story_user)
    page = visit().go("forget", "pages", *fact["source_page_ids"], user_id=story_user)
    page.get_by_role("button", name="Preview").click()
    expect(closure(page).locator(".texts")).to_contain_text(fact["text"])


def test_forgetting_a_fact_keeps_its_pages(visit: Visitor, api: Api, story: Story, story_user: str) -> None:
    fact = fact_of(api, story, story_user)
    before = pages_of(api, story, story_user)
    page = visit().go("forget", user_id=story_user)
    choose(page, "Facts")
    page.get_by_label("Filter the facts").fill(fact["text"].upper())
    facts = page.locator(".picks li")
    expect(facts).to_have_count(1)
    facts.get_by_role("checkbox").check()
    page.get_by_role("button", name="Preview").click()
    expect(closure(page).locator(".texts")).to_have_text(fact["text"])
    closure(page).get_by_role("button", name="Forget permanently").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget permanently").click()
    expect(page.get_by_role("heading", name="0 pages were forgotten.")).to_be_visible()
    path = f"{user_path(story_user)}/knowledge"
    known = api.get(path, assistant_id=story.assistant_id, history="true", limit=500)["knowledge"]
    assert known
    assert fact["text"] not in [each["text"] for each in known]
    assert pages_of(api, story, story_user) == before


def test_forget_all_pages_before_a_day(visit: Visitor, api: Api, story: Story, story_user: str) -> None:
    day = sorted({each.at.date() for each in story.drafts})[2]
    gone = sum(each.at.date() < day for each in story.drafts)
    page = visit().go("forget", user_id=story_user)
    choose(page, "Before a date")
    page.get_by_label("All pages before this day (UTC)").fill(day.isoformat())
    page.get_by_role("button", name="Preview").click()
    expect(closure(page).locator(".figure").first).to_have_text(f"{gone}pages")
    closure(page).get_by_role("button", name="Forget permanently").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget permanently").click()
    expect(page.get_by_role("heading", name=f"{gone} pages were forgotten.")).to_be_visible()
    assert len(pages_of(api, story, story_user)) == len(story.drafts) - gone


def test_forgetting_everything_requires_typing_the_user(
    visit: Visitor, api: Api, story: Story, story_user: str
) -> None:
    everything = len(story.drafts)
    page = visit().go("forget", user_id=story_user)
    choose(page, "Everything")
    page.get_by_role("button", name="Preview").click()
    expect(closure(page).locator(".figure").first).to_have_text(f"{everything}pages")
    closure(page).get_by_role("button", name="Forget permanently").click()
    sure = page.get_by_role("dialog")
    forget = sure.get_by_role("button", name="Forget permanently")
    expect(forget).to_be_disabled()
    sure.get_by_role("textbox").fill(story_user[:-1])
    expect(forget).to_be_disabled()
    page.keyboard.press("Enter")
    assert len(pages_of(api, story, story_user)) == everything
    sure.get_by_role("textbox").fill(story_user)
    forget.click()
    expect(page.get_by_role("heading", name=f"{everything} pages were forgotten.")).to_be_visible()
    assert pages_of(api, story, story_user) == []


def test_items_deleted_in_the_meantime_can_not_be_forgotten(
    visit: Visitor, api: Api, story: Story, story_user: str
) -> None:
    listed = api.get(f"{user_path(story_user)}/pages", assistant_id=story.assistant_id, limit=1)["pages"]
    page = visit().go("forget", "pages", listed[0]["page_id"], user_id=story_user)
    api.post(
        f"{user_path(story_user)}/forget",
        {"page_ids": [listed[0]["page_id"]], "dry_run": False},
        assistant_id=story.assistant_id,
    )
    page.get_by_role("button", name="Preview").click()
    expect(closure(page)).to_contain_text("Nothing would be deleted.")
    expect(closure(page).get_by_role("button", name="Forget permanently")).to_be_disabled()


def test_forget_view_of_an_empty_memory(visit: Visitor, new_user: str) -> None:
    tab = visit()
    page = tab.go("forget", user_id=new_user)
    expect(page.get_by_text("No page is selected.")).to_be_visible()
    page.get_by_role("button", name="Open the search").click()
    tab.settle("search")
