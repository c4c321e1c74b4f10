"""Backups: consistent snapshots, complete or absent, without deleted content."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from memoryos.errors import InputError, StoreUnavailableError
from memoryos.model import PageDraft, Scope
from memoryos.storage import backup
from memoryos.storage.store import Store
from memoryos.testing import FixedClock

NOW = FixedClock()()
TOM = Scope("tom", "helper")


def add(store: Store, *texts: str) -> list[str]:
    scope_id = store.scopes.open(TOM, NOW)
    return [page.page_id for page in store.log.append(scope_id, [PageDraft(NOW, text, "") for text in texts], NOW)]


def texts(file: Path) -> list[str]:
    with Store(file) as store:
        assert store.verify() == []
        return [page.user_text for page in store.log.after(store.scopes.open(TOM, NOW))]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    with Store(folder / "memoryos.db") as store:
        add(store, "one", "two")
    return folder / "memoryos.db"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "backups of 'tom'"
    folder.mkdir()
    return folder / "copy.db"


def names(target: Path) -> list[str]:
    return sorted(each.name for each in target.parent.iterdir())


def test_backup_opens_as_a_store_without_faults(file: Path, target: Path) -> None:
    with Store(file) as store:
        add(store, "three, still in the write-ahead log")
        store.back_up(target)
        add(store, "four")
    assert names(target) == ["copy.db"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert texts(target) == ["one", "two", "three, still in the write-ahead log"]
    assert len(texts(file)) == 4


def test_backup_is_writable_after_opening(file: Path, target: Path) -> None:
    with Store(file) as store:
        store.back_up(target)
    with Store(target) as store:
        add(store, "three")
    assert (len(texts(target)), len(texts(file))) == (3, 2)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_backup_does_not_change_an_existing_target(file: Path, target: Path, suffix: str) -> None:
    other = Path(f"{target}{suffix}")
    other.write_text("precious")
    with Store(file) as store, pytest.raises(InputError, match="exists"):
        store.back_up(target)
    assert other.read_text() == "precious"
    assert names(target) == [other.name]


def test_backup_does_not_follow_a_dangling_link(file: Path, target: Path) -> None:
    target.symlink_to(target.parent / "elsewhere")
    with Store(file) as store, pytest.raises(InputError, match="exists"):
        store.back_up(target)
    assert names(target) == ["copy.db"]


def test_backup_to_the_path_of_the_store_is_rejected(file: Path) -> None:
    with Store(file) as store, pytest.raises(InputError, match="exists"):
        store.back_up(file)
    assert texts(file) == ["one", "two"]


def test_backup_to_a_missing_directory_raises_input_error(file: Path, tmp_path: Path) -> None:
    with Store(file) as store, pytest.raises(InputError, match="can't be written"):
        store.back_up(tmp_path / "nowhere" / "copy.db")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("has_links", [True, False])
def test_backup_does_not_replace_a_file_created_meanwhile(
    file: Path, target: Path, has_links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = backup._copy

    def slow(*given: object) -> None:
        copy(*given)  # type: ignore[arg-type]
        target.write_text("precious")

    monkeypatch.setattr(backup, "_copy", slow)
    if not has_links:
        _without_links(monkeypatch)
    with Store(file) as store, pytest.raises(InputError, match="exists"):
        store.back_up(target)
    assert target.read_text() == "precious"
    assert names(target) == ["copy.db"]


def _without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)


def test_backup_works_without_hard_links(file: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_links(monkeypatch)
    with Store(file) as store:
        store.back_up(target)
    assert names(target) == ["copy.db"]
    assert texts(target) == ["one", "two"]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "no"), KeyboardInterrupt()])
def test_failed_backup_leaves_no_files(
    file: Path, target: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    store = Store(file)
    with pytest.raises(InputError if isinstance(error, OSError) else KeyboardInterrupt):
        store.back_up(target)
    monkeypatch.undo()
    store.close()
    assert names(target) == []


def test_backup_of_a_closed_store_raises_store_error(file: Path, target: Path) -> None:
    store = Store(file)
    store.close()
    with pytest.raises(StoreUnavailableError, match="closed"):
        store.back_up(target)
    assert names(target) == []


CRASH = """
import os, sys
from pathlib import Path
from memoryos.storage import backup
from memoryos.storage.store import Store
backup.publish = lambda *_: os._exit(9)
Store(Path(sys.argv[1])).back_up(Path(sys.argv[2]))
"""


def test_crash_leaves_no_file_at_the_target_path(file: Path, target: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CRASH, str(file), str(target)], check=False, timeout=60)
    assert done.returncode == 9
    assert [name.endswith(".part") for name in names(target)] == [True]
    with Store(file) as store:
        assert names(target) == [], "opening the store removes the incomplete file"
        store.back_up(target)
    assert texts(target) == ["one", "two"]
    assert list(Path(f"{file}.work").iterdir()) == []


def test_backup_in_progress_is_not_removed_by_another_process(
    file: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = backup._copy

    def slow(*given: object) -> None:
        copy(*given)  # type: ignore[arg-type]
        Store(file).close()
        assert len(names(target)) == 1

    monkeypatch.setattr(backup, "_copy", slow)
    with Store(file) as store:
        store.back_up(target)
    assert names(target) == ["copy.db"]


def test_forged_part_file_does_not_delete_other_files(file: Path, target: Path) -> None:
    target.write_text("precious")
    note = Path(f"{file}.work") / "0.part"
    note.parent.mkdir()
    note.write_text(str(target))
    with Store(file):
        assert target.read_text() == "precious"
        assert not note.exists()


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from memoryos.errors import StoreUnavailableError
from memoryos.storage.store import Store
store = Store(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    store.back_up(Path(sys.argv[2]))
except StoreUnavailableError as error:
    print("refused:", error)
"""


