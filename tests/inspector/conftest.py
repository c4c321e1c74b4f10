"""Fixtures of the inspector tests: servers in separate processes, and a headless browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

import pytest
from playwright.sync_api import (
    APIRequestContext,
    APIResponse,
    Browser,
    ConsoleMessage,
    Dialog,
    Page,
    Playwright,
    Request,
    expect,
    sync_playwright,
)

from tests.inspector.server import Kind
from tests.inspector.story import Story, the_story

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
NO_BROWSER = "There is no Chromium on PATH, and the inspector's tests drive one: run `make browser`."
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}
END_SECONDS = 60
WAIT_MS = 60_000

Theme = Literal["light", "dark"]

expect.set_options(timeout=WAIT_MS)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        address: Base URL without a trailing slash.
        keys: API keys by "admin", "user" and "other"; empty if the server requires none.
    """

    address: str
    keys: dict[str, str]


@dataclass
class Visit:
    """One browser tab on the inspector, with its unexpected events.

    Attributes:
        page: The tab.
        address: Base URL of the server.
        faults: Script and console errors, dialogs, violations of the security policy, requests to other servers.
        refusals: Error responses of the server; a test that expects some clears the list.
    """

    page: Page
    address: str
    faults: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def go(self, view: str, *rest: str, user_id: str | None = None, assistant_id: str | None = None) -> Page:
        """Opens a view by its address and waits until it has loaded; default: the memory of the story."""
        story = the_story()
        query = urlencode(
            {"user": user_id or story.user_id, "assistant": assistant_id or story.assistant_id}, quote_via=quote
        )
        path = "/".join(quote(part, safe="") for part in (view, *rest))
        self.page.goto(f"{self.address}/#/{path}?{query}")
        self.settle(view)
        return self.page

    def settle(self, view: str) -> None:
        """Waits until a view is shown and has finished loading."""
        expect(self.page.locator(f'nav.views a[aria-current="page"][href^="#/{view}"]')).to_have_count(1)
        expect(self.page.locator("main h1")).to_be_visible()
        expect(self.page.locator('main [aria-busy="true"]')).to_have_count(0)

    def shoot(self, name: str, *, whole: bool = False) -> None:
        """Saves a screenshot in build/screenshots; ``whole`` includes the part below the viewport."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole, animations="disabled")

    def watch(self) -> None:
        """Starts to record unexpected events."""
        self.page.on("pageerror", lambda error: self.faults.append(f"error of a script: {error}"))
        self.page.on("console", self._hear)
        self.page.on("dialog", self._dismiss)
        self.page.on("request", self._follow)
        self.page.on("response", lambda response: self._read(response.status, response.url))
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error("
            "'policy: ' + e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sample))"
        )

    def wait_for_fault(self, cause: str) -> None:
        """Waits until the browser reports a fault, which happens shortly after its cause."""
        deadline = time.monotonic() + WAIT_MS / 1000
        while not self.faults:
            assert time.monotonic() < deadline, f"no fault was reported: {cause}"
            self.page.wait_for_timeout(20)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.faults.append(f"console: {message.text}")

    def _dismiss(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _follow(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and f"{parts.scheme}://{parts.netloc}" != self.address:
            self.faults.append(f"request to {request.url}")

    def _read(self, status: int, url: str) -> None:
        if status >= 400:
            self.refusals.append(f"{status} {url}")


@dataclass(frozen=True, slots=True)
class Api:
    """A client of the REST API, independent of the page."""

    context: APIRequestContext

    def get(self, path: str, **query: str | int) -> Any:
        """Returns the JSON at a path."""
        return _json_of(self.context.get(path, params=dict(query)))

    def post(self, path: str, body: Any, **query: str | int) -> Any:
        """Sends JSON and returns JSON."""
        return _json_of(self.context.post(path, data=body, params=dict(query)))

    def export(self, user_id: str) -> list[str]:
        """Returns the export of a user with the assistant of the story, as JSON lines."""
        found = self.context.get(f"{user_path(user_id)}/export", params={"assistant_id": the_story().assistant_id})
        return found.body().decode().splitlines()

    def upload(self, user_id: str, text: str, assistant_id: str) -> None:
        """Imports a text as a file into the memory of a user."""
        headers = {"Content-Type": "application/octet-stream"}
        path = f"{user_path(user_id)}/import"
        _json_of(self.context.post(path, data=text.encode(), headers=headers, params={"assistant_id": assistant_id}))

    def copy(self, user_id: str, target: str) -> None:
        """Copies the memory of a user to another user, both with the assistant of the story."""
        self.upload(target, "\n".join(self.export(user_id)), the_story().assistant_id)


def user_path(user_id: str) -> str:
    """Returns the path of a user's memory."""
    return f"/v1/users/{quote(user_id, safe='')}"


def _json_of(response: APIResponse) -> Any:
    assert response.ok, f"{response.status} {response.text()}"
    return response.json()


@pytest.fixture(scope="session")
def story() -> Story:
    return the_story()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Kind], Server]]:
    """Returns a function that starts the server of a kind once and returns it."""
    running: dict[Kind, Server] = {}
    with ExitStack() as stack:

        def start(kind: Kind) -> Server:
            if kind not in running:
                folder = tmp_path_factory.mktemp(f"inspector-{kind}")
                running[kind] = stack.enter_context(ServerProcess(kind, folder)).server
            return running[kind]

        yield start


class ServerProcess:
    """The process of a server; a context manager that stops it."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        self._log = folder / "log"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("MEMORYOS_", "OPENAI_"))
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.inspector.server", kind, str(folder / "store")],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        stdout = self._process.stdout
        assert stdout is not None
        line = stdout.readline()
        if not line:
            self._end()
            pytest.fail(f"the server did not start:\n{self._log.read_text('utf-8')[-4_000:]}")
        self.server = Server(**json.loads(line))

    def __enter__(self) -> ServerProcess:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        try:
            self._process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise


@pytest.fixture(scope="session")
def server(serve: Callable[[Kind], Server]) -> Server:
    """A server with the story, without keys and without an LLM."""
    return serve("plain")


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Playwright; package scope, because its event loop would conflict with tests of other packages."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The headless Chromium of the machine."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(NO_BROWSER)
    arguments = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    launched = playwright.chromium.launch(executable_path=program, args=arguments)
    yield launched
    launched.close()


Visitor = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visitor]:
    """Returns a function that opens a tab; at the end, no tab may have recorded an unexpected event."""
    visits: list[Visit] = []
    with ExitStack() as stack:

        def open_tab(at: Server | None = None, *, theme: Theme = "light", **options: Any) -> Visit:
            viewport = options.pop("viewport", DESK)
            context = browser.new_context(
                viewport=viewport,
                color_scheme=theme,
                reduced_motion="reduce",
                locale="en-GB",
                timezone_id="UTC",
                **options,
            )
            stack.callback(context.close)
            context.set_default_timeout(WAIT_MS)
            opened = Visit(context.new_page(), (at or server).address)
            opened.watch()
            visits.append(opened)
            return opened

        yield open_tab
        for each in visits:
            assert each.faults == []
            assert each.refusals == []


@pytest.fixture(scope="package")
def api(playwright: Playwright, server: Server) -> Iterator[Api]:
    """A client of the REST API of the server without keys."""
    context = playwright.request.new_context(base_url=server.address)
    yield Api(context)
    context.dispose()


@pytest.fixture
def new_user() -> str:
    """A new user with an empty memory, for this test only."""
    return f"ada-{uuid.uuid4().hex[:8]}"
