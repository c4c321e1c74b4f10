"""Fixtures of the suite: memories on a fresh store, without a model, with a clock that stands still."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.memory import Memoryos
from memoryos.storage.store import Store
from memoryos.testing import FixedClock, HashEmbedder
from tests.postgres import Server, running_server

settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
settings.load_profile("house")

EngineMaker = Callable[..., MemoryEngine]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fails the run in CI when a test was skipped: a skipped test proves nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    left_out = [each for kind in ("skipped", "xfailed", "deselected") for each in reporter.stats.get(kind, [])]
    if os.environ.get("CI") and left_out and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("MEMORYOS_", "OPENAI_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [each.name for each in set(threading.enumerate()) - before if each.name.startswith("memoryos")]
    assert not left


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Returns a running PostgreSQL."""
    with running_server() as running:
        yield running


@pytest.fixture
def database_kind() -> str:
    """Returns the kind of database; in folders whose tests run on each kind this is given from there."""
    return "sqlite"


@pytest.fixture
def new_place(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Returns a maker of places for stores, one for each name."""
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
    """Returns where the store of the test is."""
    return new_place(str(tmp_path / "store"))


@pytest.fixture
def make_engine(
    tmp_path: Path, clock: FixedClock, database_kind: str, new_place: Callable[[str], str]
) -> Iterator[EngineMaker]:
    """Returns a maker of engines on one store; settings are those of Config. They are closed at the end."""
    engines: list[MemoryEngine] = []

    def make(**given: Any) -> MemoryEngine:
        seams: dict[str, Any] = {"embedder": HashEmbedder(), "clock": clock}
        seams |= {
            name: given.pop(name) for name in ("embedder", "analyst", "fallback_analyst", "clock") if name in given
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
def memory(make_engine: EngineMaker) -> Memoryos:
    return make_engine().memory("tom", "helper")