def test_full_disk_raises_store_error_and_leaves_no_files(file: Path, target: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(file), str(target)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "refused:" in done.stdout
    assert names(target) == []


def test_backup_contains_no_deleted_content(file: Path, target: Path) -> None:
    with Store(file) as store:
        add(store, *(f"a secret that was said {number}" for number in range(50)))
    connection = sqlite3.connect(file)
    connection.executescript("PRAGMA secure_delete = OFF; DELETE FROM pages WHERE user_text LIKE '%secret%'")
    connection.close()
    with Store(file) as store:
        forgotten = add(store, "a secret that is in the log")
        scope_id = store.scopes.open(TOM, NOW)
        store.forgetting.forget(scope_id, forgotten, (), NOW)
        assert b"secret" in file.read_bytes()
        store.back_up(target)
        assert b"secret that" not in target.read_bytes()
    assert texts(target) == ["one", "two"]


WRITER = """
import sys
from pathlib import Path
from memoryos.model import PageDraft, Scope
from memoryos.storage.store import Store
from memoryos.testing import FixedClock
now = FixedClock()()
with Store(Path(sys.argv[1])) as store:
    scope_id = store.scopes.open(Scope("tom", "helper"), now)
    print("ready", flush=True)
    for number in range(100_000):
        store.log.append(scope_id, [PageDraft(now, "x" * 500, "") for _ in range(3)], now)
"""


def test_backup_is_a_consistent_snapshot_during_writes(file: Path, target: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True)
    stop = threading.Event()
    with Store(file) as store, writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"

        def write() -> None:
            while not stop.is_set():
                add(store, *["y" * 500] * 3)

        threads = [threading.Thread(target=write) for _ in range(3)]
        for each in threads:
            each.start()
        copies = [target.with_name(f"{number}.db") for number in range(6)]
        try:
            for copy in copies:
                store.back_up(copy)
        finally:
            stop.set()
            writer.kill()
            for each in threads:
                each.join()
    counts = []
    for copy in copies:
        with Store(copy) as copied:
            assert copied.verify() == []
            scope_id = copied.scopes.open(TOM, NOW)
            seqs = [page.seq for page in copied.log.after(scope_id)]
            assert seqs == list(range(1, len(seqs) + 1))
            assert copied.scopes.state(scope_id).last_seq == len(seqs)
            assert (len(seqs) - 2) % 3 == 0, "appends must be atomic"
            counts.append(len(seqs))
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]
