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
from memoryos.testing import FixedClock, HashEmbedder

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


@pytest.fixture
def make_engine(tmp_path: Path, clock: FixedClock) -> Iterator[EngineMaker]:
    """Returns a maker of engines on one store; settings are those of Config. They are closed at the end."""
    engines: list[MemoryEngine] = []

    def make(**given: Any) -> MemoryEngine:
        seams: dict[str, Any] = {"embedder": HashEmbedder(), "clock": clock}
        seams |= {name: given.pop(name) for name in ("embedder", "analyst", "clock") if name in given}
        values = {"data_storage_path": tmp_path / "store", "background": False} | given
        engine = MemoryEngine(Config(**values), **seams)
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def memory(make_engine: EngineMaker) -> Memoryos:
    return make_engine().memory("tom", "helper")
