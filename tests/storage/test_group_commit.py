"""Group commit: concurrent threads share a commit without affecting each other."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

import memoryos.storage.file_lock as lock_module
from memoryos.errors import NotFoundError, StoreConflictError, StoreError, StoreUnavailableError
from memoryos.model import Page, PageDraft, Scope
from memoryos.storage.group_commit import MAX_WRITES
from memoryos.storage.schema import scopes
from memoryos.storage.sqlite import SQLiteDatabase
from memoryos.storage.store import Store
from memoryos.testing import FixedClock
from tests.waiting import TIMEOUT_SECONDS, wait_until

NOW = FixedClock()()
THREADS = 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "memoryos.db") as opened:
        yield opened


@pytest.fixture
def scope_id(store: Store) -> str:
    return store.scopes.open(Scope("u", "a"), NOW)


def append(store: Store, scope_id: str, *texts: str) -> list[Page]:
    return store.log.append(scope_id, [PageDraft(NOW, text, "") for text in texts], NOW)


def texts(store: Store, scope_id: str) -> list[str]:
    return [page.user_text for page in store.log.after(scope_id)]


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """Calls all functions concurrently; returns the result or exception of each."""
    results: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        try:
            results[number] = calls[number]()
        except Exception as error:  # noqa: BLE001
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
        assert not each.is_alive()
    return results


def opened(store: Store) -> SQLiteDatabase:
    assert isinstance(store._database, SQLiteDatabase)
    return store._database


def in_one_group(database: SQLiteDatabase, *calls: Callable[[], Any]) -> list[Any]:
    """Calls all functions while the write lock is held, so that they queue up; returns each result or exception."""
    results: list[Any] = []
    with contextlib.ExitStack() as stack, database._exclusive():
        waiter = threading.Thread(target=lambda: results.extend(in_threads(*calls)))
        waiter.start()
        stack.callback(waiter.join)
        wait_until(lambda: len(database._group_commit._queue) == len(calls) - 1)
    return results


class Commits:
    """Counts the write transactions that a database commits."""

    def __init__(self, database: SQLiteDatabase) -> None:
        self.count = 0
        event.listen(database._engine, "commit", self._note)

    def _note(self, connection: sa.Connection) -> None:
        self.count += connection.get_execution_options().get("memoryos_begin") == "BEGIN IMMEDIATE"


def test_threads_lose_no_page_keep_their_order_and_share_commits(store: Store, scope_id: str) -> None:
    commits = Commits(opened(store))

    def write(name: int) -> list[int]:
        added = [append(store, scope_id, f"{name}-{number}a", f"{name}-{number}b") for number in range(15)]
        assert all(first.seq + 1 == second.seq for first, second in added)
        return [page.seq for pages in added for page in pages]

    positions = in_threads(*(lambda name=name: write(name) for name in range(THREADS)))
    pages = list(store.log.after(scope_id))
    assert [page.seq for page in pages] == list(range(1, THREADS * 30 + 1))
    by_seq = {page.seq: page.user_text for page in pages}
    for name, seqs in enumerate(positions):
        assert seqs == sorted(seqs)
        assert [by_seq[seq] for seq in seqs] == [f"{name}-{number}{half}" for number in range(15) for half in "ab"]
    assert commits.count < THREADS * 15, "on a busy machine few writes meet, but some do"
    state = store.scopes.state(scope_id)
    assert (state.last_seq, state.revision) == (THREADS * 30, THREADS * 15)


def test_queued_writes_share_one_commit(store: Store, scope_id: str) -> None:
    commits = Commits(opened(store))
    added = in_one_group(
        opened(store), *(lambda name=name: append(store, scope_id, f"{name}") for name in range(THREADS))
    )
    assert commits.count == 1
    assert sorted(page.seq for (page,) in added) == list(range(1, THREADS + 1))


def test_group_has_at_most_max_writes(store: Store, scope_id: str) -> None:
    commits = Commits(opened(store))
    calls = MAX_WRITES + 6
    in_one_group(opened(store), *(lambda name=name: append(store, scope_id, f"{name}") for name in range(calls)))
    assert commits.count == 2
    assert store.log.count(scope_id) == calls


def test_single_thread_commits_each_append_without_a_savepoint(store: Store, scope_id: str) -> None:
    commits = Commits(opened(store))
    said: list[str] = []
    event.listen(opened(store)._engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    (pages,) = in_threads(lambda: [append(store, scope_id, "one"), append(store, scope_id, "two")])
    assert [page.seq for (page,) in pages] == [1, 2]
    assert commits.count == 2
    assert not [each for each in said if "SAVEPOINT" in each]


class Unfit:
    """A value that is not JSON serializable."""


@pytest.mark.parametrize("place", [0, 5, THREADS - 1])
def test_failed_append_does_not_affect_its_group(store: Store, scope_id: str, place: int) -> None:
    database = opened(store)

    def conflict(connection: sa.Connection) -> None:
        append_one = sa.update(scopes).where(scopes.c.scope_id == scope_id).values(last_seq=999)
        connection.execute(append_one)
        connection.execute(sa.insert(scopes).from_select(list(scopes.c), sa.select(scopes)))

    bad: list[Callable[[], Any]] = [
        lambda: append(store, "nowhere", "lost"),
        lambda: store.log.append(scope_id, [PageDraft(NOW, "a", "", metadata={"x": Unfit()})], NOW),
        lambda: store.log.append(scope_id, [PageDraft(NOW, "a", ""), PageDraft(NOW, "\ud800", "")], NOW),
        lambda: database.write_grouped(scope_id, conflict),
    ]
    calls: list[Callable[[], Any]] = [
        lambda name=name: append(store, scope_id, f"{name}")  # type: ignore[misc]
        for name in range(THREADS)
    ]
    commits = Commits(database)
    calls[place:place] = bad
    found = in_one_group(database, *calls)
    failed = found[place : place + len(bad)]
    assert [type(each) for each in failed] == [
        NotFoundError,
        TypeError,
        UnicodeEncodeError,
        StoreConflictError,
    ]
    good = found[:place] + found[place + len(bad) :]
    assert sorted(page.seq for (page,) in good) == list(range(1, THREADS + 1))
    assert sorted(texts(store, scope_id), key=int) == [str(name) for name in range(THREADS)]
    assert commits.count == 1


def test_failed_append_raises_the_same_error_without_a_group(store: Store, scope_id: str) -> None:
    (found,) = in_threads(lambda: append(store, "nowhere", "lost"))
    assert isinstance(found, NotFoundError)
    assert texts(store, scope_id) == []


@pytest.mark.parametrize("company", [0, 7])
def test_failed_commit_fails_every_write_of_its_group(
    store: Store, scope_id: str, company: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = opened(store)

    def fail(_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    calls = [lambda name=name: append(store, scope_id, f"{name}") for name in range(company + 1)]
    with monkeypatch.context() as patch:
        patch.setattr(database._engine.dialect, "do_commit", fail)
        failed = in_one_group(database, *calls)
    assert [type(each) for each in failed] == [StoreUnavailableError] * (company + 1)
    assert all("disk I/O error" in str(each) for each in failed)
    assert len({id(each) for each in failed}) == company + 1
    assert texts(store, scope_id) == []
    assert [page.seq for (page,) in in_threads(*calls[:1])] == [1]


def test_transaction_rolled_back_by_the_database_fails_every_write_with_its_error(store: Store, scope_id: str) -> None:
    database = opened(store)

    def give_up(connection: sa.Connection) -> None:
        connection.exec_driver_sql("ROLLBACK")  # as SQLite does when the disk is full
        raise StoreUnavailableError("the disk is full")

    calls = [lambda: append(store, scope_id, "a"), lambda: database.write_grouped(scope_id, give_up), lambda: append(store, scope_id, "b")]  # fmt: skip
    found = in_one_group(database, *calls)
    assert [type(each) for each in found] == [StoreUnavailableError] * 3
    assert {str(each) for each in found} == {"the disk is full"}
    assert texts(store, scope_id) == []
    assert append(store, scope_id, "after")[0].seq == 1


def test_closed_store_raises_in_every_thread(store: Store, scope_id: str) -> None:
    store.close()
    found = in_threads(*[lambda: append(store, scope_id, "late")] * 5)
    assert [type(each) for each in found] == [StoreUnavailableError] * 5


def test_closing_during_writes_loses_no_acknowledged_page(store: Store, scope_id: str, tmp_path: Path) -> None:
    acknowledged: list[str] = []

    def write(name: int) -> None:
        for number in range(1000):
            append(store, scope_id, f"{name}-{number}")
            acknowledged.append(f"{name}-{number}")

    def close() -> None:
        wait_until(lambda: len(acknowledged) > 50)
        store.close()

    found = in_threads(*(lambda name=name: write(name) for name in range(8)), close)
    assert [type(each) for each in found] == [StoreUnavailableError] * 8 + [type(None)]
    with Store(tmp_path / "memoryos.db") as again:
        assert {*acknowledged} == {*texts(again, scope_id)}


def run(script: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-c", PRELUDE + script, str(folder / "memoryos.db")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


PRELUDE = f"""
import os, resource, signal, sys, threading, time
from pathlib import Path
from memoryos.errors import StoreUnavailableError
from memoryos.model import PageDraft, Scope
from memoryos.storage.store import Store
from memoryos.testing import FixedClock
now = FixedClock()()
store = Store(Path(sys.argv[1]))
scope_id = store.scopes.open(Scope("u", "a"), now)
def say(text):
    os.write(1, f"{{text}}\\n".encode())
