"""Takes the screenshots of the documentation: ``INSPECTOR_STORY=demo python -m tests.inspector.pictures``.

They show the conversation of the demo, whose licence permits sharing.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.inspector.conftest import ROOT, ServerProcess, Visit
from tests.inspector.story import the_story

IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1280, "height": 760}
MOST_BYTES = 200_000


def main() -> None:
    """Opens the documented views and saves a screenshot of each."""
    if os.environ.get("INSPECTOR_STORY") != "demo":
        raise SystemExit("set INSPECTOR_STORY=demo: screenshots may only show the conversation of the demo")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcess("plain", Path(folder)) as process,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        tab = Visit(browser.new_page(viewport=SIZE, color_scheme="light", timezone_id="UTC"), process.server.address)  # type: ignore[arg-type]
        _chat(tab)
        _timeline(tab)
        _tiers(tab)
        browser.close()


def _chat(tab: Visit) -> None:
    page = tab.go("chat")
    page.get_by_role("switch", name="Store in memory").uncheck()
    page.get_by_role("textbox", name="Message").fill(the_story().question)
    page.keyboard.press("Enter")
    expect(page.locator(".why .page").first).to_be_visible()
    expect(page.locator("main")).to_contain_text("not stored")
    page.wait_for_timeout(500)
    _keep(page, "inspector-chat")


def _timeline(tab: Visit) -> None:
    page = tab.go("timeline")
    page.locator(".days .row", has_text="pages").nth(1).click()
    expect(page.locator(".within .page").first).to_be_visible()
    page.mouse.move(0, 0)
    page.locator("main h1").focus()
    _keep(page, "inspector-timeline")


def _tiers(tab: Visit) -> None:
    page = tab.go("tiers", "segments")
    expect(page.locator("main .virtual li").first).to_be_visible()
    page.wait_for_timeout(500)
    _keep(page, "inspector")


def _keep(page: Page, name: str) -> None:
    file = IMAGES / f"{name}.png"
    page.screenshot(path=file, animations="disabled")
    size = file.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{file.name} has {size:,} bytes; the limit is {MOST_BYTES:,}")


if __name__ == "__main__":
    main()
