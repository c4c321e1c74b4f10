"""An exclusive file lock between processes. The operating system releases it when the process ends."""

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
    """An advisory lock that excludes other processes, but not other threads of this process.

    Only the operating system stores whether the lock is held; this object keeps no copy of that state. So an interrupt
    between two instructions can't leave a wrong state.

    Args:
        file: Path of the lock file. A missing file is created with mode 0600. Nothing is written to it.

    Raises:
        OSError: If the file can't be created or opened, or is a symbolic link.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._process = os.getpid()
        self._open()

    def acquire(self) -> None:
        """Waits for the lock, at most ``TIMEOUT_SECONDS``.

        Raises:
            StoreUnavailableError: If another process holds the lock during all that time.
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not self.try_acquire():
            if time.monotonic() > deadline:
                raise StoreUnavailableError(
                    f"the database is locked by another process (waited {TIMEOUT_SECONDS:g} s); "
                    "stop that process or try again later"
                )
            time.sleep(POLL_SECONDS)

    def try_acquire(self) -> bool:
        """Acquires the lock if no other process holds it; returns whether this process now holds it."""
        if not _lock(self._descriptor):
            return False
        if os.fstat(self._descriptor).st_nlink:
            return True
        self.close()  # the file was deleted, so other processes lock a new file
        self._open()
        return False

    def release(self) -> None:
        """Releases the lock. Has no effect if the lock is not held.

        In a forked child this has no effect either: the parent process still holds the lock.
        """
        if self.close.alive and os.getpid() == self._process:
            _unlock(self._descriptor)

    def remove(self) -> None:
        """Deletes the lock file, releases the lock and closes the file.

        In a forked child this has no effect, because the parent process still holds the lock.
        """
        if os.getpid() != self._process:
            return
        with contextlib.suppress(OSError):
            self._file.unlink()
        self.release()
        self.close()
        if sys.platform == "win32":  # Windows can't delete a file that is open
            with contextlib.suppress(OSError):
                self._file.unlink()

    def _open(self) -> None:
        self._descriptor = open_lock_file(self._file)
        self.close = weakref.finalize(self, os.close, self._descriptor)


def is_locked(file: Path) -> bool:
    """Returns whether a process holds the lock on a file.

    Returns False if the file does not exist, and True if the file can't be examined.
    """
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
