"""Scratch directory beside the database: lease lock files and temporary copies."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from memoryos.errors import StoreUnavailableError
from memoryos.identifiers import new_id
from memoryos.private_files import FOLDER_MODE, create_file, make_folder
from memoryos.storage.database import mapped_errors
from memoryos.storage.file_lock import FileLock, is_locked
from memoryos.storage.liveness import lease_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memoryos.storage.lease import Lease

__all__ = ["ScratchDir", "temporary_folder", "user_folder"]

_log = logging.getLogger(__name__)
_PART = ".part"


class ScratchDir:
    """Tells the living from the dead: whoever wants a lease locks a file in its name first.

    The system lets go of a lock with its process, however that dies, and whatever has become of the disk. So a lease
    whose lock is free is nobody's, and neither host nor process id has to be asked: both come back after a restart of a
    container, and a process that is dead and not buried still has its id.

    A lock is ``SCOPE.LEASE.lock``; a copy that is made under the lease stands in ``SCOPE.LEASE``. A temporary folder
    ``ID`` and a note ``ID.part``, which names the folder of a half-written file elsewhere, have a lock of their own.
    Every folder has mode 0700 and every file 0600.

    Args:
        file: The database, beside which the folder is made at the first use.
    """

    def __init__(self, file: Path) -> None:
        self._folder = Path(f"{file}.work")

    @contextlib.contextmanager
    def hold(self, lease: Lease) -> Iterator[None]:
        """Holds the lock of a lease until the block ends, from before the lease is claimed.

        Raises:
            StoreUnavailableError: If the folder can't be written.
        """
        name = lease_name(lease.scope_id, lease.owner)
        if name is None:
            raise ValueError(f"{lease.owner} does not name a lease")
        with mapped_errors():
            lock = self._locked(name)
        try:
            yield
        finally:
            lock.remove()

    def is_alive(self, scope_id: str, owner: str) -> bool:
        """Returns whether the owner of a lease is alive and at it; True as well for one of whom nothing is known."""
        name = lease_name(scope_id, owner)
        return name is None or is_locked(self._lock(name))

    def is_contended(self, lease: Lease) -> bool:
        """Returns whether somebody else waits for the scope of a lease."""
        mine = lease_name(lease.scope_id, lease.owner)
        others = (each for each in self._names() if each.startswith(f"{lease.scope_id}.") and each != mine)
        return any(is_locked(self._lock(each)) for each in others)

    @contextlib.contextmanager
    def folder(self, lease: Lease) -> Iterator[Path]:
        """Yields an empty folder for a copy under a lease that is held; it is gone at the end.

        If the process dies first, whoever opens the store next, copies or forgets removes it.
        """
        self.sweep()
        folder = self._folder / str(lease_name(lease.scope_id, lease.owner))
        with mapped_errors():
            folder.mkdir(FOLDER_MODE)
        try:
            yield folder
        finally:
            _remove(folder)

    @contextlib.contextmanager
    def temporary(self) -> Iterator[Path]:
        """Yields an empty folder for any other file that is needed for a while; it is gone at the end.

        If the process dies first, whoever opens the store next, or asks for such a folder, removes it.

        Raises:
            StoreUnavailableError: If it can't be made.
        """
        self.sweep()
        name = new_id()
        with mapped_errors():
            lock = self._locked(name)
        folder = self._folder / name
        try:
            with mapped_errors():
                folder.mkdir(FOLDER_MODE)
            yield folder
        finally:
            _remove(folder)
            lock.remove()

    @contextlib.contextmanager
    def partial_file(self, target: Path) -> Iterator[Path]:
        """Yields an empty file for the target's content until it is complete; it is gone at the end.

        It is in a new folder beside the target that no other account may enter, so that nobody can put a link in its
        place. If the process dies first, whoever opens the store next, copies or forgets removes it.

        Raises:
            OSError: If it can't be made.
        """
        self.sweep()
        folder = target.absolute().with_name(f".{secrets.token_hex(8)}{_PART}")
        name = f"{new_id()}{_PART}"
        lock = self._locked(name)
        try:
            (self._folder / name).write_text(str(folder), encoding="utf-8", errors="surrogateescape")
            folder.mkdir(FOLDER_MODE)
            file = folder / "content"
            os.close(create_file(file))
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

    def _locked(self, name: str) -> FileLock:
        """Makes the lock of a name and takes it; the folder is made when it is missing."""
        make_folder(self._folder)
        if self._folder.is_symlink():
            raise OSError(errno.ELOOP, f"{self._folder} is a symbolic link; remove it")
        lock = FileLock(self._lock(name))
        lock.acquire()
        return lock

    def _names(self) -> set[str]:
        try:
            return {each.name.removesuffix(".lock") for each in self._folder.iterdir()}
        except OSError:
            return set()

    def _lock(self, name: str) -> Path:
        return self._folder / f"{name}.lock"


def _remove_half_written(note: Path) -> None:
    """Removes the folder that a note names, and then the note."""
    with contextlib.suppress(FileNotFoundError):
        folder = Path(note.read_text(encoding="utf-8", errors="surrogateescape"))
        if folder.name.startswith(".") and folder.name.endswith(_PART):
            if folder.is_file() or folder.is_symlink():  # a single file, as earlier releases made it
                folder.unlink()
            _remove(folder)
        note.unlink()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _log.warning("the temporary folder %s can't be removed", folder)


def user_folder() -> Path:
    """Returns a folder of this account alone among the system's temporary files, made when it is missing.

    Raises:
        StoreUnavailableError: If another account has taken its name, or may enter it.
    """
    folder = Path(tempfile.gettempdir()) / f"memoryos-{os.getuid() if hasattr(os, 'getuid') else 'copies'}"
    with mapped_errors():
        folder.mkdir(FOLDER_MODE, exist_ok=True)
        found = folder.lstat()
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o77 or folder.is_symlink()):
        raise StoreUnavailableError(f"{folder} is not this user's alone; remove it, or set TMPDIR to another folder")
    return folder


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yields an empty folder among the system's temporary files that belongs to no store; it is gone at the end.

    If the process dies first, the next call of any process removes it.

    Raises:
        StoreUnavailableError: If it can't be made.
    """
    with ScratchDir(user_folder() / "temporary").temporary() as folder:
        yield folder
