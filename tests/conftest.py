"""Fixtures of the test suite: memories on an empty store, with a hash embedder and a fixed clock."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.memory import Memory
from memoryos.storage.store import Store
from memoryos.testing import FixedClock, HashEmbedder
from tests.busy import busy_processes
from tests.postgres import Server, running_server

settings.register_profile(
    "project", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
settings.load_profile("project")

EngineMaker = Callable[..., MemoryEngine]
WORKERS_PER_CORE = 2
MOST_WORKERS = 8
MEMORY = Path("/dev/shm")  # noqa: S108  (folders in it get random names)
"""File system in memory for the stores of tests; it is faster than a disk."""
LEAST_MEMORY_BYTES = 8 << 30
"""The file system in memory is used only with at least this much free space."""
FOLDER_PREFIX = "memoryos-tests-"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--busy", type=int, default=0, metavar="N", help="Keep N cores busy while the tests run.")


def pytest_xdist_auto_num_workers() -> int:
    """Returns the number of workers of ``-n auto``: more than cores, because many tests wait for processes and disks."""
    return min(MOST_WORKERS, WORKERS_PER_CORE * (os.cpu_count() or 1))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    if config.option.busy:
        config.add_cleanup(_enter(busy_processes(config.option.busy)))
    if config.option.basetemp is None and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= LEAST_MEMORY_BYTES:
        _remove_stale_folders()
        config.option.basetemp = folder = tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-", dir=MEMORY)
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def _remove_stale_folders() -> None:
    """Removes the temporary folders of test runs whose process no longer exists."""
    for each in MEMORY.glob(f"{FOLDER_PREFIX}*-*"):
        if not Path(f"/proc/{each.name.removeprefix(FOLDER_PREFIX).partition('-')[0]}").exists():
            shutil.rmtree(each, ignore_errors=True)


def _enter(block: AbstractContextManager[object]) -> Callable[[], None]:
    """Enters a context manager and returns the function that exits it."""
    stack = ExitStack()
    stack.enter_context(block)
    return stack.close


def pytest_report_header(config: pytest.Config) -> str:
    return f"busy processes: {config.option.busy}"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fails a CI run in which tests were skipped, deselected or expected to fail, because they prove nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    not_run = [each for kind in ("skipped", "xfailed", "deselected") for each in reporter.stats.get(kind, [])]
    if os.environ.get("CI") and not_run and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _clear_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("MEMORYOS_", "OPENAI_")):
            monkeypatch.delenv(name)


CLOSING_SECONDS = 10.0
"""Maximum time in which a thread of a closed engine may end after its test."""


@pytest.fixture(autouse=True)
def _check_for_leaked_threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    started = [each for each in set(threading.enumerate()) - before if each.name.startswith("memoryos")]
    for each in started:
        each.join(CLOSING_SECONDS)
    assert [each.name for each in started if each.is_alive()] == []


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Yields a running PostgreSQL server."""
    with running_server() as running:
        yield running


@pytest.fixture
def database_kind() -> str:
    """Returns the kind of database; folders whose tests run on several kinds parametrize it (see ``tests/kinds.py``)."""
    return "sqlite"


@pytest.fixture
def new_place(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Yields a function that returns the database URL of the store with the given name."""
    places: dict[str, str] = {}

    def make(name: str) -> str:
        if database_kind == "sqlite":
            return f"sqlite:///{tmp_path / name / 'memoryos.db'}"
        if name not in places:
            places[name] = request.getfixturevalue("postgres").database(lambda url: Store(url).close())
        return places[name]

    yield make
    for url in places.values():
        request.getfixturevalue("postgres").give_back(url)


@pytest.fixture
def place(new_place: Callable[[str], str], tmp_path: Path) -> str:
    """Returns the database URL of the test's store."""
    return new_place(str(tmp_path / "store"))


@pytest.fixture
def make_engine(
    tmp_path: Path, clock: FixedClock, database_kind: str, new_place: Callable[[str], str]
) -> Iterator[EngineMaker]:
    """Yields a function that opens an engine on the test's store with the given settings; closes all engines at the end."""
    engines: list[MemoryEngine] = []

    def make(**given: Any) -> MemoryEngine:
        seams: dict[str, Any] = {"embedder": HashEmbedder(), "clock": clock}
        seams |= {
            name: given.pop(name)
            for name in ("embedder", "analyst", "fallback_analyst", "clock", "count_tokens")
            if name in given
        }
        values = {"data_storage_path": tmp_path / "store", "background": False} | given
        if database_kind != "sqlite" and "database_url" not in given:
            values["database_url"] = new_place(str(values["data_storage_path"]))
        engine = MemoryEngine(Config(**values), **seams)
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(make_engine: EngineMaker) -> MemoryEngine:
    return make_engine()


@pytest.fixture
def memory(make_engine: EngineMaker) -> Memory:
    return make_engine().memory("tom", "helper")
