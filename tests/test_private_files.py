"""Files of a store: private to their owner with any umask, created without following links."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memoryos import Memoryos
from memoryos.doors.file_modes import accessible_paths, restrict_all
from memoryos.errors import InputError, StoreUnavailableError
from memoryos.private_files import create_file, make_folder, publish
from memoryos.storage.file_lock import FileLock
from memoryos.storage.scratch_dir import ScratchDir
from memoryos.storage.store import Store
from memoryos.testing import HashEmbedder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes have no effect on Windows")


@pytest.fixture(params=[0o000, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(*paths: Path) -> set[str]:
    return {oct(stat.S_IMODE(each.stat().st_mode)) for each in paths}


@pytest.mark.usefixtures("umask")
def test_all_created_files_are_private_with_any_umask(tmp_path: Path) -> None:
    folder = tmp_path / "above" / "data"
    with Memoryos("mia", data_storage_path=folder, embedder=HashEmbedder()) as memory:
        memory.add_memory("I have HIV.", "Thanks for telling me.")
        memory.export(tmp_path / "one.jsonl")
        memory.engine.export(tmp_path / "all.jsonl")
        memory.engine.store.back_up(tmp_path / "copy.db")
        with memory.engine.store.scratch_dir.temporary() as temporary:
            files = [each for each in folder.rglob("*") if each.is_file()]
            assert {each.name for each in files} >= {"memoryos.db", "memoryos.db-wal", "memoryos.db-shm"}
            assert modes(*files, *tmp_path.glob("*.*")) == {"0o600"}
            assert modes(folder, folder.parent, temporary, temporary.parent) == {"0o700"}


@pytest.mark.usefixtures("umask")
def test_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    Store(folder / "memoryos.db").close()
    assert modes(folder) == {"0o755"}
    assert modes(*folder.iterdir()) == {"0o600"}


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link"])
def test_export_never_replaces_or_follows_an_existing_path(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    victim = tmp_path / "victim"
    if kind != "dangling link":
        victim.write_text("precious")
    if kind == "folder":
        target.mkdir()
    elif kind == "file":
        target.write_text("precious")
    else:
        target.symlink_to(victim)
    with (
        Memoryos("mia", data_storage_path=tmp_path / "data", embedder=HashEmbedder()) as memory,
        pytest.raises(InputError, match="exists already and was not changed"),
    ):
        memory.export(target)
    assert kind == "dangling link" or victim.read_text() == "precious"
    assert kind != "dangling link" or not victim.exists()


def test_partial_file_is_in_a_private_directory(tmp_path: Path) -> None:
    with ScratchDir(tmp_path / "store").partial_file(tmp_path / "out") as beside:
        assert modes(beside.parent) == {"0o700"}
        assert beside.parent.parent == tmp_path
        beside.write_text("whole")
        publish(beside, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "whole"
    assert [each.name for each in tmp_path.iterdir() if each.name.endswith(".part")] == []


def test_links_instead_of_lock_files_and_scratch_dir_are_rejected(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(OSError, match=r".+"):
        FileLock(tmp_path / "lock")
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "lock")
    assert not victim.exists()
    with Store(tmp_path / "memoryos.db") as store:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        Path(f"{tmp_path / 'memoryos.db'}.work").symlink_to(elsewhere)
        with pytest.raises(StoreUnavailableError, match="symbolic link"), store.scratch_dir.temporary():
            pytest.fail("the link was followed")
        assert list(elsewhere.iterdir()) == []


def test_database_path_that_is_a_dangling_link_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "memoryos.db").symlink_to(tmp_path / "victim")
    with pytest.raises(StoreUnavailableError, match="symbolic link to a missing file"):
        Store(tmp_path / "memoryos.db")
    assert not (tmp_path / "victim").exists()


@pytest.mark.usefixtures("umask")
def test_directory_is_created_with_its_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert modes(tmp_path / "a", tmp_path / "a" / "b") == {"0o700"}
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r".+"):
        make_folder(tmp_path / "file" / "c")


def widened(tmp_path: Path) -> Path:
    """Returns a database with the mode of earlier releases: every account may read it."""
    file = tmp_path / "data" / "memoryos.db"
    with Store(file) as store, store.scratch_dir.temporary():
        pass
    for each in [file.parent, *file.parent.rglob("*")]:
        each.chmod(0o755 if each.is_dir() else 0o644)
    return file


def test_access_of_other_accounts_is_found_and_removed(tmp_path: Path) -> None:
    file = widened(tmp_path)
    wide = accessible_paths(file)
    assert {each.name for each in wide} >= {"data", "memoryos.db", "memoryos.db.lock", "memoryos.db.work"}
    assert restrict_all(wide) == []
    assert accessible_paths(file) == []
    assert modes(file.parent) == {"0o700"}
    assert modes(file) == {"0o600"}


def test_shared_directories_and_link_targets_are_not_changed(tmp_path: Path) -> None:
    file = widened(tmp_path)
    (file.parent / "notes.txt").touch()
    (file.parent / "memoryos.db-wal").symlink_to(file.parent / "notes.txt")
    (file.parent / "notes.txt").chmod(0o644)
    assert not {"data", "notes.txt", "memoryos.db-wal"} & {each.name for each in accessible_paths(file)}
    assert restrict_all([file.parent / "memoryos.db-wal"]) != []
    assert modes(file.parent / "notes.txt") == {"0o644"}


def test_doctor_reports_access_of_other_accounts_and_fixes_it_on_request(tmp_path: Path) -> None:
    file = widened(tmp_path)

    def doctor(*options: str) -> str:
        command = [sys.executable, "-m", "memoryos", "--data", str(file.parent), "doctor", "--offline", *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300).stdout

    assert "problem  file modes: other accounts have permissions" in doctor()
    assert modes(file) == {"0o644"}
    assert "ok       file modes: removed the permissions of other accounts" in doctor("--fix")
    assert modes(file) == {"0o600"}


KILLED = """
import os, sys
from pathlib import Path
from memoryos.storage.store import Store
store = Store(Path(sys.argv[1]) / "memoryos.db")
with store.scratch_dir.partial_file(Path(sys.argv[1]) / "out") as beside, store.scratch_dir.temporary() as folder:
    beside.write_text("secret")
    (folder / "upload").write_text("secret")
    os.kill(os.getpid(), 9)
"""


def test_files_of_a_killed_process_are_removed_when_the_store_is_opened(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=120)
    assert done.returncode == -9
    assert [each for each in tmp_path.rglob("*") if each.is_file() and each.read_bytes() == b"secret"]
    Store(tmp_path / "memoryos.db").close()
    left = {each.relative_to(tmp_path).as_posix() for each in tmp_path.rglob("*")}
    assert left == {"memoryos.db", "memoryos.db.lock", "memoryos.db.work"}
