"""Tests of the frame: key form, selection of a memory, theme, address, and the command ``memoryos ui``."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

from tests.inspector.conftest import Api, Server, Visit, Visitor, user_path
from tests.inspector.server import Kind
from tests.inspector.story import Story

pytestmark = pytest.mark.enable_socket


def enter(tab: Visit, key: str) -> None:
    tab.page.get_by_label("Key").fill(key)
    tab.page.get_by_role("button", name="Open").click()


@pytest.fixture
def guarded(serve: Callable[[Kind], Server]) -> Server:
    return serve("keys")


def test_key_form_hides_the_key(visit: Visitor, guarded: Server) -> None:
    tab = visit(guarded)
    tab.page.goto(guarded.address)
    expect(tab.page.get_by_role("heading", name="This server requires a key")).to_be_visible()
    enter(tab, guarded.keys["admin"])
    expect(tab.page.get_by_role("heading", name="Chat")).to_be_visible()
    assert guarded.keys["admin"] not in tab.page.url
    assert tab.page.context.cookies() == []
    assert tab.page.evaluate("JSON.stringify(localStorage)").find("mos_") == -1
    tab.page.reload()
    expect(tab.page.get_by_role("heading", name="Chat")).to_be_visible()
    assert {each.split()[0] for each in tab.refusals} == {"401"}
    tab.refusals.clear()


def test_wrong_key_is_reported(visit: Visitor, guarded: Server) -> None:
    tab = visit(guarded)
    tab.page.goto(guarded.address)
    enter(tab, "mos_wrong")
    expect(tab.page.get_by_role("alert")).to_have_text("The server rejected this key.")
    enter(tab, guarded.keys["admin"])
    expect(tab.page.get_by_role("heading", name="Chat")).to_be_visible()
    tab.refusals.clear()


def test_user_key_shows_only_the_own_memory(visit: Visitor, guarded: Server, story: Story) -> None:
    tab = visit(guarded)
    tab.page.goto(guarded.address)
    enter(tab, guarded.keys["other"])
    page = tab.page
    expect(page.get_by_role("button", name=re.compile("Memory of somebody-else"))).to_be_visible()
    tab.refusals.clear()
    page.goto(f"{guarded.address}/#/tiers?user={story.user_id}&assistant={story.assistant_id}")
    expect(page.get_by_role("alert").first).to_contain_text("this key is for the memory of another user")
    expect(page.get_by_role("img", name="Live events: no access")).to_be_visible()
    assert {each.split()[0] for each in tab.refusals} == {"403"}
    tab.refusals.clear()


def test_key_can_be_removed(visit: Visitor, guarded: Server) -> None:
    tab = visit(guarded)
    tab.page.goto(guarded.address)
    enter(tab, guarded.keys["user"])
    tab.page.get_by_role("button", name=re.compile("^Memory of")).click()
    tab.page.get_by_role("button", name="Remove the key").click()
    expect(tab.page.get_by_role("heading", name="This server requires a key")).to_be_visible()
    assert tab.page.evaluate("sessionStorage.length") == 0
    tab.refusals.clear()


def test_memory_is_selected_from_the_list_and_by_name(visit: Visitor, api: Api, story: Story, new_user: str) -> None:
    odd = f"{new_user}/ä & ?#%"
    api.post(f"{user_path(odd)}/pages", {"user_input": "I am odd."}, assistant_id=story.assistant_id)
    tab = visit()
    page = tab.go("tiers")
    page.keyboard.press("u")
    dialog = page.get_by_role("dialog", name="Select a memory")
    dialog.get_by_role("searchbox").fill(odd[-8:])
    dialog.get_by_role("button", name=odd).click()
    expect(dialog).to_have_count(0)
    expect(page.locator("ol.window .page")).to_contain_text("I am odd.")
    page.reload()
    expect(page.locator("ol.window .page")).to_contain_text("I am odd.")
    page.get_by_role("button", name=re.compile("^Memory of")).click()
    dialog.get_by_text("Enter a user and an assistant").click()
    dialog.get_by_label("User").fill(f"{new_user}-new")
    dialog.get_by_label("Assistant").fill("new_user's assistant")
    dialog.get_by_role("button", name="Open").click()
    expect(page.locator("button.scope")).to_have_text(re.compile(f"{new_user}-new.*new_user's assistant"))
    expect(page.locator(".empty")).to_be_visible()


def test_viewing_creates_no_memory(visit: Visitor, api: Api, new_user: str) -> None:
    tab = visit()
    for view in ("chat", "tiers", "explorer"):
        tab.go(view, user_id=new_user)
    assert new_user not in {each["user_id"] for each in api.get("/v1/users", limit=500)["users"]}


def test_theme_follows_the_system_until_changed(visit: Visitor) -> None:
    tab = visit(theme="dark")
    page = tab.go("tiers")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    button = page.get_by_role("button", name=re.compile("^Theme"))
    button.click()
    expect(button).to_have_accessible_name("Theme: light")
    light = page.evaluate(paper)
    assert light != dark
    page.reload()
    expect(page.get_by_role("heading", name="Tiers")).to_be_visible()
    assert page.evaluate(paper) == light
    button.click()
    assert page.evaluate(paper) == dark


def test_browser_back_restores_the_view(visit: Visitor) -> None:
    tab = visit()
    page = tab.go("tiers")
    page.get_by_role("link", name="Recall").click()
    expect(page.get_by_role("heading", name="Recall", exact=True)).to_be_focused()
    page.go_back()
    expect(page.get_by_role("heading", name="Tiers")).to_be_visible()


def test_live_connection_reconnects(visit: Visitor, api: Api, story: Story, new_user: str) -> None:
    api.post(f"{user_path(new_user)}/pages", {"user_input": "First."}, assistant_id=story.assistant_id)
    tab = visit()
    tab.page.route("**/events*", lambda route: route.abort())
    page = tab.go("tiers", user_id=new_user)
    expect(page.get_by_role("img", name="Live events: not connected")).to_be_visible()
    page.unroute("**/events*")
    expect(page.get_by_role("img", name="Live events: live")).to_be_visible()
    api.post(f"{user_path(new_user)}/pages", {"user_input": "Second."}, assistant_id=story.assistant_id)
    expect(page.locator("ol.window .page").first).to_contain_text("Second.")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_ui_command_starts_or_reuses_a_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "memoryos", "--data", str(tmp_path), "--user", "tom & co"]
    command += ["ui", "--no-browser", "--port", str(free_port())]
    place = r"^The inspector is at (http://127\.0\.0\.1:\d+)/#/tiers\?user=tom\+%26\+co&assistant="
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as first:
        try:
            assert first.stdout is not None
            started = re.match(place, first.stdout.readline())
            assert started
            with urlopen(f"{started[1]}/") as response:  # noqa: S310  (our own server)
                assert b"inspector/app.js" in response.read()
            second = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
            found = re.match(place, second.stdout)
            assert found
            assert found[1] == started[1]
        finally:
            first.kill()
