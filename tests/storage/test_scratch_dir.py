"""The scratch directory: copies of terminated processes are removed, copies of running processes are not."""

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
from memoryos.storage.lease import Lease
from memoryos.storage.store import Store
from memoryos.testing import FixedClock
from tests.conftest import EngineMaker
from tests.storage.test_processes import LINES, SETTINGS, OtherProcess, fill

NOW = FixedClock()()
SECRET = "The safe opens with 4711-0815."


pytestmark = pytest.mark.kinds("sqlite")


@pytest.fixture
def killable(place: str, tmp_path: Path) -> Iterator[OtherProcess]:
    (tmp_path / "temporary").mkdir()
    started = OtherProcess().open(place)
    started.do(f"import tempfile; tempfile.tempdir = {str(tmp_path / 'temporary')!r}")
    yield started
    started.kill()


@pytest.fixture
def here(make_engine: EngineMaker) -> Memory:
    return make_engine(**SETTINGS).memory("tom", "helper")


def holding(text: str, *folders: Path) -> set[Path]:
    """Returns the files below the directories that contain a text."""
    files = [each for folder in folders for each in folder.rglob("*") if each.is_file()]
    return {each for each in files if text.encode() in each.read_bytes()}


def rebuild_half(killable: OtherProcess, tmp_path: Path) -> None:
    """Stops a rebuild while its scratch copy is completely on disk."""
    killable.do("begin(lambda: memory.rebuild('local'), 'read')")
    assert holding(SECRET, tmp_path / "store" / "memoryos.db.work"), "the copy is there"
    assert not any((tmp_path / "temporary").iterdir()), "and nowhere else"


AFTERWARDS: dict[str, Callable[[Memory, EngineMaker], object]] = {
    "opening the store": lambda _, make_engine: make_engine(**SETTINGS),
    "a rebuild": lambda memory, _: memory.rebuild("local"),
    "forgetting": lambda memory, _: memory.forget(page_ids=[next(memory.pages()).page_id]),
}


@pytest.mark.parametrize("what", AFTERWARDS)
def test_scratch_copy_of_a_killed_rebuild_is_removed(
    here: Memory, killable: OtherProcess, make_engine: EngineMaker, tmp_path: Path, what: str
) -> None:
    fill(here, [*LINES, SECRET])
    here.flush()
    rebuild_half(killable, tmp_path)
    killable.kill()
    assert holding(SECRET, tmp_path / "store" / "memoryos.db.work")
    AFTERWARDS[what](here, make_engine)
    assert list((tmp_path / "store" / "memoryos.db.work").iterdir()) == []


def test_forgotten_text_remains_in_no_scratch_copy(here: Memory, killable: OtherProcess, tmp_path: Path) -> None:
    fill(here, [*LINES, SECRET])
    here.flush()
    secret = [page.page_id for page in here.pages() if page.user_text == SECRET]
    rebuild_half(killable, tmp_path)
    receipt = here.forget(page_ids=secret)
    assert not receipt.erased, "a living rebuild has a copy"
    assert holding(SECRET, tmp_path)
    assert killable.do("result = end()") == "StoreConflictError"
    assert holding(SECRET, tmp_path) == set()
    assert here.forget(page_ids=secret).erased


def test_scratch_copy_of_another_scope_does_not_affect_erasure(
    here: Memory, killable: OtherProcess, tmp_path: Path
) -> None:
    fill(here, [*LINES, SECRET])
    rebuild_half(killable, tmp_path)
    eve = here.engine.memory("eve")
    page = eve.add_memory("I am Eve.")
    assert eve.forget(page_ids=[page.page_id]).erased


def test_scratch_copy_of_a_running_rebuild_is_not_removed(
    here: Memory, killable: OtherProcess, make_engine: EngineMaker, tmp_path: Path
) -> None:
    fill(here, [*LINES, SECRET])
    rebuild_half(killable, tmp_path)
    make_engine(**SETTINGS)
    here.engine.memory("eve").add_memory("I am Eve.")
    here.engine.memory("eve").rebuild("local")
    here.engine.memory("eve").forget(everything=True)
    assert "applied=True" in killable.do("result = end()")
    assert list((tmp_path / "store" / "memoryos.db.work").iterdir()) == []
    assert here.engine.store.verify() == []


def test_lock_and_scratch_copy_exist_until_the_block_ends(tmp_path: Path) -> None:
    with Store(tmp_path / "memoryos.db") as store, Store(tmp_path / "memoryos.db") as other:
        scope_id = store.scopes.open(Scope("u", "a"), NOW)
        store.log.append(scope_id, [PageDraft(NOW, SECRET, "")], NOW)
        lease = Lease(scope_id, f"host:1:{new_id()}", NOW + timedelta(minutes=5))
        assert not other.scratch_dir.is_alive(scope_id, lease.owner)
        with pytest.raises(ZeroDivisionError), store.scratch_dir.hold(lease), store.scratch(lease) as scratch:
            store.copy_log(scratch, scope_id)
            other.scratch_dir.remove_abandoned()
            assert other.scratch_dir.is_alive(scope_id, lease.owner)
            assert other.scratch_dir.has_copy(scope_id)
            assert not other.erase(scope_id)
            assert len(list(scratch.log.after(scope_id))) == 1
            raise ZeroDivisionError
        assert not other.scratch_dir.is_alive(scope_id, lease.owner)
        assert other.erase(scope_id)
        assert list((tmp_path / "memoryos.db.work").iterdir()) == []


def test_lock_created_during_cleanup_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cleanup finds the lock file before its creator has locked it, and deletes it."""
    with Store(tmp_path / "memoryos.db") as store:
        lease = Lease(new_id(), f"host:1:{new_id()}", NOW)
        acquire = FileLock.acquire

        def late(lock: FileLock) -> None:
            if lock._file.parent.name.endswith(".work"):
                store.scratch_dir.remove_abandoned()
                assert not lock._file.exists()
            acquire(lock)

        monkeypatch.setattr(FileLock, "acquire", late)
        with store.scratch_dir.hold(lease):
            assert store.scratch_dir.is_alive(lease.scope_id, lease.owner)
            store.scratch_dir.remove_abandoned()
            assert store.scratch_dir.is_alive(lease.scope_id, lease.owner)


def test_scratch_copy_that_cannot_be_removed_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path / "memoryos.db") as store:
        left = tmp_path / "memoryos.db.work" / f"scope.{new_id()}"
        left.mkdir(parents=True)
        with monkeypatch.context() as patch:
            patch.setattr("memoryos.storage.scratch_dir.shutil.rmtree", lambda *_, **__: None)
            assert not store.erase("scope")
        assert store.erase("scope")
        assert not left.exists()


def test_scratch_dir_that_cannot_be_created_raises_store_error(tmp_path: Path) -> None:
    with Store(tmp_path / "memoryos.db") as store:
        (tmp_path / "memoryos.db.work").write_text("in the way")
        lease = Lease(new_id(), f"host:1:{new_id()}", NOW)
        with pytest.raises(StoreUnavailableError), store.scratch_dir.hold(lease):
            pytest.fail("there is no lock")
