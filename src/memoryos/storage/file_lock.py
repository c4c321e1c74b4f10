"""An exclusive file lock between processes, released by the operating system when its process ends."""

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
    """An advisory lock between processes. It does not exclude threads of one process: they need a lock of their own.

    The object stores no state about who holds the lock; only the operating system does. So an interrupt between two
    instructions can't make the state wrong.

    Args:
        file: The lock file; created with mode 0600 if it is missing, and never written to.

    Raises:
        OSError: If the file can't be created or opened, or is a symbolic link.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._process = os.getpid()
        self._open()

    def acquire(self) -> None:
        """Waits up to ``TIMEOUT_SECONDS`` for the lock.

        Raises:
            StoreUnavailableError: If another process held it for that long.
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
        """Acquires the lock if it is free; returns whether this process holds it now."""
        if not _lock(self._descriptor):
            return False
        if os.fstat(self._descriptor).st_nlink:
            return True
        self.close()  # the file was deleted, so other processes lock a new file
        self._open()
        return False

    def release(self) -> None:
        """Releases the lock if it is held. Has no effect in a forked child, where the parent still holds the lock."""
        if self.close.alive and os.getpid() == self._process:
            _unlock(self._descriptor)

    def remove(self) -> None:
        """Deletes the lock file, then releases the held lock and closes it.

        Has no effect in a forked child, where the parent still holds the lock.
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
    """Returns whether a process holds the lock on a file; True if that is unknown, False if the file is missing."""
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
