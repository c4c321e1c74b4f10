"""The file lock: one process at a time, on every system, and none that died."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import weakref
from typing import TYPE_CHECKING

from memoryos.errors import StoreUnavailableError
from memoryos.private_files import open_lock_file

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FileLock", "is_locked"]

TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.0005


class FileLock:
    """An advisory lock between processes; the threads of one have to take turns.

    Only the system knows who holds it, so that no interrupt leaves it half taken, and it ends with its process.

    Args:
        file: Made when it is missing, with mode 0600, and never written to.

    Raises:
        OSError: If the file can't be made or opened, or is a symbolic link.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._process = os.getpid()
        self._open()

    def acquire(self) -> None:
        """Waits for the lock, a minute at most.

        Raises:
            StoreUnavailableError: If somebody else kept it.
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not self.try_acquire():
            if time.monotonic() > deadline:
                raise StoreUnavailableError("another process keeps the database locked")
            time.sleep(POLL_SECONDS)

    def try_acquire(self) -> bool:
        """Takes the lock if it is free; returns whether it is held now."""
        if not _lock(self._descriptor):
            return False
        if os.fstat(self._descriptor).st_nlink:
            return True
        self.close()  # somebody deleted the file, and others lock a new one
        self._open()
        return False

    def release(self) -> None:
        """Gives the lock back, if it is held; in a forked child nothing happens, as the parent still holds it."""
        if self.close.alive and os.getpid() == self._process:
            _unlock(self._descriptor)

    def remove(self) -> None:
        """Gives back a lock that is held, for good, and deletes its file, so that nobody else can have locked it.

        In a forked child nothing happens: the parent still holds the lock.
        """
        if os.getpid() != self._process:
            return
        with contextlib.suppress(OSError):
            self._file.unlink()
        self.release()
        self.close()
        if sys.platform == "win32":  # where a file that is open, by us or by the next one, can't be deleted
            with contextlib.suppress(OSError):
                self._file.unlink()

    def _open(self) -> None:
        self._descriptor = open_lock_file(self._file)
        self.close = weakref.finalize(self, os.close, self._descriptor)


def is_locked(file: Path) -> bool:
    """Returns whether a living process holds the lock on a file, or nobody can tell; False if the file is missing."""
    try:
        descriptor = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        is_free = _lock(descriptor)
        if is_free:
            _unlock(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return not is_free


if sys.platform == "win32":

    def _lock(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        with contextlib.suppress(OSError):
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
