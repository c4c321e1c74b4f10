"""Shared engines: one per store and settings, closed with its last user or by garbage collection."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

from memoryos import Memoryos
from memoryos.errors import StoreUnavailableError
from memoryos.seams import Batch, Meter, Reading
from memoryos.testing import FixedClock, HashEmbedder, ScriptedAnalyst
from tests.conftest import EngineMaker
from tests.waiting import wait_until

EMBEDDER = HashEmbedder()


def open_descriptors() -> int:
    """Returns the number of open files of this process; 0 if the system does not report it."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def opened(folder: Path, user: str = "tom", **given: object) -> Memoryos:
    return Memoryos(user, data_storage_path=folder, **({"embedder": EMBEDDER} | given))  # type: ignore[arg-type]


def test_a_thousand_memories_share_descriptors_and_threads(tmp_path: Path) -> None:
    with opened(tmp_path, "u") as first:
        first.add_memory("hello")
        first.flush()
        threads = threading.active_count()
        descriptors = open_descriptors()
        many = [opened(tmp_path, f"u{number}") for number in range(1_000)]
        for each in many[:20]:
            each.add_memory("hello")
        assert len({id(each.engine) for each in many}) == 1
        assert threading.active_count() <= threads + 1
        assert open_descriptors() <= descriptors + 10
        for each in many:
            each.close()
        assert first.add_memory("still here").seq == 2


def test_engine_closes_with_its_last_memory(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path, "eve")
    engine = one.engine
    one.close()
    one.close()
    with pytest.raises(StoreUnavailableError, match="closed"):
        one.add_memory("hello")
    assert other.add_memory("hello").seq == 1
    other.close()
    assert not engine.is_open
    with opened(tmp_path) as again:
        assert again.engine is not engine
        assert again.add_memory("hello").seq == 1


def test_different_settings_embedders_clocks_and_files_have_separate_engines(tmp_path: Path) -> None:
    one = opened(tmp_path / "a")
    others = [
        opened(tmp_path / "a", short_term_capacity=3),
        opened(tmp_path / "a", embedder=HashEmbedder()),
        opened(tmp_path / "a", clock=FixedClock()),
        opened(tmp_path / "b"),
    ]
    assert len({id(each.engine) for each in [one, *others]}) == 5
    one.close()
    for each in others:
        each.add_memory("hello")
        each.close()


def test_aliases_of_a_path_share_one_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "store")
    (tmp_path / "store").mkdir()
    found = [opened(Path("store")), opened(tmp_path / "store"), opened(tmp_path / "link")]
    assert len({id(each.engine) for each in found}) == 1
    for each in found:
        each.close()


def test_replaced_database_file_gets_a_new_engine(tmp_path: Path) -> None:
    one = opened(tmp_path / "store")
    one.add_memory("old")
    (tmp_path / "store").rename(tmp_path / "moved")
    with opened(tmp_path / "store") as other:
        assert other.engine is not one.engine
        assert list(other.pages()) == []
    one.close()


def test_garbage_collection_closes_the_engine(tmp_path: Path) -> None:
    threads = threading.active_count()
    for number in range(20):
        opened(tmp_path / str(number)).add_memory("hello")
    gc.collect()
    wait_until(lambda: threading.active_count() <= threads + 1)


def test_engine_collected_in_its_worker_thread_is_closed_after_the_step(make_engine: EngineMaker) -> None:
    class Collecting(ScriptedAnalyst):
        def read(self, batch: Batch, meter: Meter) -> Reading:
            engine.close()  # as the garbage collector would call it in this thread
            is_open.append(engine.store.log.count(scope_id) == 1)
            return super().read(batch, meter)

    is_open: list[bool] = []
    threads = threading.active_count()
    engine = make_engine(analyst=Collecting(reads_immediately=True), background=True)
    memory = engine.memory("ann")
    scope_id = memory._handle.open()
    memory.add_memory("hello")
    wait_until(lambda: is_open == [True] and threading.active_count() <= threads)
    assert not engine.is_open


def test_concurrent_constructors_share_one_engine(tmp_path: Path) -> None:
    found: list[Memoryos] = []
    together = threading.Barrier(8)

    def open_one() -> None:
        together.wait()
        found.append(opened(tmp_path))

    threads = [threading.Thread(target=open_one) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({id(each.engine) for each in found}) == 1
    for memory in found:
        memory.close()
