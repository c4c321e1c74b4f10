"""Tests of the chat view."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.inspector.conftest import PHONE, Api, Visitor, user_path
from tests.inspector.story import Story


def ask(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_role("button", name="Send").click()


@pytest.fixture
def forgetful(visit: Visitor) -> Page:
    """A tab on the chat view that does not store messages."""
    page = visit().go("chat")
    expect(page.locator(".earlier")).to_have_count(10)
    page.get_by_role("switch", name="Store in memory").uncheck()
    return page


def test_answer_shows_recalled_pages_and_signals(forgetful: Page, api: Api, story: Story) -> None:
    ask(forgetful, story.question)
    answer = forgetful.locator('.exchange[data-state="done"]')
    expect(answer.locator(".bubble.assistant")).to_contain_text(story.answer_words)
    expect(answer.get_by_text("quoted by the local analyst")).to_be_visible()
    why = forgetful.get_by_role("complementary", name="Recalled for the answer")
    asked = {"query": story.question, "ranking": {}}
    found = api.post(f"{user_path(story.user_id)}/recall", asked, assistant_id=story.assistant_id)
    expect(why.locator(".ranking > li")).to_have_count(len(found["pages"]))
    expect(why.locator(".meter")).to_contain_text(f"{found['tokens']} of 16,000 tokens")
    best, first = found["pages"][0], why.locator(".ranking > li").first
    for text in best["shown"].values():
        expect(first).to_contain_text(text)
    expect(first.locator("time")).to_have_attribute("datetime", best["at"])
    for name, value in best["signals"].items():
        row = first.locator(f".hue-{name}")
        expect(row).to_have_count(1 if abs(value) >= 0.005 else 0)
        if row.count():
            number = float(row.locator(".number").inner_text())
            assert number == pytest.approx(value, abs=0.05)  # neighbours in the log move as a visit is noted


def test_signal_bars_are_proportional_to_their_values(forgetful: Page, story: Story) -> None:
    ask(forgetful, story.question)
    expect(forgetful.locator('.exchange[data-state="done"]')).to_be_visible()
    rows = forgetful.locator(".why .ranking .signal")
    measured = [
        (float(row.locator(".number").inner_text()), row.locator(".bar i").bounding_box()) for row in rows.all()
    ]
    longest = max(abs(number) for number, _ in measured)
    whole = rows.first.locator(".bar").bounding_box()
    assert whole is not None
    for number, box in measured:
        assert box is not None
        assert box["width"] / whole["width"] == pytest.approx(abs(number) / longest, abs=0.02)


def test_source_page_of_an_answer_is_marked_and_opens(forgetful: Page, story: Story) -> None:
    ask(forgetful, story.question)
    forgetful.locator('.exchange[data-state="done"]').get_by_role("button", name="Source 1").click()
    dialog = forgetful.get_by_role("dialog", name="Page")
    expect(dialog).to_contain_text(story.answer_words)
    forgetful.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(forgetful.get_by_role("button", name="Source 1").first).to_be_focused()


def test_each_answer_keeps_its_own_recall(forgetful: Page, story: Story) -> None:
    ask(forgetful, story.question)
    done = forgetful.locator('.exchange[data-state="done"]')
    expect(done).to_have_count(1)
    ask(forgetful, f"What about {story.word}?")
    expect(done).to_have_count(2)
    asked = forgetful.locator(".why .asked")
    expect(asked).to_have_text(f"What about {story.word}?")
    done.first.get_by_role("button", name="Show recall").click()
    expect(asked).to_have_text(story.question)


def test_only_stored_messages_become_pages(visit: Visitor, api: Api, story: Story, new_user: str) -> None:
    page = visit().go("chat", user_id=new_user)
    expect(page.get_by_text("No messages yet.")).to_be_visible()
    done = page.locator('.exchange[data-state="done"]')
    ask(page, "I keep bees on the roof.")
    expect(done).to_have_count(1)
    page.get_by_role("switch", name="Store in memory").uncheck()
    ask(page, "This is between us.")
    expect(done).to_have_count(2)
    expect(done.last).to_contain_text("not stored")
    kept = api.get(f"{user_path(new_user)}/pages", assistant_id=story.assistant_id)["pages"]
    assert [each["user_text"] for each in kept] == ["I keep bees on the roof."]


def test_answer_is_streamed(visit: Visitor) -> None:
    """The test replaces the stream of the server, to check the view after each part."""
    tab = visit()
    page = tab.go("chat")
    page.evaluate(
        """() => {
            const real = window.fetch;
            window.fetch = (url, options) => {
                if (!String(url).includes("/answers")) return real(url, options);
                const bytes = new TextEncoder();
                const stream = new ReadableStream({ start(to) { window.tell = (text) => to.enqueue(bytes.encode(text)); } });
                return Promise.resolve(new Response(stream, { status: 200 }));
            };
        }"""
    )
    ask(page, "Anything?")
    bubble = page.locator('.exchange[data-state="asking"] .bubble.assistant')
    expect(bubble).to_have_attribute("aria-busy", "true")
    page.evaluate("""tell('event: piece\\ndata: {"text": "The fi')""")
    page.evaluate("""tell('rst"}\\n\\nevent: piece\\n')""")
    expect(bubble).to_have_text("The first")
    page.evaluate("""tell('data: {"text": " and <b>more</b>"}\\n\\n')""")
    expect(bubble).to_have_text("The first and <b>more</b>")
    page.evaluate(
        """tell('event: error\\ndata: {"type": "urn:x", "title": "Bad Gateway", "status": 502, "detail": "The model fell over."}\\n\\n')"""
    )
    expect(page.get_by_role("alert")).to_have_text(re.compile("The model fell over."))
    expect(page.get_by_role("button", name="Send")).to_be_visible()


def test_stopped_answer_is_not_stored(visit: Visitor, api: Api, story: Story, new_user: str) -> None:
    page = visit().go("chat", user_id=new_user)
    page.route("**/answers*", lambda _: None)
    ask(page, "Take your time.")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator('.exchange[data-state="stopped"]')).to_contain_text("stopped; not stored")
    assert api.get(f"{user_path(new_user)}/pages", assistant_id=story.assistant_id)["pages"] == []


def test_error_is_shown_and_the_next_question_works(forgetful: Page, story: Story) -> None:
    def refuse(route: Route) -> None:
        route.abort()

    forgetful.route("**/answers*", refuse)
    ask(forgetful, story.question)
    expect(forgetful.get_by_role("alert")).to_contain_text("The server can't be reached.")
    forgetful.unroute("**/answers*")
    ask(forgetful, story.question)
    expect(forgetful.locator('.exchange[data-state="done"]')).to_have_count(1)


def test_enter_sends_and_shift_enter_adds_a_line(forgetful: Page) -> None:
    field = forgetful.get_by_label("Message")
    field.fill("One line")
    field.press("Shift+Enter")
    field.type("and another")
    expect(field).to_have_value("One line\nand another")
    field.press("Enter")
    expect(field).to_have_value("")
    expect(field).to_be_focused()
    expect(forgetful.locator(".exchange:not(.earlier) .bubble.user")).to_have_text("One line\nand another")


def test_style_is_sent_with_the_question(forgetful: Page) -> None:
    forgetful.get_by_label("Style of the answer").fill("in one word")
    with forgetful.expect_request("**/answers*") as sent:
        ask(forgetful, "Who am I?")
    assert sent.value.post_data_json == {
        "query": "Who am I?",
        "style_hint": "in one word",
        "remember": False,
        "stream": True,
    }
    expect(forgetful.locator('.exchange[data-state="done"]')).to_have_count(1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures(visit: Visitor, story: Story, theme: str) -> None:
    for name, options in (("", {}), ("-phone", {"viewport": PHONE})):
        tab = visit(theme=theme, **options)
        page = tab.go("chat")
        page.get_by_role("switch", name="Store in memory").uncheck()
        ask(page, story.question)
        expect(page.locator('.exchange[data-state="done"]')).to_have_count(1)
        expect(page.locator(".why .ranking > li").first).to_be_visible()
        tab.shoot(f"chat-{theme}{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
