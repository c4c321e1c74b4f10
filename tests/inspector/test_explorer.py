"""Tests of the recall explorer."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.inspector.conftest import PHONE, Api, Visitor, user_path
from tests.inspector.story import Story


def recalled(api: Api, story: Story, **more: Any) -> Any:
    body = {"query": story.question, "max_pages": 7, "near_misses": 5, "ranking": {}} | more
    return api.post(f"{user_path(story.user_id)}/recall", body, assistant_id=story.assistant_id)


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [each["page_id"] for each in found]


def ranked(page: Page) -> list[str | None]:
    return [each.get_attribute("data-page") for each in page.locator(".found .page").all()]


def slide(page: Page, name: str, value: float) -> None:
    """Sets the value of a slider and sends the input event."""
    page.locator(f"input[type=range][name={name}]").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        str(value),
    )


@pytest.fixture
def explorer(visit: Visitor, story: Story) -> Page:
    page = visit().go("explorer")
    expect(page.get_by_text("Enter a query")).to_be_visible()
    page.get_by_label("Query").fill(story.question)
    expect(page.get_by_role("region", name="Ranking")).to_have_attribute("aria-busy", "false")
    return page


def settled(page: Page) -> None:
    expect(page.get_by_role("region", name="Ranking")).to_have_attribute("aria-busy", "false")


def test_ranking_and_near_misses_match_the_server(explorer: Page, api: Api, story: Story) -> None:
    found = recalled(api, story)
    assert ranked(explorer) == ids(found["pages"]) + ids(found["near_misses"])
    expect(explorer.get_by_text("Near misses: the next 5 pages")).to_be_visible()
    expect(explorer.locator(".found .rank")).to_have_text([str(number) for number in range(1, 13)])
    scores = [float(each) for each in explorer.locator(".found .score").all_inner_texts()]
    assert scores == pytest.approx([each["score"] for each in found["pages"] + found["near_misses"]], abs=0.006)


def test_every_signal_has_a_bar(explorer: Page, api: Api, story: Story) -> None:
    best = recalled(api, story)["pages"][0]
    first = explorer.locator(".found .page").first
    for name, value in best["signals"].items():
        shown = first.locator(f".hue-{name} .number")
        if abs(value) >= 0.005:
            assert float(shown.inner_text()) == pytest.approx(value, abs=0.006)
        else:
            expect(shown).to_have_count(0)


def test_slider_updates_the_ranking_and_shows_rank_changes(explorer: Page, api: Api, story: Story) -> None:
    usual = recalled(api, story)
    before = ids(usual["pages"] + usual["near_misses"])
    slide(explorer, "words", 0)
    slide(explorer, "meaning", 0.1)
    tried = recalled(api, story, ranking={"words": 0, "meaning": 0.1})
    after = ids(tried["pages"] + tried["near_misses"])
    assert after != before
    expect(explorer.locator(".found .page").first).to_have_attribute("data-page", after[0])
    expect(explorer.locator(".moved")).to_have_count(len(after))
    assert ranked(explorer) == after
    for index, (page_id, mark) in enumerate(zip(after, explorer.locator(".moved").all(), strict=True)):
        if page_id not in before:
            expect(mark).to_have_text("new")
        elif before.index(page_id) == index:
            expect(mark).to_have_text("=")
        else:
            moved = before.index(page_id) - index
            expect(mark).to_have_text(f"{'▲' if moved > 0 else '▼'} {abs(moved)}")
    explorer.get_by_role("button", name="Reset").click()
    expect(explorer.locator(".moved")).to_have_count(0)
    assert ranked(explorer) == before


def test_weights_change_by_keyboard(explorer: Page) -> None:
    slider = explorer.get_by_role("slider", name="words")
    slider.focus()
    with explorer.expect_request("**/recall*") as sent:
        slider.press("ArrowRight")
    body = sent.value.post_data_json
    assert body
    assert body["ranking"]["words"] == pytest.approx(0.85)
    expect(explorer.locator(".weight.hue-words output")).to_have_text("0.85")


def test_explorer_does_not_change_heat(visit: Visitor, api: Api, story: Story) -> None:
    def visits() -> dict[str, int]:
        path = f"{user_path(story.user_id)}/segments"
        return {
            each["segment_id"]: each["visits"] for each in api.get(path, assistant_id=story.assistant_id)["segments"]
        }

    # Profiling a segment resets its visits; after the flush no segment is left to profile.
    api.post(f"{user_path(story.user_id)}/flush", {}, assistant_id=story.assistant_id)
    before = visits()
    page = visit().go("explorer")
    page.get_by_label("Query").fill(f"Everything about {story.word}")
    expect(page.locator(".found .page").first).to_be_visible()
    slide(page, "session", 2)
    expect(page.locator(".moved").first).to_be_visible()
    assert visits() == before


def test_context_is_shown_with_its_tokens(explorer: Page, api: Api, story: Story) -> None:
    found = recalled(api, story)
    packed = explorer.get_by_role("region", name="Context")
    expect(packed.locator(".meter")).to_contain_text(f"{found['tokens']} tokens")
    expect(packed.locator(".prompt")).to_have_text(found["prompt"])
    explorer.get_by_label("maximum tokens").fill("120")
    bounded = recalled(api, story, max_tokens=120)
    expect(packed.locator(".meter")).to_contain_text(f"{bounded['tokens']} of 120 tokens")
    expect(packed.locator(".prompt")).to_have_text(bounded["prompt"])
    assert bounded["tokens"] <= 120
    assert ranked(explorer) == ids(bounded["pages"]) + ids(bounded["near_misses"])


def test_limits_change_the_number_of_results(explorer: Page) -> None:
    explorer.get_by_label("maximum pages").fill("3")
    explorer.get_by_label("near misses").fill("2")
    expect(explorer.get_by_text("Recalled: 3 pages")).to_be_visible()
    expect(explorer.locator(".found .page")).to_have_count(5)
    explorer.get_by_label("near misses").fill("")
    expect(explorer.locator(".found .page")).to_have_count(3)
    expect(explorer.locator(".cut")).to_have_count(0)


def test_recalled_facts_link_to_their_sources(explorer: Page, api: Api, story: Story) -> None:
    found = recalled(api, story)["knowledge"]
    assert found
    packed = explorer.get_by_role("region", name="Context")
    packed.get_by_text(f"Facts ({len(found)})").click()
    first = packed.locator(".facts-found > li").first
    expect(first).to_contain_text(found[0]["text"])
    first.get_by_role("button", name="Source 1").click()
    source = api.get(
        f"{user_path(story.user_id)}/pages/{found[0]['source_page_ids'][0]}", assistant_id=story.assistant_id
    )
    expect(explorer.get_by_role("dialog", name="Page")).to_contain_text(source["user_text"] or source["assistant_text"])


def test_outdated_response_is_not_shown(explorer: Page, api: Api, story: Story) -> None:
    """The response to an earlier query arrives last and is ignored."""
    held: list[Any] = []
    explorer.route("**/recall*", lambda route: held.append(route) if not held else route.continue_())
    explorer.get_by_label("Query").fill("something else altogether")
    expect(explorer.get_by_role("region", name="Ranking")).to_have_attribute("aria-busy", "true")
    explorer.get_by_label("Query").fill(story.question)
    settled(explorer)
    found = recalled(api, story)
    assert ranked(explorer) == ids(found["pages"]) + ids(found["near_misses"])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures(visit: Visitor, story: Story, theme: str) -> None:
    for name, options in (("", {"viewport": {"width": 1360, "height": 860}}), ("-phone", {"viewport": PHONE})):
        tab = visit(theme=theme, **options)
        page = tab.go("explorer")
        page.get_by_label("Query").fill(story.question)
        expect(page.locator(".found .page").first).to_be_visible()
        slide(page, "words", 0.2)
        expect(page.locator(".moved").first).to_be_visible()
        tab.shoot(f"explorer-{theme}{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
