"""The writer process of the crash tests: adds numbered pages and reports each step on its standard output.

``python -m benchmarks.crash.writer`` loads all modules once and forks a writer for each order on its input, which makes
starting hundreds of writers fast. A writer prints these lines, each flushed:

    open                            the store is open
    adding FIRST COUNT ACTION         a call that adds these pages begins
    added FIRST COUNT SUM BYTES     the call returned; checksum of the last reply, length of the write-ahead log
    forgetting NUMBER …             a call that forgets these pages begins
    rebuilding                      from now on the local analyst may have processed all pages
    did ACTION                        another call returned
    refused ACTION ERROR MESSAGE      a StoreError; the pages of the call must not be stored
    failed ACTION ERROR MESSAGE       any other error, which is always a bug
    counted STATEMENTS COMMITS      the writer finished without being killed
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine.default import DefaultDialect

from benchmarks.crash.analyst import SUBJECTS, FactPerPageAnalyst, page_number
from benchmarks.crash.marks import Marks
from memoryos.analysts.local import LocalAnalyst
from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.errors import MemoryOSError, NotFoundError, StoreError
from memoryos.testing import HashEmbedder
from memoryos.updating import worker as background

DATABASE = "memoryos.db"
FIRST_DAY = datetime(2026, 1, 1, tzinfo=timezone.utc)
NOBODY = 65_534
MOST_PAGES_AT_ONCE = 3
_SETTLE_SECONDS = 20.0
_LIFE = {"add": 60, "messages": 8, "pause": 12, "recall": 8, "answer": 5, "flush": 6, "rebuild": 1, "reopen": 2}
_SAID = (
    "I live in Porto and I work as a carpenter, number {n}.",
    "My sister is called Nora. She loves {s} {n}.",
    "I like {s} and I don't like tea any more, says {n}.",
    "I moved to Utrecht last week because of {s} ({n}).",
    "我喜欢{s}，我叫小明{n}。🚲\n“Really?” – I'm 34 years old.",
)


@dataclass(frozen=True)
class Plan:
    """Instructions for one writer.

    Attributes:
        folder: Folder of the store.
        writer: Name of the writer; it is part of the text of its pages.
        first: Number of its first page.
        seed: Seed of the writer's random choices.
        analyst: local, scripted, or unreliable (scripted, fails half of the time, with the local analyst as fallback).
        settings: Settings for ``Config``.
        actions: Actions in order; empty means random actions without end.
        kill: Fail point at which the writer kills itself: statement, before commit, after commit; "" for none.
        kill_at: Number of the fail point of that kind, from 1.
        limit_bytes: Maximum size of files from the start; 0 for no limit.
        room_bytes: Bytes that files can still grow after the action "limit".
        unprivileged: Whether to drop root privileges, because root can write to read-only files.
        quiet_seconds: Pause of the foreground after which the worker runs.
    """

    folder: str
    writer: str = "ann"
    first: int = 1
    seed: int = 0
    analyst: str = "local"
    settings: dict[str, Any] = field(default_factory=dict)
    actions: tuple[str, ...] = ()
    kill: str = ""
    kill_at: int = 0
    limit_bytes: int = 0
    room_bytes: int = 0
    unprivileged: bool = False
    quiet_seconds: float = 0.05


def said(writer: str, number: int) -> tuple[str, str]:
    """Returns the user's and the assistant's text of a page. Some pages are long, and some have only one text."""
    chooser = random.Random(f"{writer}/{number}")
    text = chooser.choice(_SAID).format(n=number, s=chooser.choice(SUBJECTS))
    if number % 9 == 0:
        text += "".join(f" {chooser.getrandbits(64)}" for _ in range(chooser.randint(300, 3000)))
    reply = "" if number % 5 == 0 else f"I will remind you of {chooser.choice(SUBJECTS)} {number}."
    return f"[{writer}/{number}] {text}", reply


def at(number: int) -> datetime:
    """Returns the time of a page."""
    return FIRST_DAY + timedelta(hours=7 * number, microseconds=number)


def open_engine(plan: Plan, *, steady: bool = False) -> MemoryEngine:
    """Opens the engine that a plan describes. With ``steady``, the analyst never fails and no worker runs."""
    config = Config(data_storage_path=Path(plan.folder), retry_base_seconds=0.001, retry_max_seconds=0.01).with_(
        **plan.settings | ({"background": False} if steady else {})
    )
    if plan.analyst == "local":
        return MemoryEngine(config, embedder=HashEmbedder(), analyst=LocalAnalyst())
    is_failing = plan.analyst == "unreliable"
    analyst = FactPerPageAnalyst(0.5 if is_failing and not steady else 0.0)
    fallback = LocalAnalyst() if is_failing else None
    return MemoryEngine(config, embedder=HashEmbedder(), analyst=analyst, fallback_analyst=fallback)


class FailPoint:
    """Counts statements and commits, and kills the process at the fail point of the plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.counts: Counter[str] = Counter()

    def arm(self) -> None:
        """Starts counting. All statements that SQLite executes count, including PRAGMA, BEGIN and COMMIT."""
        event.listen(sa.Pool, "connect", self._trace)
        commit = DefaultDialect.do_commit

        def counted(dialect: DefaultDialect, connection: Any) -> None:
            self._reach("before commit")
            commit(dialect, connection)  # type: ignore[no-untyped-call]
            self._reach("after commit")

        setattr(DefaultDialect, commit.__name__, counted)

    def _trace(self, connection: Any, record: object) -> None:  # noqa: ARG002
        connection.set_trace_callback(lambda _: self._reach("statement"))

    def _reach(self, kind: str) -> None:
        self.counts[kind] += 1
        if kind == self._plan.kill and self.counts[kind] == self._plan.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


