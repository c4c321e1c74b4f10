"""The workplace: a copy for a rebuild is gone with whoever made it, and nobody removes what a living one needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from memoryos.errors import StoreUnavailableError
from memoryos.identifiers import new_id
from memoryos.memory import Memory
from memoryos.model import PageDraft, Scope
from memoryos.storage.file_lock import FileLock
from memoryos.storage.scopes import Lease
from memoryos.storage.store import Store
from memoryos.testing import FixedClock
from tests.conftest import EngineMaker
from tests.storage.test_processes import LINES, SETTINGS, Elsewhere, fill

NOW = FixedClock()()
SECRET = "The safe opens with 4711-0815."


pytestmark = pytest.mark.kinds("sqlite")


@pytest.fixture
def doomed(place: str, tmp_path: Path) -> Iterator[Elsewhere]:
    (tmp_path / "temporary").mkdir()
    started = Elsewhere().open(place)
    started.do(f"import tempfile; tempfile.tempdir = {str(tmp_path / 'temporary')!r}")
    yield started
    started.kill()


@pytest.fixture
def here(make_engine: EngineMaker) -> Memory:
    return make_engine(**SETTINGS).memory("tom", "helper")


def holding(text: str, *folders: Path) -> set[Path]:
    """Returns the files under the folders that hold a text."""
    files = [each for folder in folders for each in folder.rglob("*") if each.is_file()]
    return {each for each in files if text.encode() in each.read_bytes()}


def rebuild_half(doomed: Elsewhere, tmp_path: Path) -> None:
    """Stops a rebuild while its copy of the log is there, all of it on disk."""
    doomed.do("begin(lambda: memory.rebuild('local'), 'digest')")
    assert holding(SECRET, tmp_path / "store" / "memoryos.db.work"), "the copy is there"
    assert not any((tmp_path / "temporary").iterdir()), "and nowhere else"


AFTERWARDS: dict[str, Callable[[Memory, EngineMaker], object]] = {
    "opening the store": lambda _, make_engine: make_engine(**SETTINGS),
    "a rebuild": lambda memory, _: memory.rebuild("local"),
    "forgetting": lambda memory, _: memory.forget(page_ids=[next(memory.pages()).page_id]),
}


@pytest.mark.parametrize("what", AFTERWARDS)
def test_a_copy_that_a_killed_rebuild_left_goes_with(
    here: Memory, doomed: Elsewhere, make_engine: EngineMaker, tmp_path: Path, what: str
) -> None:
    fill(here, [*LINES, SECRET])
    here.flush()
    rebuild_half(doomed, tmp_path)
    doomed.kill()
    assert holding(SECRET, tmp_path / "store" / "memoryos.db.work")
    AFTERWARDS[what](here, make_engine)
    assert list((tmp_path / "store" / "memoryos.db.work").iterdir()) == []


def test_what_is_forgotten_is_not_left_in_a_copy(here: Memory, doomed: Elsewhere, tmp_path: Path) -> None:
    fill(here, [*LINES, SECRET])
    here.flush()
    secret = [page.page_id for page in here.pages() if page.user_text == SECRET]
    rebuild_half(doomed, tmp_path)
    receipt = here.forget(page_ids=secret)
    assert not receipt.erased, "a living rebuild has a copy"
    assert holding(SECRET, tmp_path)
    assert doomed.do("result = end()") == "StoreConflictError"
    assert holding(SECRET, tmp_path) == set()
    assert here.forget(page_ids=secret).erased


def test_a_copy_of_another_scope_is_no_hindrance(here: Memory, doomed: Elsewhere, tmp_path: Path) -> None:
    fill(here, [*LINES, SECRET])
    rebuild_half(doomed, tmp_path)
    eve = here.engine.memory("eve")
    page = eve.add_memory("I am Eve.")
    assert eve.forget(page_ids=[page.page_id]).erased


def test_nobody_takes_the_copy_of_a_living_rebuild(
    here: Memory, doomed: Elsewhere, make_engine: EngineMaker, tmp_path: Path
) -> None:
    fill(here, [*LINES, SECRET])
    rebuild_half(doomed, tmp_path)
    make_engine(**SETTINGS)
    here.engine.memory("eve").add_memory("I am Eve.")
    here.engine.memory("eve").rebuild("local")
    here.engine.memory("eve").forget(everything=True)
    assert "applied=True" in doomed.do("result = end()")
    assert list((tmp_path / "store" / "memoryos.db.work").iterdir()) == []
    assert here.engine.store.verify() == []


def test_a_lock_and_a_copy_last_as_long_as_the_block(tmp_path: Path) -> None:
    with Store(tmp_path / "memoryos.db") as store, Store(tmp_path / "memoryos.db") as other:
        scope_id = store.scopes.open(Scope("u", "a"), NOW)
        store.log.append(scope_id, [PageDraft(NOW, SECRET, "")], NOW)
        lease = Lease(scope_id, f"host:1:{new_id()}", NOW + timedelta(minutes=5))
        assert not other.workplace.is_present(scope_id, lease.owner)
        with pytest.raises(ZeroDivisionError), store.workplace.present(lease), store.scratch(lease) as scratch:
            store.copy_log(scratch, scope_id)
            other.workplace.sweep()
            assert other.workplace.is_present(scope_id, lease.owner)
            assert other.workplace.has_copy(scope_id)
            assert not other.erase(scope_id)
            assert len(list(scratch.log.after(scope_id))) == 1
            raise ZeroDivisionError
        assert not other.workplace.is_present(scope_id, lease.owner)
        assert other.erase(scope_id)
        assert list((tmp_path / "memoryos.db.work").iterdir()) == []


def test_whoever_makes_a_lock_while_another_sweeps_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweeper finds the file before its maker has locked it, and deletes it."""
    with Store(tmp_path / "memoryos.db") as store:
        lease = Lease(new_id(), f"host:1:{new_id()}", NOW)
        acquire = FileLock.acquire

        def late(lock: FileLock) -> None:
            if lock._file.parent.name.endswith(".work"):
                store.workplace.sweep()
                assert not lock._file.exists()
            acquire(lock)

        monkeypatch.setattr(FileLock, "acquire", late)
        with store.workplace.present(lease):
            assert store.workplace.is_present(lease.scope_id, lease.owner)
            store.workplace.sweep()
            assert store.workplace.is_present(lease.scope_id, lease.owner)


def test_a_copy_that_can_not_be_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path / "memoryos.db") as store:
        left = tmp_path / "memoryos.db.work" / f"scope.{new_id()}"
        left.mkdir(parents=True)
        with monkeypatch.context() as patch:
            patch.setattr("memoryos.storage.workplace.shutil.rmtree", lambda *_, **__: None)
            assert not store.erase("scope")
        assert store.erase("scope")
        assert not left.exists()


def test_a_workplace_that_can_not_be_made_is_an_error_of_the_store(tmp_path: Path) -> None:
    with Store(tmp_path / "memoryos.db") as store:
        (tmp_path / "memoryos.db.work").write_text("in the way")
        lease = Lease(new_id(), f"host:1:{new_id()}", NOW)
        with pytest.raises(StoreUnavailableError), store.workplace.present(lease):
            pytest.fail("there is no lock")
