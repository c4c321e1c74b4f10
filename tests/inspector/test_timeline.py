"""Tests of the timeline view."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.inspector.conftest import Api, Visitor, user_path
from tests.inspector.story import Story


def test_timeline_lists_days_with_pages_and_facts(visit: Visitor, api: Api, story: Story) -> None:
    tab = visit()
    page = tab.go("timeline")
    days = sorted({each.at.date().isoformat() for each in story.drafts}, reverse=True)
    shown = page.locator(".days > .day").evaluate_all("rows => rows.map(row => row.dataset.day)")
    assert [day for day in shown if day in days] == days
    newest = sum(each.at.date().isoformat() == days[0] for each in story.drafts)
    expect(page.locator(f'[data-day="{days[0]}"]')).to_contain_text(f"{newest} page")
    facts = api.get(f"{user_path(story.user_id)}/knowledge", assistant_id=story.assistant_id, history="true", limit=500)
    told = page.locator(".sign.of-facts").all_inner_texts()
    assert sum(int(re.findall(r"\d+", text)[0]) for text in told) == len(facts["knowledge"])
    tab.shoot("timeline")


def test_day_expands_to_pages_and_page_opens_a_dialog(visit: Visitor, story: Story) -> None:
    page = visit().go("timeline")
    oldest = story.drafts[0]
    row = page.locator(f'[data-day="{oldest.at.date().isoformat()}"]')
    row.get_by_role("button").first.click()
    cards = row.locator(".page")
    expect(cards).to_have_count(sum(each.at.date() == oldest.at.date() for each in story.drafts))
    expect(cards.first).to_contain_text(oldest.user_text or oldest.assistant_text)
    cards.first.get_by_role("button", name="Open the page").click()
    expect(page.get_by_role("dialog")).to_contain_text(oldest.user_text or oldest.assistant_text)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    row.get_by_role("button").first.click()
    expect(cards).to_have_count(0)


def test_fact_is_listed_on_its_day_with_sources(visit: Visitor, api: Api, story: Story) -> None:
    listed = api.get(f"{user_path(story.user_id)}/knowledge", assistant_id=story.assistant_id, limit=500)
    fact = listed["knowledge"][0]
    page = visit().go("timeline")
    page.get_by_role("group", name="Show days with").get_by_role("button", name="Facts").click()
    row = page.locator(f'[data-day="{fact["recorded_at"][:10]}"]')
    row.get_by_role("button").first.click()
    line = row.locator(".event", has_text=fact["text"]).first
    line.get_by_role("button", name="Source 1").click()
    expect(page.get_by_role("dialog").locator(f'[data-page="{fact["source_page_ids"][0]}"]')).to_be_visible()


def test_profile_version_is_listed_on_its_day(visit: Visitor, api: Api, story: Story) -> None:
    path = f"{user_path(story.user_id)}/profile/history"
    version = api.get(path, assistant_id=story.assistant_id)["versions"][-1]
    page = visit().go("timeline")
    row = page.locator(f'[data-day="{version["recorded_at"][:10]}"]')
    row.get_by_role("button").first.click()
    line = row.locator(".event", has_text=f"profile version {version['version']}")
    expect(line).to_contain_text(f"{len(version['traits'])} trait")
    line.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Tiers")).to_be_visible()


def test_click_in_the_chart_opens_the_day(visit: Visitor, story: Story) -> None:
    page = visit().go("timeline")
    field = page.locator(".lane-field").first
    field.click(position={"x": 2, "y": 20})
    oldest = page.locator(f'[data-day="{story.drafts[0].at.date().isoformat()}"]')
    expect(oldest.get_by_role("button").first).to_have_attribute("aria-expanded", "true")
    expect(oldest.get_by_role("button").first).to_be_focused()


def test_new_page_appears_without_reload(visit: Visitor, api: Api, story: Story, new_user: str) -> None:
    page = visit().go("timeline", user_id=new_user)
    expect(page.get_by_text("No pages yet.")).to_be_visible()
    api.post(
        f"{user_path(new_user)}/pages",
        {"user_input": "Hello", "timestamp": "2021-05-06T07:08:09Z"},
        assistant_id=story.assistant_id,
    )
    expect(page.locator('[data-day="2021-05-06"]')).to_contain_text("1 page")