class Writer:
    """Executes the actions of a plan until it is killed."""

    def __init__(self, plan: Plan, marks: Marks) -> None:
        self._plan = plan
        self._marks = marks
        self._chooser = random.Random(plan.seed)
        self._next = plan.first
        self._scope = ("tom", "helper")
        self._engine: MemoryEngine | None = None

    def run(self) -> None:
        """Opens the store, executes the actions, closes the store."""
        with self._marks.doing("open"):
            self._attempt("open", self._open)
        if self._plan.limit_bytes:
            self._attempt("unlimit", self._do_unlimit)
            self._attempt("open", self._open)
        for action in self._plan.actions or self._endless():
            self.do(action)
        with self._marks.doing("close"):
            self._attempt("close", lambda: self._opened().close())

    def do(self, action: str) -> None:
        """Executes one action, e.g. "add", "limit" or "protect:memoryos.db-wal"."""
        name, _, file = action.partition(":")
        work = getattr(self, f"_do_{name}")
        with self._marks.doing(name):
            self._attempt(action, (lambda: work(file)) if file else work)

    def _attempt(self, action: str, work: Callable[[], None]) -> None:
        try:
            work()
        except StoreError as error:
            _say("refused", action, type(error).__name__, error)
        except (MemoryOSError, OSError, TimeoutError) as error:
            _say("failed", action, type(error).__name__, error)

    def _endless(self) -> Iterator[str]:
        while True:
            yield from self._chooser.choices([*_LIFE], [*_LIFE.values()], k=20)

    def _open(self) -> None:
        self._engine = open_engine(self._plan)
        self._memory = self._engine.memory(*self._scope)
        _say("open")

    def _opened(self) -> MemoryEngine:
        if self._engine is None:
            raise StoreError("there is no engine")
        return self._engine

    def _add(self, action: str, count: int, add: Callable[[int], str]) -> None:
        first = self._next
        self._next += count
        _say("adding", first, count, action)
        reply = add(first)
        log = Path(self._plan.folder) / f"{DATABASE}-wal"
        _say("added", first, count, zlib.crc32(reply.encode()), log.stat().st_size if log.exists() else 0)

    def _do_add(self) -> None:
        def add(number: int) -> str:
            about = {"writer": self._plan.writer, "number": number}
            page = self._memory.add_memory(*said(self._plan.writer, number), at(number), about)
            return page.assistant_text

        self._add("add", 1, add)

    def _do_messages(self) -> None:
        count = self._chooser.randint(2, MOST_PAGES_AT_ONCE)

        def add(first: int) -> str:
            messages = []
            for number in range(first, first + count):
                texts = said(self._plan.writer, number)
                for role, text in zip(("user", "assistant"), texts, strict=True):
                    messages.append({"role": role, "content": text, "timestamp": at(number)})
            return self._memory.add_messages(messages)[-1].assistant_text

        self._add("messages", count, add)

    def _do_answer(self) -> None:
        self._add("answer", 1, lambda number: str(self._memory.get_response(said(self._plan.writer, number)[0])))

    def _do_recall(self) -> None:
        self._memory.recall(self._chooser.choice(SUBJECTS) + " and my sister")
        _say("did recall")

    def _do_flush(self) -> None:
        self._memory.flush()
        _say("did flush")

    def _do_forget(self) -> None:
        """Forgets every second page."""
        gone = list(self._memory.pages())[::2]
        _say("forgetting", *(page_number(page) for page in gone))
        self._memory.forget(page_ids=[page.page_id for page in gone])
        _say("did forget")

    def _do_rebuild(self) -> None:
        _say("rebuilding")
        with contextlib.suppress(NotFoundError):  # the store contains no pages yet
            self._memory.rebuild("local")
        _say("did rebuild")

    def _do_pause(self) -> None:
        time.sleep(self._chooser.uniform(0, 0.15))

    def _do_reopen(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._open()

    def _do_settle(self) -> None:
        """Waits until the worker has processed all pages."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            stats = self._memory.get_memory_stats()
            if not (stats["pages_due"] or stats["pages_without_vector"]):
                _say("did settle")
                return
            time.sleep(0.02)
        raise TimeoutError(f"the worker left work: {stats}")

    def _do_limit(self) -> None:
        """Limits the size of files, which simulates a full disk for this process."""
        sizes = [each.stat().st_size for each in Path(self._plan.folder).iterdir() if each.is_file()]
        _limit_files(max(sizes) + self._plan.room_bytes)

    def _do_unlimit(self) -> None:
        _limit_files(resource.RLIM_INFINITY)

    def _do_protect(self, file: str) -> None:
        target = Path(self._plan.folder) / file
        if target.exists():
            target.chmod(0o555 if target.is_dir() else 0o444)

    def _do_release(self, file: str) -> None:
        target = Path(self._plan.folder) / file
        if target.exists():
            target.chmod(0o755 if target.is_dir() else 0o644)

    def _do_unlink(self, file: str) -> None:
        (Path(self._plan.folder) / file).unlink()


def _limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def _say(*words: object) -> None:
    text = " ".join(str(each) for each in words).replace("\n", " ")
    os.write(1, f"{text}\n".encode())


def write(plan: Plan, marks_file: Path) -> None:
    """Runs the writer of a plan in this process."""
    logging.disable(logging.CRITICAL)
    vars(background)["QUIET_SECONDS"] = plan.quiet_seconds
    marks = Marks(marks_file)
    marks.watch()
    fail_point = FailPoint(plan)
    if plan.kill:
        fail_point.arm()
    if plan.limit_bytes:
        _limit_files(plan.limit_bytes)
    if plan.unprivileged and os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    Writer(plan, marks).run()
    _say("counted", fail_point.counts["statement"], fail_point.counts["before commit"])


def serve() -> None:
    """Forks a writer for each order on standard input, and records its exit code. Kills all writers at its end."""
    ends, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    writers: dict[int, str] = {}
    while True:
        ready, _, _ = select.select([0, ends], [], [])
        if ends in ready:
            os.read(ends, 4096)
            _reap(writers)
        if 0 in ready:
            order = os.read(0, 1 << 16)
            if not order:
                break
            body = json.loads(order)
            pid = os.fork()
            if pid == 0:
                _child(body)
            writers[pid] = body["trace"]
            os.write(1, f"{pid}\n".encode())
    for pid in writers:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _reap(writers: dict[int, str]) -> None:
    for pid in list(writers):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            file = Path(f"{writers.pop(pid)}.ended")
            file.with_suffix(".new").write_text(str(os.waitstatus_to_exitcode(status)))
            file.with_suffix(".new").rename(file)


def _child(body: dict[str, Any]) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        trace = body["trace"]
        for number, name in ((0, os.devnull), (1, f"{trace}.said"), (2, f"{trace}.errors")):
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT, 0o644), number)
        write(Plan(**body["plan"]), Path(f"{trace}.marks"))
        code = 0
    except BaseException:  # noqa: BLE001  (whatever it is, the parent shall see it and no stack of the parent unwind)
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(code)


def _warm_up() -> None:
    """Loads the modules and files that every writer needs, before the process gives up the right to read them."""
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(folder, settings={"short_term_capacity": 1, "mid_term_heat_threshold": 1.0})
        with open_engine(plan, steady=True) as engine:
            memory = engine.memory("tom")
            for number in range(1, 10):
                memory.add_memory(*said("ann", number), at(number))
            memory.get_response("What does my sister love?")
            memory.rebuild("local")


if __name__ == "__main__":
    _warm_up()
    serve()
