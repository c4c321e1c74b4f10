"""The file lock: between handles, between processes, and after the file is deleted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import memoryos.storage.file_lock as lock_module
from memoryos.errors import StoreUnavailableError
from memoryos.storage.file_lock import FileLock

HOLDER = """
import sys
from pathlib import Path
from memoryos.storage.file_lock import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_lock_is_exclusive(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    one.acquire()
    assert not other.try_acquire()
    one.release()
    one.release()
    assert other.try_acquire()
    assert not one.try_acquire()


def test_waiting_longer_than_the_timeout_raises_store_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "TIMEOUT_SECONDS", 0.01)
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    one.acquire()
    with pytest.raises(StoreUnavailableError, match="locked"):
        other.acquire()


def test_lock_of_a_zombie_process_is_released(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    mine = FileLock(tmp_path / "lock")
    assert not mine.try_acquire()
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # wait until the process is a zombie
    assert mine.try_acquire()
    holder.communicate(timeout=60)


def test_deleted_lock_file_is_recreated(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    (tmp_path / "lock").unlink()
    one.acquire()
    assert (tmp_path / "lock").exists()
    assert not other.try_acquire(), "that was the old file"
    assert not other.try_acquire(), "both lock the new one"
    one.release()
    assert other.try_acquire()