def add(text, filling=""):
    store.log.append(scope_id, [PageDraft(now, text, filling)], now)
    say(text)
def start(write, count={THREADS}):
    threads = [threading.Thread(target=write, args=(name,), daemon=True) for name in range(count)]
    for each in threads: each.start()
    return threads
"""
ENDLESS = """
def write(name):
    for number in range(10**6):
        add(f"{name}-{number}")
for each in start(write): each.join()
"""
FULL_DISK = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
refused = []
def write(name):
    try:
        for number in range(1000): add(f"{name}-{number}", "x" * 2000)
    except StoreUnavailableError as error:
        refused.append(str(error))
for each in start(write, 8): each.join()
assert len(refused) == 8 and all("can't be used now" in each for each in refused), refused
say("end")
"""


def check(folder: Path, said: list[str]) -> list[str]:
    """Checks that every acknowledged page exists once, in the order of its thread; returns the texts of all pages."""
    with Store(folder / "memoryos.db") as store:
        scope_id = store.scopes.open(Scope("u", "a"), NOW)
        pages = list(store.log.after(scope_id))
        assert store.scopes.state(scope_id).last_seq == len(pages)
    assert [page.seq for page in pages] == list(range(1, len(pages) + 1))
    stored = [page.user_text for page in pages]
    threads = {text.split("-")[0] for text in stored} - {"main", "after"}
    for name in threads:
        numbers = [int(text.split("-")[1]) for text in stored if text.split("-")[0] == name]
        assert numbers == list(range(len(numbers)))
    assert {*said} <= {*stored}
    return stored


