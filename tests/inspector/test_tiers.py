"""Tests of the tiers view (window, segments, knowledge, profile) and its live updates."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.inspector.conftest import PHONE, Api, Visitor, user_path
from tests.inspector.story import Story

CAPACITY = 7
TALKS = [
    ("I started learning the cello last month.", "What a lovely instrument. How do the lessons go?"),
    ("My cello teacher is called Ines and she lives in Ghent.", "Ines from Ghent, noted."),
    ("I practise the cello every morning before work.", "That is dedication."),
    ("My sister Nora plays the violin.", "A musical family!"),
    ("Nora and I want to play a duet in spring.", "Which piece will it be?"),
    ("A duet by Barriere for cello and violin.", "A beautiful choice."),
    ("I bought a new bow for my cello.", "Does it sound different?"),
    ("Yes, warmer. I love it.", "Wonderful."),
]

# Reads a copy, because repeated reads of a canvas drawn by the GPU make Chromium print a warning.
HAS_DRAWING = """canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    return copy.getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean);
}"""


def of(api: Api, story: Story, rest: str, **query: Any) -> Any:
    return api.get(f"{user_path(story.user_id)}{rest}", assistant_id=story.assistant_id, **query)


def say(api: Api, user_id: str, story: Story, talk: tuple[str, str]) -> Any:
    body = {"user_input": talk[0], "agent_response": talk[1]}
    return api.post(f"{user_path(user_id)}/pages", body, assistant_id=story.assistant_id)


def wait_until_live(page: Page) -> None:
    """Waits for the event connection; earlier events are not shown."""
    expect(page.get_by_role("img", name="Live events: live", exact=True)).to_be_visible()


def record_news(page: Page) -> None:
    """Records every message of the list "Recent events", which shows only the newest four."""
    page.get_by_role("status", name="Recent events").evaluate("""list => {
        window.news = [];
        const note = () => window.news.push(...[...list.children].map(each => each.textContent));
        new MutationObserver(note).observe(list, {childList: true, subtree: true, characterData: true});
        note();
    }""")


def wait_for_news(page: Page, text: str) -> None:
    """Waits until a message with this text was shown after the start of the recording."""
    page.wait_for_function("text => window.news.some(each => each.includes(text))", arg=text)


def test_overview_shows_the_counts(visit: Visitor, api: Api, story: Story) -> None:
    page = visit().go("tiers")
    stats = of(api, story, "/stats")
    tiers = page.get_by_role("navigation", name="Tier")
    facts = stats["knowledge_about_user"] + stats["knowledge_about_assistant"]
    expect(tiers.locator("a.window")).to_contain_text(f"{stats['short_term_pages']} of {CAPACITY} pages")
    expect(tiers.locator("a.segments")).to_contain_text(f"{stats['segments']} active")
    expect(tiers.locator("a.knowledge")).to_contain_text(f"{facts} current fact")
    expect(tiers.locator("a.profile")).to_contain_text(f"{stats['traits']} of 90 traits")
    expect(tiers.locator("a[aria-current]")).to_have_class("window")


def test_window_shows_the_newest_pages_and_the_next_to_leave(visit: Visitor, api: Api, story: Story) -> None:
    page = visit().go("tiers")
    cards = page.locator("ol.window .page")
    newest = of(api, story, "/pages", limit=CAPACITY)["pages"]
    expect(cards).to_have_count(CAPACITY)
    assert [each.get_attribute("data-page") for each in cards.all()] == [each["page_id"] for each in newest]
    expect(cards.first).to_contain_text("newest")
    expect(cards.last).to_contain_text("leaves next")


def test_page_moves_to_mid_term_in_the_window_view(visit: Visitor, api: Api, story: Story, new_user: str) -> None:
    for talk in TALKS[:CAPACITY]:
        say(api, new_user, story, talk)
    page = visit().go("tiers", user_id=new_user)
    window = page.locator("ol.window")
    expect(window.locator(".page")).to_have_count(CAPACITY)
    wait_until_live(page)
    record_news(page)
    say(api, new_user, story, TALKS[CAPACITY])
    expect(window.locator(".page").first).to_contain_text(TALKS[CAPACITY][0])
    expect(window.locator(".page")).to_have_count(CAPACITY)
    expect(page.get_by_role("region", name="Left the window")).to_contain_text(TALKS[0][0])
    expect(window).not_to_contain_text(TALKS[0][0])
    wait_for_news(page, "Page no. 8 was added")
    wait_for_news(page, "Page no. 1 left the window")


def test_live_events_of_segments_and_facts(visit: Visitor, api: Api, story: Story, new_user: str) -> None:
    page = visit().go("tiers", "segments", user_id=new_user)
    expect(page.get_by_text("No segments yet")).to_be_visible()
    wait_until_live(page)
    record_news(page)
    path = user_path(new_user)
    for talk in TALKS:
        say(api, new_user, story, talk)
    api.post(f"{path}/flush", {}, assistant_id=story.assistant_id)
    rows = page.locator(".segment-row")
    expect(rows.first).to_be_visible()
    wait_for_news(page, "A segment was created")
    segments = api.get(f"{path}/segments", assistant_id=story.assistant_id)["segments"]
    expect(rows).to_have_count(len(segments))
    hottest = max(segments, key=lambda each: each["heat"])
    row = page.locator(f'.segment-row[href*="{hottest["segment_id"]}"]')
    cool = float(row.locator(".heat").inner_text())
    for _ in range(4):
        api.post(f"{path}/recall", {"query": "cello lessons and practice"}, assistant_id=story.assistant_id)
    wait_for_news(page, "The heat of a segment rose to")
    page.wait_for_function(
        "([id, cool]) => Number(document.querySelector(`.segment-row[href*='${id}'] .heat`).textContent) !== cool",
        arg=[hottest["segment_id"], cool],
    )
    wait_for_news(page, "; profile version")
    page.locator("nav.overview a.knowledge").click()
    expect(page.locator(".known")).to_contain_text("Ines")


def test_segments_are_sorted_by_the_chosen_order(visit: Visitor, api: Api, story: Story) -> None:
    page = visit().go("tiers", "segments")
    segments = of(api, story, "/segments", limit=500)["segments"]
    rows = page.locator(".segment-row")
    orders: dict[str, Callable[[Any], Any]] = {
        "Hottest": lambda each: each["heat"],
        "Newest": lambda each: each["created_at"],
        "Largest": lambda each: each["page_count"],
        "Last visited": lambda each: each["last_visited_at"],
    }
    for name, key in orders.items():
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
        shown = [str(each.get_attribute("href")) for each in rows.all()]
        by_id = {each["segment_id"]: each for each in segments}
        values = [key(by_id[re.split(r"[/?]", href)[3]]) for href in shown]
        assert len(values) > 1
        assert values == sorted(values, reverse=True), name


def hrefs(rows: Locator) -> list[str]:
    """Returns the link targets of the visible rows, read in one step."""
    found: list[str] = rows.evaluate_all("all => all.map(each => each.getAttribute('href'))")
    return found


def test_order_of_rows_is_stable_under_the_pointer(visit: Visitor, api: Api, story: Story) -> None:
    page = visit().go("tiers", "segments")
    rows = page.locator(".segment-row")
    wait_until_live(page)
    before = hrefs(rows)
    row = rows.nth(4)
    row.hover()
    segment_id = re.split(r"[/?]", str(before[4]))[3]
    pages = of(api, story, f"/segments/{segment_id}")["pages"]
    cool = row.locator(".heat").inner_text()
    query = {"query": pages[0]["user_text"] or pages[0]["assistant_text"]}
    for _ in range(9):
        api.post(f"{user_path(story.user_id)}/recall", query, assistant_id=story.assistant_id)
    expect(row.locator(".heat")).not_to_have_text(cool)
    assert hrefs(rows)[: len(before)] == before[: len(hrefs(rows))]
    page.mouse.move(0, 0)
    page.wait_for_function(
        """() => {
            const heats = [...document.querySelectorAll(".segment-row .heat")].map((each) => Number(each.textContent));
            return heats[0] === Math.max(...heats);
        }"""
    )
    assert hrefs(rows)[:5] != before[:5]


def test_segment_row_shows_heat_size_keywords_and_time(visit: Visitor, api: Api, story: Story) -> None:
    page = visit().go("tiers", "segments")
    segments = of(api, story, "/segments", limit=500)["segments"]
    largest = max(segments, key=lambda each: each["page_count"])
    row = page.locator(f'.segment-row[href*="{largest["segment_id"]}"]')
    expect(row).to_contain_text(largest["summary"])
    expect(row).to_contain_text(f"{largest['page_count']} pages")
    expect(row).to_contain_text(largest["keywords"][0])
    expect(row).to_have_accessible_name(re.compile(r"^Heat [\d.]+, \d+ pages, last visit .+: "))
    assert float(row.locator(".heat").inner_text()) == pytest.approx(largest["heat"], abs=0.02)
    bar, strip = row.locator(".strip i").bounding_box(), row.locator(".strip").bounding_box()
    assert bar is not None
    assert strip is not None
    first = min(datetime.fromisoformat(each["created_at"]) for each in segments)
    last = max(datetime.fromisoformat(each["last_visited_at"]) for each in segments)
    share = (datetime.fromisoformat(largest["created_at"]) - first) / (last - first)
    assert (bar["x"] - strip["x"]) / strip["width"] == pytest.approx(share, abs=0.02)


def test_segment_view_shows_chains_and_pages(visit: Visitor, api: Api, story: Story) -> None:
    segments = of(api, story, "/segments", limit=500)["segments"]
    largest = max(segments, key=lambda each: each["page_count"])
    whole = of(api, story, f"/segments/{largest['segment_id']}")
    page = visit().go("tiers", "segments")
    page.locator(f'.segment-row[href*="{largest["segment_id"]}"]').click()
    head = page.get_by_role("region", name="Segment")
    expect(head.get_by_role("heading")).to_have_text(whole["summary"])
    for word in whole["keywords"]:
        expect(head.locator(".badge", has_text=re.compile(f"^{re.escape(word)}$"))).to_have_count(1)
    for chain in {each["chain_id"] for each in whole["pages"][:20]}:
        summary = next((each["summary"] for each in whole["chains"] if each["chain_id"] == chain), None)
        if summary:
            expect(page.locator(".chain > header", has_text=summary).first).to_be_visible()
    more = page.get_by_role("button", name=re.compile(r"^Show \d+ more page"))
    while more.count():
        more.click()
    shown = [each.get_attribute("data-page") for each in page.locator(".chain .page").all()]
    assert sorted(filter(None, shown)) == sorted(each["page_id"] for each in whole["pages"])
    page.get_by_role("link", name="All segments").click()
    expect(page.locator(".segment-row").first).to_be_visible()


def test_segment_view_shows_the_terms_of_the_heat(visit: Visitor, api: Api, story: Story) -> None:
    segments = of(api, story, "/segments", limit=500)["segments"]
    hottest = max(segments, key=lambda each: each["heat"])
    page = visit().go("tiers", "segments", hottest["segment_id"])
    equation = page.locator(".equation")
    numbers = [re.findall(r"[\d.]+", each) for each in equation.locator(".term").all_inner_texts()]
    total = sum(float(value) * float(weight) for value, weight in numbers)
    assert float(equation.locator(".heat").inner_text()) == pytest.approx(total, abs=0.03)


def test_missing_segment_is_reported(visit: Visitor) -> None:
    tab = visit()
    page = tab.go("tiers", "segments", "0190c0de-0000-7000-8000-000000000000")
    expect(page.get_by_text("This segment no longer exists.")).to_be_visible()
    assert [each.split()[0] for each in tab.refusals] == ["404"]
    tab.refusals.clear()


def test_knowledge_view_shows_source_pages(visit: Visitor, api: Api, story: Story) -> None:
    page = visit().go("tiers", "knowledge")
    facts = of(api, story, "/knowledge", limit=500)["knowledge"]
    shown = page.locator(".known > li")
    expect(shown).to_have_count(min(100, len(facts)))
    newest = facts[-1]
    first = shown.first
    expect(first).to_contain_text(newest["text"])
    expect(first).to_contain_text(f"{newest['origin']['analyst']} · {newest['origin']['version']}")
    first.get_by_role("button", name="Source 1").click()
    source = of(api, story, f"/pages/{newest['source_page_ids'][0]}")
    expect(page.get_by_role("dialog", name="Page")).to_contain_text(source["user_text"] or source["assistant_text"])


def test_facts_are_filtered_by_subject_and_words(visit: Visitor, api: Api, story: Story) -> None:
    page = visit().go("tiers", "knowledge")
    shown = page.locator(".known > li")
    for name, about in (("The user", "user"), ("The assistant", "assistant")):
        page.get_by_role("button", name=name).click()
        facts = of(api, story, "/knowledge", about=about, limit=500)["knowledge"]
        expect(shown).to_have_count(min(100, len(facts)))
        expect(page.locator(f".known .badge.{'user' if about == 'assistant' else 'assistant'}")).to_have_count(0)
    page.get_by_role("button", name="Both").click()
    fact = of(api, story, "/knowledge", limit=500)["knowledge"][0]
    page.get_by_role("searchbox").fill(fact["text"].upper())
    expect(shown).to_have_count(1)
    page.get_by_role("searchbox").fill("no fact says this")
    expect(page.get_by_text("No fact matches the filter.")).to_be_visible()


def test_corrected_fact_keeps_its_history(visit: Visitor, api: Api, story: Story, new_user: str) -> None:
    for talk in TALKS:
        say(api, new_user, story, talk)
    api.post(f"{user_path(new_user)}/flush", {}, assistant_id=story.assistant_id)
    page = visit().go("tiers", "knowledge", user_id=new_user)
    first = page.locator(".known > li").first
    before = first.locator(".said").inner_text()
    first.get_by_role("button", name="History").click()
    dialog = page.get_by_role("dialog", name="History of a fact")
    dialog.get_by_role("button", name="Correct").click()
    dialog.get_by_label("Corrected text").fill("Plays the cello since March.")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    expect(page.locator(".known")).to_contain_text("Plays the cello since March.")
    expect(page.locator(".known .said", has_text=re.compile(f"^{re.escape(before)}$"))).to_have_count(0)
    page.get_by_role("switch", name="include history").check()
    expect(page.locator(".known .past", has_text=before)).to_contain_text("replaced")
    page.locator(".known > li", has_text="since March").get_by_role("button", name="History").click()
    expect(dialog.locator(".versions > li .said")).to_have_text([before, "Plays the cello since March."])


def test_profile_view_shows_radar_chart_and_evidence(visit: Visitor, api: Api, story: Story) -> None:
    profile = of(api, story, "/profile")
    assert profile["traits"]
    assert profile["attributes"]
    page = visit().go("tiers", "profile")
    for attribute in profile["attributes"]:
        expect(page.get_by_role("region", name="Attributes")).to_contain_text(attribute["value"])
    known = len(profile["traits"])
    radar = page.get_by_role("img", name=f"Known traits by category: {known} of 90")
    expect(radar).to_be_visible()
    page.wait_for_function(HAS_DRAWING, arg=radar.element_handle())
    rows = page.locator(".plot table tbody tr")
    expect(rows).to_have_count(6)
    told = {row.locator("td").first.inner_text(): row.locator("td").nth(1).inner_text() for row in rows.all()}
    for category, share in told.items():
        own = sum(each["category"] == category for each in profile["traits"])
        assert share.startswith(f"{own} of ")
    expect(page.locator(".trait")).to_have_count(known)
    trait = profile["traits"][0]
    card = page.locator(".trait", has_text=trait["reason"]).first
    expect(card).to_contain_text(trait["dimension"])
    card.get_by_role("button", name="Source 1").click()
    source = of(api, story, f"/pages/{trait['evidence_page_ids'][0]}")
    expect(page.get_by_role("dialog", name="Page")).to_contain_text(source["user_text"] or source["assistant_text"])


def test_profile_category_and_version_are_selectable(visit: Visitor, api: Api, story: Story) -> None:
    versions = of(api, story, "/profile/history")["versions"]
    page = visit().go("tiers", "profile")
    newest = versions[-1]
    category = newest["traits"][0]["category"]
    page.get_by_role("button", name=category, exact=True).click()
    own = [each for each in newest["traits"] if each["category"] == category]
    expect(page.locator(".trait")).to_have_count(len(own))
    expect(page.locator(".category")).to_have_count(1)
    page.get_by_role("button", name="All", exact=True).click()
    older = next((each for each in versions if len(each["traits"]) != len(newest["traits"]) and each["traits"]), newest)
    page.get_by_label("Version").select_option(str(older["version"]))
    expect(page.locator(".trait")).to_have_count(len(older["traits"]))


@pytest.mark.parametrize("tier", ["window", "segments", "knowledge", "profile"])
def test_tiers_of_an_empty_memory(visit: Visitor, new_user: str, tier: str) -> None:
    page = visit().go("tiers", tier, user_id=new_user)
    expect(page.locator(".empty")).to_be_visible()


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures(visit: Visitor, api: Api, story: Story, theme: str) -> None:
    segments = of(api, story, "/segments", limit=500)["segments"]
    largest = max(segments, key=lambda each: each["page_count"])["segment_id"]
    for name, options in (("", {"viewport": {"width": 1360, "height": 860}}), ("-phone", {"viewport": PHONE})):
        tab = visit(theme=theme, **options)
        for tier, rest in (
            ("window", []),
            ("segments", []),
            ("segment", [largest]),
            ("knowledge", []),
            ("profile", []),
        ):
            page = tab.go("tiers", "segments" if rest else tier, *rest)
            if tier == "profile":
                expect(page.locator(".plot canvas")).to_be_visible()
            tab.shoot(f"{tier}-{theme}{name}")
            assert fits(page), (tier, name)


def test_unsupported_languages_are_reported_with_the_command_that_fixes_it(
    visit: Visitor, api: Api, story: Story, new_user: str
) -> None:
    say(api, new_user, story, TALKS[0])
    page = visit().go("tiers", user_id=new_user)
    expect(page.locator("ol.window .page")).to_have_count(1)
    expect(page.get_by_role("note")).to_have_count(0)
    for _ in range(2):
        say(api, new_user, story, ("Ik woon al jaren met mijn zus in Gent.", "Wat leuk dat je in Gent woont!"))
    for view in ("tiers", "worker"):
        page = visit().go(view, user_id=new_user)
        expect(page.get_by_role("note")).to_contain_text("memoryos reembed multilingual-e5-small")
