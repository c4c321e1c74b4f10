"""Tests live events: diffs of snapshots, and the stream over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from memoryos.doors.http.app import build_app
from memoryos.doors.http.change_watcher import ChangeWatcher
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from memoryos.errors import StoreUnavailableError
from memoryos.memory import Memory
from tests.conftest import EngineMaker
from tests.doors.http.conftest import USER
from tests.doors.http.proxy_fakes import serving
from tests.waiting import TIMEOUT_SECONDS


def names(events: list[tuple[str, Any]]) -> list[str]:
    return [name for name, _ in events]


def test_each_change_is_reported_once(engine: MemoryEngine) -> None:
    memory = engine.memory("tom")
    watcher = ChangeWatcher(memory)
    assert watcher.poll() == []
    pages = [memory.add_memory(f"I like tea number {number}.", "Good.") for number in range(9)]
    events = watcher.poll()
    assert [value["page_id"] for name, value in events if name == "page_added"] == [page.page_id for page in pages]
    assert [value["seq"] for name, value in events if name == "page_slid_out"] == [1, 2]
    assert events[-1][0] == "stats"
    assert events[-1][1]["pages"] == 9
    assert watcher.poll() == []

    memory.add_memory("One more.")
    events = watcher.poll()
    assert names(events) == ["page_added", "page_slid_out", "stats"]
    assert events[1][1]["seq"] == 3

    memory.flush()
    events = watcher.poll()
    assert "segment_changed" in names(events)
    learned = next(value for name, value in events if name == "learned")
    assert learned["profile_version"] == memory.profile.version
    assert {entry["text"] for entry in learned["knowledge"]} == {entry.text for entry in memory.knowledge()}
    assert learned["knowledge"], "facts are extracted when a page is read"
    assert watcher.poll() == []


def test_recall_reports_a_changed_segment(engine: MemoryEngine) -> None:
    memory = engine.memory("tom")
    for number in range(12):
        memory.add_memory(f"I like tea number {number}.", "Good.")
    memory.flush()
    watcher = ChangeWatcher(memory)
    memory.recall("tea")
    engine.updater.record_all_visits()
    events = watcher.poll()
    assert names(events) == ["segment_changed"]
    assert events[0][1]["visits"] == 1
    assert watcher.poll() == []


def test_forgotten_entries_are_reported_by_id_and_count(engine: MemoryEngine) -> None:
    memory = engine.memory("tom")
    pages = [memory.add_memory(f"I like tea number {number}.", "Good.") for number in range(12)]
    memory.force_mid_term_analysis()
    watcher = ChangeWatcher(memory)
    memory.forget(page_ids=[pages[0].page_id, pages[-1].page_id])
    events = watcher.poll()
    gone = next(value for name, value in events if name == "gone")
    assert gone["pages"] == 2
    assert gone["knowledge_ids"]
    assert "tea number 0" not in json.dumps(gone)
    assert "page_added" not in names(events)
    memory.forget(everything=True)
    assert next(value for name, value in watcher.poll() if name == "gone")["pages"] == 10
    memory.add_memory("A new beginning.")
    assert names(watcher.poll())[0] == "page_added"


@pytest.mark.parametrize("window", [0, 1, 3])
def test_each_page_leaves_the_window_once(make_engine: EngineMaker, window: int) -> None:
    memory = make_engine(short_term_capacity=window).memory("tom")
    watcher = ChangeWatcher(memory)
    moved: list[int] = []
    for burst in (1, 1, 4, 2, 7, 1):
        for _ in range(burst):
            memory.add_memory("Hello.")
        moved += [value["seq"] for name, value in watcher.poll() if name == "page_slid_out"]
    assert moved == list(range(1, 16 - window + 1))


class Listening:
    """Reads an event stream in the background."""

    def __init__(self, address: str) -> None:
        self.received: list[tuple[str, Any]] = []
        self.raw = b""
        self._changed = threading.Condition()
        self.thread = threading.Thread(target=self._listen, args=(f"{address}{USER}/events",))
        self.thread.start()

    def _listen(self, address: str) -> None:
        with httpx2.stream("GET", address, timeout=TIMEOUT_SECONDS) as response:
            for part in response.iter_raw():
                with self._changed:
                    self.raw += part
                    *blocks, _ = self.raw.decode().split("\n\n")
                    lines = [block.split("\n") for block in blocks if block.startswith("event: ")]
                    self.received = [
                        (a.removeprefix("event: "), json.loads(b.removeprefix("data: "))) for a, b in lines
                    ]
                    self._changed.notify_all()

    def wait(self, is_received: Callable[[list[str]], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: is_received(names(self.received)), TIMEOUT_SECONDS), self.received


@pytest.fixture
def address(engine: MemoryEngine) -> Iterator[str]:
    with serving(build_app(engine, ServerSettings(event_seconds=0.02))) as address:
        yield address


@pytest.mark.enable_socket
def test_stream_reports_changes_of_others_and_ends_at_shutdown(engine: MemoryEngine) -> None:
    app = build_app(engine, ServerSettings(event_seconds=0.02))
    with serving(app) as address:
        listening = Listening(address)
        listening.wait(lambda received: received == ["stats"])
        httpx2.post(f"{address}{USER}/pages", json={"user_input": "Hello <script>alert(1)</script>"})
        listening.wait(lambda received: "page_added" in received)
        engine.memory("tom").add_memory("By another process.")
        listening.wait(lambda received: received.count("page_added") == 2)
        app.state.memoryos.ending.set()
        listening.thread.join(TIMEOUT_SECONDS)
        assert not listening.thread.is_alive()


@pytest.mark.enable_socket
def test_idle_stream_sends_keep_alive_comments(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memoryos.doors.http.routes.event_routes.KEEP_ALIVE_SECONDS", 0.05)
    with httpx2.stream("GET", f"{address}{USER}/events", timeout=TIMEOUT_SECONDS) as response:
        read = b""
        for part in response.iter_raw():
            read += part
            if read.endswith(b"\n\n: \n\n"):
                break
    assert read.startswith(b"event: stats\n")


@pytest.mark.enable_socket
def test_store_failure_ends_a_stream_with_a_problem(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listening = Listening(address)
    listening.wait(lambda received: received == ["stats"])

    def fail(_: Memory) -> int:
        raise StoreUnavailableError("/the/secret/place can't be read")

    monkeypatch.setattr(Memory, "revision", fail)
    listening.wait(lambda received: received[-1] == "error")
    listening.thread.join(TIMEOUT_SECONDS)
    assert listening.received[-1][1]["status"] == 503
    assert "secret" not in listening.raw.decode()
