"""Several processes with one store: visibility of writes, leases, and recovery from killed processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from benchmarks.processes.__main__ import check, run_processes

from memoryos.errors import StoreConflictError, StoreUnavailableError
from memoryos.identifiers import new_id
from memoryos.memory import Memory
from memoryos.model import Chain, Knowledge, Origin, PageDraft, Profile, Scope, Segment
from memoryos.storage.lease import Lease
from memoryos.storage.long_term_table import NewProfile, SegmentProfiled
from memoryos.storage.mid_term_table import Consolidation
from memoryos.storage.reading_table import NewReading, ReadingRow
from memoryos.storage.schema import metadata
from memoryos.storage.sqlite import SQLiteDatabase
from memoryos.storage.store import Store
from memoryos.storage.vector_table import UtteranceVectors
from memoryos.testing import FixedClock
from memoryos.updating import leases
from tests.conftest import EngineMaker
from tests.waiting import TIMEOUT_SECONDS, wait_until

NOW = FixedClock()()
LATER = NOW + timedelta(minutes=5)
SETTINGS: dict[str, Any] = {"short_term_capacity": 1, "consolidation_batch": 2, "mid_term_heat_threshold": 1.0}
LINES = ["My sister Nora lives in Porto.", "I bake rye bread.", "I work as a data scientist.", "The boat is blue."]

CHILD = """
import json, os, sys, threading
from memoryos.analysts.local import LocalAnalyst
from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.errors import MemoryOSError
from memoryos.testing import FixedClock, HashEmbedder

inside, go_on, outcome = threading.Event(), threading.Event(), []

def wait():
    inside.set()
    assert go_on.wait(60)

class SlowAnalyst(LocalAnalyst):
    slow = ""
    def read(self, batch, meter):
        wait() if self.slow == "read" else None
        return super().read(batch, meter)
    def profile(self, material, meter):
        wait() if self.slow == "profile" else None
        return super().profile(material, meter)
    def answer(self, request, meter):
        wait() if self.slow == "answer" else None
        return super().answer(request, meter)

class SlowEmbedder(HashEmbedder):
    slow = ""
    def embed(self, texts):
        wait() if self.slow == "embed" else None
        return super().embed(texts)

engine = None

def open_engine(place, **settings):
    global analyst, clock, embedder, engine, memory
    if engine is not None:
        engine.close()
    clock = FixedClock()
    analyst, embedder = SlowAnalyst(), SlowEmbedder()
    config = Config(database_url=place, background=False, **settings)
    engine = MemoryEngine(config, embedder=embedder, analyst=analyst, clock=clock)
    memory = engine.memory("tom", "helper")

def begin(work, slow):
    def run():
        try:
            outcome.append(repr(work()))
        except MemoryOSError as error:
            outcome.append(type(error).__name__)
    inside.clear(), go_on.clear(), outcome.clear()
    analyst.slow = embedder.slow = slow
    global thread
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert not slow or inside.wait(60)

def end():
    analyst.slow = embedder.slow = ""
    go_on.set()
    thread.join(60)
    return outcome[0]

for line in sys.stdin:
    given = {"result": None}
    exec(json.loads(line), globals(), given)
    os.write(1, (json.dumps(given["result"]) + "\\n").encode())
