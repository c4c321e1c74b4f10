"""What happens in a memory, told live; and the same as a pure function of two looks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from memoryos.doors.http.app import build_app
from memoryos.doors.http.happenings import Lookout
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from memoryos.errors import StoreUnavailableError
from memoryos.memory import Memory
from tests.conftest import EngineMaker
from tests.doors.http.conftest import USER
from tests.doors.http.proxy_stand_ins import serving
from tests.waiting import PATIENCE_SECONDS


def names(happened: list[tuple[str, Any]]) -> list[str]:
    return [name for name, _ in happened]


def test_what_happens_is_told_once(engine: MemoryEngine) -> None:
    memory = engine.memory("tom")
    lookout = Lookout(memory)
    assert lookout.changes() == []
    pages = [memory.add_memory(f"I like tea number {number}.", "Good.") for number in range(9)]
    told = lookout.changes()
    assert [value["page_id"] for name, value in told if name == "page_added"] == [page.page_id for page in pages]
    assert [value["seq"] for name, value in told if name == "page_slid_out"] == [1, 2]
    assert told[-1][0] == "stats"
    assert told[-1][1]["pages"] == 9
    assert lookout.changes() == []

    memory.add_memory("One more.")
    told = lookout.changes()
    assert names(told) == ["page_added", "page_slid_out", "stats"]
    assert told[1][1]["seq"] == 3

    memory.flush()
    told = lookout.changes()
    assert "segment_changed" in names(told)
    memory.force_mid_term_analysis()
    told = lookout.changes()
    learned = next(value for name, value in told if name == "learned")
    assert learned["profile_version"] == memory.profile.version
    assert {entry["text"] for entry in learned["knowledge"]} <= {entry.text for entry in memory.knowledge()}
    assert lookout.changes() == []


def test_a_visit_heats_and_is_told(engine: MemoryEngine) -> None:
    memory = engine.memory("tom")
    for number in range(12):
        memory.add_memory(f"I like tea number {number}.", "Good.")
    memory.flush()
    lookout = Lookout(memory)
    memory.recall("tea")
    engine.updater.record_all_visits()
    told = lookout.changes()
    assert names(told) == ["segment_changed"]
    assert told[0][1]["visits"] == 1
    assert lookout.changes() == []


def test_what_was_forgotten_is_told_by_ids_and_counts(engine: MemoryEngine) -> None:
    memory = engine.memory("tom")
    pages = [memory.add_memory(f"I like tea number {number}.", "Good.") for number in range(12)]
    memory.force_mid_term_analysis()
    lookout = Lookout(memory)
    memory.forget(page_ids=[pages[0].page_id, pages[-1].page_id])
    told = lookout.changes()
    gone = next(value for name, value in told if name == "gone")
    assert gone["pages"] == 2
    assert gone["knowledge_ids"]
    assert "tea number 0" not in json.dumps(gone)
    assert "page_added" not in names(told)
    memory.forget(everything=True)
    assert next(value for name, value in lookout.changes() if name == "gone")["pages"] == 10
    memory.add_memory("A new beginning.")
    assert names(lookout.changes())[0] == "page_added"


@pytest.mark.parametrize("window", [0, 1, 3])
def test_each_page_slides_out_once_whatever_the_window(make_engine: EngineMaker, window: int) -> None:
    memory = make_engine(short_term_capacity=window).memory("tom")
    lookout = Lookout(memory)
    slid: list[int] = []
    for burst in (1, 1, 4, 2, 7, 1):
        for _ in range(burst):
            memory.add_memory("Hello.")
        slid += [value["seq"] for name, value in lookout.changes() if name == "page_slid_out"]
    assert slid == list(range(1, 16 - window + 1))


class Listening:
    """Reads a stream of events in the background."""

    def __init__(self, address: str) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.raw = b""
        self._changed = threading.Condition()
        self.thread = threading.Thread(target=self._listen, args=(f"{address}{USER}/events",))
        self.thread.start()

    def _listen(self, address: str) -> None:
        with httpx2.stream("GET", address, timeout=PATIENCE_SECONDS) as response:
            for part in response.iter_raw():
                with self._changed:
                    self.raw += part
                    *blocks, _ = self.raw.decode().split("\n\n")
                    lines = [block.split("\n") for block in blocks if block.startswith("event: ")]
                    self.heard = [(a.removeprefix("event: "), json.loads(b.removeprefix("data: "))) for a, b in lines]
                    self._changed.notify_all()

    def wait(self, is_heard: Callable[[list[str]], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: is_heard(names(self.heard)), PATIENCE_SECONDS), self.heard


@pytest.fixture
def address(engine: MemoryEngine) -> Iterator[str]:
    with serving(build_app(engine, ServerSettings(event_seconds=0.02))) as address:
        yield address


@pytest.mark.enable_socket
def test_a_stream_tells_what_others_do_and_ends_with_the_server(engine: MemoryEngine) -> None:
    app = build_app(engine, ServerSettings(event_seconds=0.02))
    with serving(app) as address:
        listening = Listening(address)
        listening.wait(lambda heard: heard == ["stats"])
        httpx2.post(f"{address}{USER}/pages", json={"user_input": "Hello <script>alert(1)</script>"})
        listening.wait(lambda heard: "page_added" in heard)
        engine.memory("tom").add_memory("By another process.")
        listening.wait(lambda heard: heard.count("page_added") == 2)
        app.state.memoryos.ending.set()
        listening.thread.join(PATIENCE_SECONDS)
        assert not listening.thread.is_alive()


@pytest.mark.enable_socket
def test_a_quiet_stream_is_kept_open(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memoryos.doors.http.routes.events.KEEP_ALIVE_SECONDS", 0.05)
    with httpx2.stream("GET", f"{address}{USER}/events", timeout=PATIENCE_SECONDS) as response:
        read = b""
        for part in response.iter_raw():
            read += part
            if read.endswith(b"\n\n: \n\n"):
                break
    assert read.startswith(b"event: stats\n")


@pytest.mark.enable_socket
def test_a_store_that_is_away_ends_a_stream_with_a_problem(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listening = Listening(address)
    listening.wait(lambda heard: heard == ["stats"])

    def fail(_: Memory) -> int:
        raise StoreUnavailableError("/the/secret/place can't be read")

    monkeypatch.setattr(Memory, "revision", fail)
    listening.wait(lambda heard: heard[-1] == "error")
    listening.thread.join(PATIENCE_SECONDS)
    assert listening.heard[-1][1]["status"] == 503
    assert "secret" not in listening.raw.decode()
