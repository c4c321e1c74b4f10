"""The file lock: between two handles as between two processes, and over a file that is deleted meanwhile."""

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


def test_one_holds_it_at_a_time(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    one.acquire()
    assert not other.try_acquire()
    one.release()
    one.release()
    assert other.try_acquire()
    assert not one.try_acquire()


def test_whoever_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "TIMEOUT_SECONDS", 0.01)
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    one.acquire()
    with pytest.raises(StoreUnavailableError, match="locked"):
        other.acquire()


def test_it_ends_with_its_process_before_that_is_waited_for(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    mine = FileLock(tmp_path / "lock")
    assert not mine.try_acquire()
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead and not buried
    assert mine.try_acquire()
    holder.communicate(timeout=60)


def test_a_file_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    (tmp_path / "lock").unlink()
    one.acquire()
    assert (tmp_path / "lock").exists()
    assert not other.try_acquire(), "that was the old file"
    assert not other.try_acquire(), "both lock the new one"
    one.release()
    assert other.try_acquire()