"""


class OtherProcess:
    """Another process that executes code and returns the result."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", CHILD]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def open(self, place: str, **settings: Any) -> OtherProcess:
        """Opens the memory of ``here`` in the other process."""
        self.do(f"open_engine({place!r}, **{SETTINGS | settings!r})")
        return self

    def do(self, code: str) -> Any:
        """Executes code in the other process; returns its variable ``result``."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(textwrap.dedent(code)) + "\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline()
        assert said, "the other process failed"
        return json.loads(said)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=TIMEOUT_SECONDS)


@pytest.fixture(scope="module")
def another() -> Iterator[OtherProcess]:
    started = OtherProcess()
    yield started
    started.kill()


@pytest.fixture
def there(another: OtherProcess, place: str) -> OtherProcess:
    return another.open(place)


@pytest.fixture
def killable(place: str) -> Iterator[OtherProcess]:
    started = OtherProcess()
    yield started.open(place)
    started.kill()


@pytest.fixture
def here(make_engine: EngineMaker) -> Memory:
    return make_engine(**SETTINGS).memory("tom", "helper")


def fill(memory: Memory, lines: list[str] = LINES) -> None:
    for line in lines:
        memory.add_memory(line)


def test_concurrent_processes_write_to_one_scope(tmp_path: Path) -> None:
    written = run_processes(tmp_path, 4, 60)
    found = check(tmp_path, written)
    assert found["problems"] == []
    assert found["pages"] == 240
    assert sum(found["analyst_calls"]) > 0, "the workers must have read pages"


# Writes of other processes are visible to the next recall.


def test_recall_reflects_changes_of_another_process(here: Memory, there: OtherProcess) -> None:
    fill(here)
    here.flush()
    assert here.recall("bread").pages
    there.do("memory.add_memory('The red bicycle stands in the shed.', 'Noted.')")
    assert here.recall("bicycle").short_term[0].user_text.startswith("The red bicycle")
    there.do("for n in range(4): memory.add_memory(f'I play the violin on day {n}.')")
    assert any("bicycle" in each.page.user_text for each in here.recall("Where is the bicycle?").pages)
    before = here.recall("What do I play?")
    assert {each.page.segment_id for each in before.pages} > {None}
    known, version = {each.knowledge.text for each in before.knowledge}, before.profile.version

    there.do("memory.flush(); memory.force_mid_term_analysis()")
    after = here.recall("What do I play?")
    assert None not in {each.page.segment_id for each in after.pages}
    assert {each.knowledge.text for each in after.knowledge} > known
    assert any("violin" in each.knowledge.text for each in after.knowledge)
    assert after.profile.version == here.profile.version >= version
    assert all(each.signals.meaning for each in after.pages), "the vectors must be reloaded too"

    there.do("memory.forget(page_ids=[page.page_id for page in memory.pages() if 'bicycle' in page.user_text])")
    gone = here.recall("Where is the bicycle?", max_pages=50)
    assert "bicycle" not in gone.to_prompt()
    assert len(gone.pages) == 7

    rebuilt = there.do("result = memory.rebuild('local').segments_after")
    anew = here.recall("What do I play?", max_pages=50)
    segments = {segment.segment_id for segment in here.segments()}
    assert len(segments) == rebuilt
    assert {each.page.segment_id for each in anew.pages} <= segments
    kept = {each.knowledge.text for each in after.knowledge if "bicycle" not in each.knowledge.text}
    assert {each.knowledge.text for each in anew.knowledge} >= kept
    violin = next(each.knowledge.knowledge_id for each in anew.knowledge if "violin" in each.knowledge.text)
    there.do(f"memory.correct({violin!r}, 'Plays the cello.')")
    corrected = [each.knowledge for each in here.recall("What do I play?", max_pages=50).knowledge]
    assert violin not in {each.knowledge_id for each in corrected}
    assert "Plays the cello." in {each.text for each in corrected}

    there.do("memory.correct(memory.knowledge()[0].knowledge_id, 'Nora moved to Lisbon.')")
    assert "Nora moved to Lisbon." in {each.knowledge.text for each in here.recall("Nora").knowledge}


def test_recall_omits_segments_archived_by_another_process(here: Memory, there: OtherProcess, place: str) -> None:
    there.open(place, mid_term_capacity=1, mid_term_similarity_threshold=2.0)
    fill(here, [*LINES, "The end.", "Really."])
    assert len(here.recall("bread", max_pages=50).pages) == 5
    there.do("memory.flush()")
    assert here.segments(archived=True)
    (active,) = here.segments()
    found = {each.page.segment_id for each in here.recall("bread", max_pages=50).pages}
    assert found <= {active.segment_id, None}


def test_read_transaction_sees_one_snapshot(here: Memory, there: OtherProcess) -> None:
    fill(here)
    there.do("begin(lambda: [memory.add_memory('one', 'two') for _ in range(100)], '')")
    seen = 0
    while seen < 104:
        found = here.recall("one", max_pages=200)
        now = len(found.pages) + len(found.short_term)
        assert now >= seen
        assert sorted(each.page.seq for each in found.pages) == list(range(1, now))
        seen = now
    assert there.do("result = end()") != "StoreUnavailableError"


# Leases.


@pytest.mark.parametrize("step", ["embed", "read", "profile"])
def test_lease_of_a_killed_process_is_taken_over_at_once(here: Memory, killable: OtherProcess, step: str) -> None:
    fill(here)
    killable.do(f"begin(memory.flush, {step!r})")
    holder = here.engine.store.scopes.holder(here._handle.find())
    assert holder is not None
    assert holder.startswith(f"{socket.gethostname()}:{killable.process.pid}:")
    with pytest.raises(StoreUnavailableError, match="another worker holds"):
        here.flush(timeout=0.5)
    killable.kill()
    here.flush(timeout=TIMEOUT_SECONDS)
    stats = here.get_memory_stats()
    assert (stats["pages_due"], stats["pages_without_vector"]) == (0, 0)
    assert sum(each.page_count for each in here.segments()) == len(LINES)
    assert here.engine.store.scopes.holder(here._handle.find()) is None


@pytest.mark.parametrize("step", ["embed", "read", "profile"])
def test_process_that_hangs_loses_its_lease_and_cannot_write(
    here: Memory, there: OtherProcess, clock: FixedClock, step: str
) -> None:
    fill(here)
    there.do(f"begin(lambda: engine.updater.drain(memory._handle.find(), everything=True), {step!r})")
    there.process.send_signal(signal.SIGSTOP)
    with pytest.raises(StoreUnavailableError, match="another worker holds"):
        here.flush(timeout=0.5)
    clock.advance(seconds=301)
    here.flush(timeout=TIMEOUT_SECONDS)
    before = (list(here.pages()), here.segments(), here.knowledge(None, history=True), here.profile)
    assert sum(each.page_count for each in here.segments()) == len(LINES)
    there.process.send_signal(signal.SIGCONT)
    assert there.do("result = end()") == "StoreConflictError"
    assert (list(here.pages()), here.segments(), here.knowledge(None, history=True), here.profile) == before
    assert there.do("memory.flush(); result = len(memory.segments())") == len(before[1])


def test_lease_of_a_zombie_process_is_free(here: Memory, killable: OtherProcess) -> None:
    fill(here)
    killable.do("begin(memory.flush, 'read')")
    killable.process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, killable.process.pid, os.WEXITED | os.WNOWAIT)
    os.kill(killable.process.pid, 0)
    here.flush(timeout=TIMEOUT_SECONDS)
    assert here.get_memory_stats()["pages_due"] == 0


@pytest.mark.parametrize("host", [socket.gethostname(), "the-same-but-restarted"], ids=["this host", "another host"])
@pytest.mark.parametrize("pid", [1, os.getpid(), os.getppid()], ids=["the first", "this", "its parent"])
def test_lease_with_a_reused_process_id_is_free(here: Memory, host: str, pid: int) -> None:
    """Simulates a container restart: host name and process id equal those of the terminated process."""
    fill(here)
    scope_id = here._handle.find()
    claim(here, f"{host}:{pid}:{new_id()}")
    here.flush(timeout=TIMEOUT_SECONDS)
    assert here.get_memory_stats()["pages_due"] == 0
    assert here.engine.store.scopes.holder(scope_id) is None


@pytest.mark.parametrize(
    "holder",
    ["another-host:1:x", f"{socket.gethostname()}:{os.getpid()}:x", f"../..:1:{'.' * 36}"],
    ids=["another host", "this process", "no lease"],
)
def test_lease_of_an_unknown_owner_is_respected_until_it_expires(here: Memory, clock: FixedClock, holder: str) -> None:
    fill(here)
    claim(here, holder)
    with pytest.raises(StoreUnavailableError, match="another worker holds"):
        here.flush(timeout=0.5)
    assert here.get_memory_stats()["pages_due"] == len(LINES)
    clock.advance(seconds=61)
    here.flush(timeout=TIMEOUT_SECONDS)
    assert here.get_memory_stats()["pages_due"] == 0


def claim(memory: Memory, holder: str) -> None:
    now = memory.engine.clock()
    lease = Lease(memory._handle.find(), holder, now + timedelta(seconds=60))
    assert memory.engine.store.scopes.claim(lease, now)


def test_lease_that_could_not_be_released_is_free(
    here: Memory, there: OtherProcess, make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulates a full disk: the process continues and works again when there is free space."""
    neighbour = make_engine(**SETTINGS).memory("tom", "helper")
    for who in (here, neighbour, there):
        fill(here)
        with monkeypatch.context() as patch:
            patch.setattr(here.engine.store.scopes, "release", no_room)
            here.flush()
        assert here.engine.store.scopes.holder(here._handle.find()) is not None
        fill(here)
        if isinstance(who, OtherProcess):
            assert (
                who.do(f"memory.flush(timeout={TIMEOUT_SECONDS}); result = memory.get_memory_stats()['pages_due']") == 0
            )
        else:
            who.flush(timeout=TIMEOUT_SECONDS)
            assert who.get_memory_stats()["pages_due"] == 0