def test_kill_loses_no_acknowledged_page(tmp_path: Path) -> None:
    writer = run(ENDLESS, tmp_path)
    assert writer.stdout is not None
    said = [writer.stdout.readline().strip() for _ in range(500)]
    writer.send_signal(signal.SIGKILL)
    *rest, last = writer.stdout.read().split("\n")
    assert last == ""
    writer.wait(TIMEOUT_SECONDS)
    writer.stdout.close()
    stored = check(tmp_path, said + rest)
    assert len(stored) - len(said + rest) <= THREADS


def test_full_disk_raises_in_every_thread_and_loses_no_acknowledged_page(tmp_path: Path) -> None:
    writer = run(FULL_DISK, tmp_path)
    *said, end = writer.communicate(timeout=TIMEOUT_SECONDS)[0].split()
    assert end == "end"
    assert {*check(tmp_path, said)} == {*said}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", ["lock", "begin", "extend", "insert", "commit"])
def test_interrupt_of_the_main_thread_does_not_block_later_writes(
    store: Store, scope_id: str, tmp_path: Path, place: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulates an interrupt at the return from calls into C, where an append spends nearly all its time."""
    dialect = opened(store)._engine.dialect
    owner, name, words = {
        "lock": (lock_module, "_lock", None),
        "begin": (dialect, "do_execute", "BEGIN"),
        "extend": (dialect, "do_execute", "UPDATE"),
        "insert": (dialect, "do_execute", "INSERT"),
        "commit": (dialect, "do_commit", None),
    }[place]
    plain = getattr(owner, name)

    def interrupted(*given: Any, **named: Any) -> Any:
        if words is not None and not given[1].startswith(words):
            return plain(*given, **named)
        if when == "after":
            plain(*given, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, interrupted)
        with pytest.raises(KeyboardInterrupt) as held:
            append(store, scope_id, "interrupted")
    with Store(tmp_path / "memoryos.db") as other:
        for each in (store, other):
            (found,) = in_threads(lambda each=each: append(each, scope_id, "after"))  # type: ignore[misc]
            assert isinstance(found, list)
        append(store, scope_id, "main after")
    assert held.value
    written = ["interrupted"] if (place, when) == ("commit", "after") else []
    assert texts(store, scope_id) == [*written, "after", "after", "main after"]


def test_interrupt_of_the_main_thread_does_not_fail_other_threads(
    store: Store, scope_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = opened(store)
    dialect = database._engine.dialect
    begin, commit = dialect.do_execute, dialect.do_commit
    found: list[Any] = []
    others = threading.Thread(target=lambda: found.extend(in_threads(*[lambda: append(store, scope_id, "other")] * 8)))

    def begun(cursor: Any, statement: str, *given: Any) -> None:
        begin(cursor, statement, *given)
        if threading.current_thread() is threading.main_thread() and statement.startswith("BEGIN"):
            others.start()
            wait_until(lambda: len(database._group_commit._queue) >= 7)

    def interrupted(connection: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        commit(connection)

    with monkeypatch.context() as patch:
        patch.setattr(dialect, "do_execute", begun)
        patch.setattr(dialect, "do_commit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            append(store, scope_id, "interrupted")
        others.join(60)
    assert sorted(page.seq for (page,) in found) == list(range(1, 9))
    assert texts(store, scope_id) == ["other"] * 8


def test_interrupted_waiting_write_leaves_the_queue(store: Store, scope_id: str) -> None:
    """Signals interrupt only the main thread; debuggers, for example, can interrupt others."""
    database = opened(store)
    raised: list[BaseException] = []

    def give_up() -> None:
        try:
            append(store, scope_id, "given up")
        except KeyboardInterrupt as error:
            raised.append(error)

    waiting = [threading.Thread(target=give_up) for _ in range(4)]
    with database._exclusive():
        for each in waiting:
            each.start()
        wait_until(lambda: len(database._group_commit._queue) == 3)
        for each in waiting:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(each.ident or 0), ctypes.py_object(KeyboardInterrupt)
            )
    for each in waiting:
        each.join(30)
    assert raised
    assert [len(found) for found in in_threads(*[lambda: append(store, scope_id, "later")] * 4)] == [1] * 4
    assert database._group_commit._leader is None
    assert not database._group_commit._queue


def test_each_thread_gets_its_own_error_object(store: Store, scope_id: str) -> None:
    found = in_one_group(opened(store), *[lambda: append(store, "nowhere", "x")] * 4)
    assert all(isinstance(each, StoreError | NotFoundError) for each in found)
    assert len({id(each.__traceback__) for each in found}) == 4
    assert texts(store, scope_id) == []
