"""The workplace: a folder beside the database for what lasts as long as somebody works, locks of leases and copies."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from memoryos.identifiers import new_id
from memoryos.storage.database import mapped_errors
from memoryos.storage.file_lock import FileLock, is_locked
from memoryos.storage.presence import lease_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memoryos.storage.scopes import Lease

__all__ = ["Workplace"]

_log = logging.getLogger(__name__)
_PART = ".part"


class Workplace:
    """Tells the living from the dead: whoever wants a lease locks a file in its name first.

    The system lets go of a lock with its process, however that dies, and whatever has become of the disk. So a lease
    whose lock is free is nobody's, and neither host nor process id has to be asked: both come back after a restart of a
    container, and a process that is dead and not buried still has its id.

    A lock is ``SCOPE.LEASE.lock``; a copy that is made under the lease stands in ``SCOPE.LEASE``. A half-written file
    elsewhere is named in ``ID.part``, beside a lock of its own.

    Args:
        file: The database, beside which the folder is made at the first use.
    """

    def __init__(self, file: Path) -> None:
        self._folder = Path(f"{file}.work")

    @contextlib.contextmanager
    def present(self, lease: Lease) -> Iterator[None]:
        """Holds the lock of a lease until the block ends, from before the lease is claimed.

        Raises:
            StoreUnavailableError: If the folder can't be written.
        """
        name = lease_of(lease.scope_id, lease.owner)
        if name is None:
            raise ValueError(f"{lease.owner} does not name a lease")
        with mapped_errors():
            self._folder.mkdir(exist_ok=True)
            lock = FileLock(self._lock(name))
            lock.acquire()
        try:
            yield
        finally:
            lock.remove()

    def is_present(self, scope_id: str, owner: str) -> bool:
        """Returns whether the owner of a lease is alive and at it; True as well for one of whom nothing is known."""
        name = lease_of(scope_id, owner)
        return name is None or is_locked(self._lock(name))

    def is_wanted(self, lease: Lease) -> bool:
        """Returns whether somebody else waits for the scope of a lease."""
        mine = lease_of(lease.scope_id, lease.owner)
        others = (each for each in self._names() if each.startswith(f"{lease.scope_id}.") and each != mine)
        return any(is_locked(self._lock(each)) for each in others)

    @contextlib.contextmanager
    def folder(self, lease: Lease) -> Iterator[Path]:
        """Yields an empty folder for a copy under a lease that is held; it is gone at the end.

        If the process dies first, whoever opens the store next, copies or forgets removes it.
        """
        self.sweep()
        folder = self._folder / str(lease_of(lease.scope_id, lease.owner))
        with mapped_errors():
            folder.mkdir()
        try:
            yield folder
        finally:
            _remove(folder)

    @contextlib.contextmanager
    def half_written(self, target: Path) -> Iterator[Path]:
        """Yields an empty file beside the target, for its content until that is whole; it is gone at the end.

        Only its owner may read it. If the process dies first, whoever opens the store next, copies or forgets removes
        it.

        Raises:
            OSError: If it can't be made.
        """
        self.sweep()
        self._folder.mkdir(exist_ok=True)
        file = target.absolute().with_name(f".{target.name}.{secrets.token_hex(4)}{_PART}")
        name = f"{new_id()}{_PART}"
        lock = FileLock(self._lock(name))
        lock.acquire()
        try:
            (self._folder / name).write_text(str(file), encoding="utf-8", errors="surrogateescape")
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            yield file
        finally:
            _remove_half_written(self._folder / name)
            lock.remove()

    def sweep(self) -> None:
        """Removes what processes left that died."""
        for name in self._names():
            with contextlib.suppress(OSError):
                self._sweep(name)

    def has_copy(self, scope_id: str) -> bool:
        """Returns whether a copy of the scope is there, of the living or because it can't be removed."""
        return any(each.is_dir() for each in self._folder.glob(f"{scope_id}.*"))

    def _sweep(self, name: str) -> None:
        lock = FileLock(self._lock(name))
        try:
            if lock.try_acquire():
                (_remove_half_written if name.endswith(_PART) else _remove)(self._folder / name)
                lock.remove()
        finally:
            lock.close()

    def _names(self) -> set[str]:
        try:
            return {each.name.removesuffix(".lock") for each in self._folder.iterdir()}
        except OSError:
            return set()

    def _lock(self, name: str) -> Path:
        return self._folder / f"{name}.lock"


def _remove_half_written(note: Path) -> None:
    """Removes the file that a note names, with what SQLite may have put beside it, and then the note."""
    with contextlib.suppress(FileNotFoundError):
        file = Path(note.read_text(encoding="utf-8", errors="surrogateescape"))
        if file.name.startswith(".") and file.name.endswith(_PART):
            for suffix in ("", "-wal", "-shm", "-journal"):
                Path(f"{file}{suffix}").unlink(missing_ok=True)
        note.unlink()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _log.warning("the copy of a scope in %s can't be removed", folder)