def no_room(_: Lease) -> None:
    raise StoreUnavailableError("the disk is full")


# Yielding a contended lease.


def work_for_ever(memory: Memory, until: threading.Event) -> threading.Thread:
    """Drains a scope to which pages are appended faster than they are read."""

    def before_step() -> None:
        if not until.is_set():
            memory.add_memory("One more.")

    scope_id = memory._handle.find()
    thread = threading.Thread(target=memory.engine.updater.drain, args=(scope_id,), kwargs={"everything": True, "before_step": before_step})  # fmt: skip
    thread.start()
    return thread


@pytest.fixture
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "MAX_HOLD_SECONDS", 0.05)


@pytest.mark.usefixtures("short_turns")
def test_worker_under_load_yields_a_contended_lease_and_continues(make_engine: EngineMaker) -> None:
    here, other = (make_engine(short_term_capacity=1, consolidation_batch=50).memory("tom") for _ in range(2))
    here.add_memory("The first.")
    ends = threading.Event()
    holder = work_for_ever(here, ends)
    wait_until(lambda: here.engine.store.scopes.holder(here._handle.find()) is not None)
    try:
        for _ in range(3):
            other.engine.updater.drain(other._handle.find(), everything=False, timeout_seconds=TIMEOUT_SECONDS)
            assert holder.is_alive()
    finally:
        ends.set()
        holder.join(TIMEOUT_SECONDS)
    assert not holder.is_alive()
    assert here.get_memory_stats()["pages_due"] == 0
    assert here.engine.store.verify() == []


