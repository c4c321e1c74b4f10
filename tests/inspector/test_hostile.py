"""Hostile stored text is shown as text and never becomes markup or code."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.inspector.conftest import PHONE, Api, Server, Visit, Visitor
from tests.inspector.story import Story

MARK = "window.broken=1"
TAG = f"<img src=x onerror={MARK}>"
PAYLOADS = (
    f"<script>{MARK}</script>",
    TAG,
    f"<svg onload={MARK}><a xlink:href=javascript:{MARK}>x</a></svg>",
    f'"><a href="javascript:{MARK}" onfocus={MARK} autofocus>click</a>',
    f"'><iframe srcdoc='<script>parent.{MARK}</script>'></iframe>",
    f"${{{MARK}}} {{{{constructor.constructor('{MARK}')()}}}} <%= {MARK} %> #{{{MARK}}}",
    "<style>*{display:none!important}</style><link rel=stylesheet href=http://evil.invalid/x.css>",
    "</textarea></title></main><base href=http://evil.invalid/><meta http-equiv=refresh content=0;url=http://evil.invalid/>",
    f"javascript:{MARK}",
    f"[x](javascript:{MARK}) ![x](http://evil.invalid/x.png) data:text/html,<script>{MARK}</script>",
    "\u202e\u2066 turned round \u200b\u200d\ufeff",
)
HOSTILE = " ".join(PAYLOADS)
LONG = "W" * 3_000
VIEWS = ("chat", "tiers", "explorer", "timeline", "search", "forget", "transfer", "costs", "worker")
PLACES = (
    *((view,) for view in VIEWS),
    ("tiers", "window"),
    ("tiers", "segments"),
    ("tiers", "knowledge"),
    ("tiers", "profile"),
)
UNEXPECTED_ELEMENTS = """() => [...document.querySelectorAll("body *")].flatMap(each => [
    ...(/^(script|iframe|object|embed|link|style|base|meta|frame|applet)$/i.test(each.tagName) ? [each.outerHTML] : []),
    ...[...each.attributes].filter(({name, value}) => /^on|^srcdoc$/i.test(name)
        || (/^(href|src|action|formaction|xlink:href|data)$/i.test(name) && /^\\s*(javascript|data|http:..evil)/i.test(value)))
        .map(({name, value}) => name + "=" + value),
    ...(each.tagName === "IMG" && !each.src.endsWith("/inspector/icon.svg") ? [each.outerHTML] : []),
])"""


OVERFLOW = """() => new Promise(done => {
    const end = performance.now() + 2000;
    const look = () => {
        const over = document.documentElement.scrollWidth - innerWidth;
        if (over <= 0 || performance.now() > end) done(over); else requestAnimationFrame(look);
    };
    look();
})"""
"""Returns the horizontal overflow in pixels after the layout has settled."""


@dataclass(frozen=True, slots=True)
class Victim:
    """A user whose memory has hostile text in every field and id."""

    user_id: str
    assistant_id: str
    segment_id: str


def hostile(value: Any) -> Any:
    """Returns an export record with hostile text in all derived fields."""
    if isinstance(value, dict):
        kept = {"level", "category", "dimension", "source_page_ids", "evidence_page_ids"}
        return {name: inner if name in kept else hostile(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [hostile(each) for each in value]
    return f"{value} {HOSTILE}" if isinstance(value, str) else value


@pytest.fixture(scope="module")
def spoilt() -> list[str]:
    """Names of the fields that get hostile text, by kind of record."""
    return ["user_text", "assistant_text", "summary", "keywords", "text", "value", "body"]


@pytest.fixture(scope="module")
def victim(api: Api, story: Story, spoilt: list[str]) -> Victim:
    user_id, assistant_id = (f"{TAG}/{{{{1}}}}/{name}-{uuid.uuid4().hex[:6]}" for name in ("user", "assistant"))
    lines, segment_id = [], ""
    for line in api.export(story.user_id):
        record = json.loads(line)
        segment_id = record.get("segment_id") or segment_id
        if record["kind"] == "scope":
            record |= {"user_id": user_id, "assistant_id": assistant_id}
        if record["kind"] == "page":
            record |= {"user_name": TAG, "assistant_name": f"</b>{TAG}", "metadata": {TAG: [TAG, {"on": HOSTILE}]}}
        if record["kind"] in {"page", "chain", "segment", "fact", "profile"}:
            record |= {name: hostile(record[name]) for name in spoilt if name in record}
        if record["kind"] in {"fact", "segment"} or record.get("seq") == len(story.drafts):
            record |= {name: f"{record[name]} {LONG}" for name in ("user_text", "text", "summary") if name in record}
        lines.append(json.dumps(record))
    api.upload(user_id, "\n".join(lines), assistant_id)
    return Victim(user_id, assistant_id, segment_id)


def check(tab: Visit) -> None:
    """Checks that no script ran, no element was created, no request was sent, and nothing overflows."""
    page = tab.page
    assert page.evaluate("window.broken") is None
    assert page.evaluate(UNEXPECTED_ELEMENTS) == []
    assert page.evaluate(OVERFLOW) <= 0
    assert tab.faults == []


def open_all(page: Page) -> None:
    """Expands all details and rows."""
    for kind, most in (("main details:not([open]) > summary:visible", 10), ('main button[aria-expanded="false"]', 3)):
        for _ in range(most):
            if page.locator(kind).count():
                page.locator(kind).first.click()
    expect(page.locator('main [aria-busy="true"]')).to_have_count(0)


@pytest.mark.parametrize("place", PLACES, ids="/".join)
def test_hostile_text_does_not_run_or_break_a_view(visit: Visitor, victim: Victim, place: tuple[str, ...]) -> None:
    tab = visit()
    page = tab.go(*place, user_id=victim.user_id, assistant_id=victim.assistant_id)
    assert page.locator("header.top .scope").inner_text().startswith(TAG)
    open_all(page)
    check(tab)
    opened = page.locator("main").get_by_role("button", name="Open the page")
    if opened.count():
        opened.first.click()
        sheet = page.get_by_role("dialog")
        expect(sheet).to_contain_text(PAYLOADS[0])
        sheet.locator("summary").click()
        expect(sheet.locator("pre")).to_contain_text(TAG)
        check(tab)
        page.keyboard.press("Escape")
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    check(tab)


def test_hostile_segment_is_shown_as_text(visit: Visitor, victim: Victim) -> None:
    tab = visit()
    page = tab.go("tiers", "segments", victim.segment_id, user_id=victim.user_id, assistant_id=victim.assistant_id)
    expect(page.locator("main")).to_contain_text(PAYLOADS[1])
    open_all(page)
    check(tab)


@pytest.mark.parametrize("payload", PAYLOADS[:6])
def test_hostile_text_can_be_recalled_and_quoted(visit: Visitor, victim: Victim, payload: str) -> None:
    tab = visit()
    where = {"user_id": victim.user_id, "assistant_id": victim.assistant_id}
    page = tab.go("chat", **where)
    page.get_by_role("switch", name="Store in memory").uncheck()
    page.get_by_role("textbox", name="Message").fill(payload)
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text(payload)
    expect(page.locator(".why .page").first).to_be_visible()
    check(tab)
    page = tab.go("explorer", **where)
    page.get_by_role("searchbox").fill(payload)
    expect(page.locator("main .page").first).to_be_visible()
    open_all(page)
    check(tab)
    page = tab.go("search", **where)
    page.get_by_role("searchbox").fill(payload)
    expect(page.locator("main mark").first).to_have_text(payload)
    check(tab)


def test_hostile_text_in_preview_and_memory_selection_is_text(visit: Visitor, victim: Victim) -> None:
    tab = visit()
    page = tab.go("forget", user_id=victim.user_id, assistant_id=victim.assistant_id)
    page.get_by_role("button", name="Everything").click()
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".closure .page").first).to_contain_text(PAYLOADS[0])
    expect(page.locator(".closure .texts")).to_contain_text(PAYLOADS[0])
    check(tab)
    page.locator(".closure").get_by_role("button", name="Forget permanently").click()
    expect(page.get_by_role("dialog")).to_contain_text(victim.user_id)
    check(tab)
    page.keyboard.press("Escape")
    page.locator("header.top .scope").click()
    expect(page.get_by_role("dialog").locator("li", has_text=victim.user_id)).to_contain_text(victim.assistant_id)
    check(tab)


def test_bidirectional_text_is_isolated(visit: Visitor, victim: Victim) -> None:
    page = visit().go("search", user_id=victim.user_id, assistant_id=victim.assistant_id)
    kinds = page.locator("main .said").evaluate_all(
        "all => all.map(each => getComputedStyle(each).unicodeBidi + each.dir)"
    )
    assert len(kinds) > 20
    assert set(kinds) == {"isolateauto"}


def test_markup_in_the_address_is_not_executed(visit: Visitor) -> None:
    tab = visit()
    tab.page.goto(f"{tab.address}/#/{TAG}/{TAG}?user={TAG}&assistant=javascript:{MARK}")
    expect(tab.page.locator("header.top .scope")).to_contain_text(TAG)
    check(tab)


def test_server_error_is_shown_as_text(visit: Visitor, story: Story) -> None:
    tab = visit()
    problem = json.dumps({"title": TAG, "detail": HOSTILE, "status": 503})
    tab.page.route(
        "**/days*", lambda route: route.fulfill(status=503, content_type="application/problem+json", body=problem)
    )
    tab.page.goto(f"{tab.address}/#/timeline?user={story.user_id}&assistant={story.assistant_id}")
    expect(tab.page.get_by_role("alert")).to_contain_text(PAYLOADS[0])
    check(tab)
    tab.refusals.clear()


def test_response_headers_restrict_the_page(api: Api) -> None:
    answer = api.context.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_browser_enforces_the_content_security_policy(visit: Visitor) -> None:
    tab = visit()
    page = tab.go("search")
    page.on("requestfinished", lambda request: left.append(request.url))
    left: list[str] = []
    for attempt in (
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.broken = 1'}))",
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.broken=1>')",
        "document.body.append(Object.assign(new Image(), {src: 'http://evil.invalid/x.png'}))",
        "document.body.setAttribute('onclick', 'window.broken = 1') || document.body.click()",
        "fetch('http://evil.invalid/').catch(() => null)",
    ):
        tab.faults.clear()
        page.evaluate(f"() => {{ try {{ {attempt} }} catch (error) {{ console.error(error.message) }} }}")
        expect(page.locator("main h1")).to_be_visible()
        tab.wait_for_fault(attempt)
    assert page.evaluate("window.broken") is None
    assert not [each for each in left if "evil" in each]
    tab.faults.clear()


def asked_for_a_key(visit: Visitor, serve: Any, story: Story) -> tuple[Server, Visit, Locator]:
    """Opens the story's memory on a server with keys; returns the server, the tab and the key field."""
    keys = serve("keys")
    tab = visit(keys)
    tab.page.goto(f"{keys.address}/#/search?user={story.user_id}&assistant={story.assistant_id}")
    return keys, tab, tab.page.get_by_label("Key", exact=True)