@pytest.mark.usefixtures("short_turns")
def test_uncontended_lease_is_not_yielded(
    here: Memory, killable: OtherProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(here)
    scope_id = here._handle.find()
    with here.engine.updater.leases.acquire(scope_id) as lease:
        killable.do("begin(memory.flush, '')")
        wait_until(lambda: here.engine.store.liveness.is_contended(lease))
        killable.kill()
        assert not here.engine.store.liveness.is_contended(lease), "the waiting worker was killed"
    claims: list[bool] = []
    plain = here.engine.store.scopes.claim

    def claimed(*given: Any, **named: Any) -> bool:
        claims.append(plain(*given, **named))
        return claims[-1]

    monkeypatch.setattr(here.engine.store.scopes, "claim", claimed)
    for _ in range(20):
        fill(here)
    here.engine.updater.drain(scope_id, everything=True, before_step=lambda: time.sleep(0.01))
    assert claims == [True]


def test_one_of_many_concurrent_claims_succeeds(place: str) -> None:
    stores = [Store(place) for _ in range(6)]
    scope_id = stores[0].scopes.open(Scope("u", "a"), NOW)
    for turn in range(5):
        now = NOW + timedelta(hours=turn)
        leases = [Lease(scope_id, f"{turn}-{number}", now + timedelta(minutes=1)) for number in range(len(stores))]
        together = threading.Barrier(len(stores))
        won: list[str] = []

        def claim(store: Store, lease: Lease, now: Any = now, together: Any = together, won: Any = won) -> None:
            together.wait(30)
            if store.scopes.claim(lease, now):
                won.append(lease.owner)

        threads = [threading.Thread(target=claim, args=each) for each in zip(stores, leases, strict=True)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        assert len(won) == 1
        assert stores[0].scopes.holder(scope_id) == won[0]
    for store in stores:
        store.close()


ORIGIN = Origin("scripted", "1")
FACT = Knowledge("k2", "user", "late", NOW, NOW, None, None, ("p",), ORIGIN)
SEGMENT = Segment("s2", "late", frozenset({"late"}), 0, 1, 1, NOW, NOW)


def reading(reading_id: str, page_id: str, segment: Segment = SEGMENT, **values: Any) -> NewReading:
    row = ReadingRow(reading_id, 1, 1, 1, ORIGIN, provisional=False, dropped=(), recorded_at=NOW)
    chain_id = f"c-{reading_id}"
    places = Consolidation((Chain(chain_id, "late"),), (segment,), {page_id: chain_id}, {page_id: segment.segment_id})
    return NewReading(row, places, **values)


def profiling(page_id: str) -> NewProfile:
    return NewProfile(SegmentProfiled("s1", 0), (page_id,), Profile(1, (), (), NOW, ORIGIN))


VECTOR = np.ones((1, 4), np.float32)
LATE_WRITES: dict[str, Callable[[Store, Lease, str, Store], object]] = {
    "read": lambda store, lease, page_id, _: store.readings.add(lease, reading("r2", page_id, facts=(FACT,))),
    "archive": lambda store, lease, *_: store.mid_term.archive(lease, ["s1"], NOW),
    "profile": lambda store, lease, page_id, _: store.long_term.save_profile(lease, profiling(page_id)),
    "embed": lambda store, lease, page_id, _: store.vectors.save_pages(
        lease, "m", [page_id], [UtteranceVectors(page_id, 1, "user", VECTOR)]
    ),
    "embed knowledge": lambda store, lease, *_: store.vectors.save_knowledge(lease, "m", [("k1", VECTOR[0])]),
    "rebuild": lambda store, lease, _, scratch: store.replace_tiers(scratch, lease, NOW),
}


@pytest.mark.parametrize("taken_over", ["by another", "by a forget", "and given back"])
@pytest.mark.parametrize("write", LATE_WRITES)
def test_write_after_losing_the_lease_changes_nothing(place: str, tmp_path: Path, write: str, taken_over: str) -> None:
    with Store(place) as store, Store(tmp_path / "scratch.db") as scratch:
        scope_id = store.scopes.open(Scope("u", "a"), NOW)
        mine = Lease(scope_id, "me", LATER)
        assert store.scopes.claim(mine, NOW)
        drafts = [PageDraft(NOW, "a", ""), PageDraft(NOW, "b", ""), PageDraft(NOW, "c", "")]
        first, second, third = (page.page_id for page in store.log.append(scope_id, drafts, NOW))
        store.readings.add(mine, reading("r1", first, SEGMENT_ONE))
        store.copy_log(scratch, scope_id)
        if taken_over == "by a forget":
            store.forgetting.forget(scope_id, [third], (), NOW)
        else:
            other = Lease(scope_id, "other", LATER + timedelta(hours=2))
            assert store.scopes.claim(other, LATER + timedelta(hours=1))
            if taken_over == "and given back":
                store.scopes.release(other)
        before = rows(store)
        with pytest.raises(StoreConflictError, match="lease"):
            LATE_WRITES[write](store, mine, first if write == "profile" else second, scratch)
        assert not store.scopes.renew(mine)
        store.scopes.release(mine)
        assert rows(store) == before


SEGMENT_ONE = Segment("s1", "s", frozenset({"k"}), 0, 1, 1, NOW, NOW)


def rows(store: Store) -> dict[str, list[Any]]:
    with store.log._database.read() as connection:
        return {name: list(connection.execute(sa.select(table))) for name, table in metadata.tables.items()}


# No transaction is open while a model works.


@pytest.mark.parametrize(
    ("work", "step"),
    [
        ("memory.flush", "embed"), ("memory.flush", "read"), ("memory.flush", "profile"),
        ("memory.force_mid_term_analysis", "profile"), ("lambda: memory.get_response('Who lives in Porto?')", "answer"),
        ("lambda: memory.rebuild('local')", "read"), ("lambda: memory.recall('bread')", "embed"),
    ],
)  # fmt: skip
def test_no_transaction_is_open_during_a_model_call(here: Memory, there: OtherProcess, work: str, step: str) -> None:
    fill(here)
    if "rebuild" in work:
        here.flush()
    there.do(f"begin({work}, {step!r})")
    fill(here)
    assert here.recall("bread").pages
    here.engine.memory("eve").add_memory("Another scope.")
    here.engine.memory("eve").flush()
    assert there.do("result = inside.is_set() and not outcome"), "the model call must still be running"
    there.do("result = end()")
    here.flush(timeout=TIMEOUT_SECONDS)
    assert here.get_memory_stats()["pages_due"] == 0


# Locks of killed processes, deleted lock files and forks.


def test_process_killed_in_a_transaction_leaves_no_lock(here: Memory, killable: OtherProcess) -> None:
    fill(here, LINES[:1])
    killable.do("""
        def write():
            with engine.store.log._database.write() as connection:
                connection.exec_driver_sql("UPDATE pages SET user_text = 'half'")
                wait()
        begin(write, "")
        assert inside.wait(60)
    """)
    killable.kill()
    fill(here, LINES[1:])
    assert [page.user_text for page in here.pages()] == LINES


@pytest.mark.kinds("sqlite")
def test_deleted_lock_file_locks_again(here: Memory, there: OtherProcess) -> None:
    fill(here)
    lock = here.config.data_storage_path / "memoryos.db.lock"
    for _ in range(2):
        lock.unlink()
        there.do("begin(lambda: [memory.add_memory('one') for _ in range(50)], '')")
        for _ in range(50):
            here.add_memory("other")
        assert there.do("result = end()") != "StoreUnavailableError"
        assert lock.exists()
    pages = list(here.pages())
    assert [page.seq for page in pages] == list(range(1, len(LINES) + 201))
    there.do("global held; held = engine.store.log._database._exclusive(); held.__enter__()")
    try:
        database = here.engine.store._database
        assert isinstance(database, SQLiteDatabase)
        assert not database._file_lock.try_acquire(), "both databases must lock the same file"
    finally:
        there.do("held.__exit__(None, None, None)")


def test_forked_process_must_open_the_store_again(here: Memory, there: OtherProcess) -> None:
    message = there.do("""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                memory.add_memory("from the child")
            except MemoryOSError as error:
                os.write(writer, f"{type(error).__name__}: {error}".encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(writer)
        with os.fdopen(reader) as said:
            result = said.read()
        memory.add_memory("from its parent")
    """)
    assert message.startswith("StoreUnavailableError: the store was opened")
    fill(here)
    assert [page.user_text for page in here.pages()] == ["from its parent", *LINES]