def test_memory_of_another_user_is_not_accessible(visit: Visitor, serve: Any, story: Story) -> None:
    keys, tab, field = asked_for_a_key(visit, serve, story)
    field.fill("mos_<script>")
    field.press("Enter")
    expect(tab.page.get_by_role("alert")).to_be_visible()
    field.fill(keys.keys["other"])
    field.press("Enter")
    expect(tab.page.get_by_role("alert")).to_contain_text("another user")
    expect(tab.page.locator("main .page")).to_have_count(0)
    assert {each.split(" ")[0] for each in tab.refusals} <= {"401", "403"}
    tab.refusals.clear()


def test_key_is_stored_per_tab(visit: Visitor, serve: Any, story: Story) -> None:
    keys, tab, field = asked_for_a_key(visit, serve, story)
    expect(field).to_have_attribute("type", "password")
    field.fill(keys.keys["user"])
    field.press("Enter")
    expect(tab.page.locator("main .page").first).to_be_visible()
    assert keys.keys["user"] not in tab.page.url
    assert tab.page.context.cookies() == []
    assert keys.keys["user"] not in tab.page.evaluate("JSON.stringify(localStorage)")
    second = tab.page.context.new_page()
    second.goto(f"{keys.address}/")
    expect(second.get_by_label("Key", exact=True)).to_be_visible()
    assert {each.split(" ")[0] for each in tab.refusals} <= {"401"}
    tab.refusals.clear()
