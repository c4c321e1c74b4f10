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
    """Directory ``FILE.work`` beside the database, with lock files for liveness and with temporary files.

    A worker locks a file for its lease before it claims the lease. The operating system releases the lock when the
    process ends for any reason. So a lease with an unlocked file has no running holder. Process ids and host names are
    not used: both can be reused after a container restarts, and zombie processes keep their PID.

    Contents, all with mode 0700 (directories) or 0600 (files):

    * ``SCOPE.LEASE.lock``: lock file of a lease; ``SCOPE.LEASE``: directory of a scratch copy made under that lease.
    * ``ID``: temporary directory; ``ID.part``: file with the path of a directory elsewhere that contains an incomplete
      file. Each has a lock file ``….lock``.

    Args:
        file: Path of the database; the directory is created when it is first needed.
    """

    def __init__(self, file: Path) -> None:
        self._folder = Path(f"{file}.work")

    @contextlib.contextmanager
    def hold(self, lease: Lease) -> Iterator[None]:
        """Holds the lock of a lease until the block ends; to be entered before the lease is claimed.

        Raises:
            StoreUnavailableError: If the directory can't be written.
        """
        name = lease_name(lease.scope_id, lease.owner)
        if name is None:
            raise ValueError(f"{lease.owner!r} is not a lease owner: it must end with a colon and a UUID")
        with mapped_errors():
            lock = self._create_lock(name)
        try:
            yield
        finally:
            lock.remove()

    def is_alive(self, scope_id: str, owner: str) -> bool:
        """Returns whether the owner of a lease is running; True if that is unknown."""
        name = lease_name(scope_id, owner)
        return name is None or is_locked(self._lock(name))

    def is_contended(self, lease: Lease) -> bool:
        """Returns whether another worker waits for the scope of a lease."""
        own_name = lease_name(lease.scope_id, lease.owner)
        others = (each for each in self._names() if each.startswith(f"{lease.scope_id}.") and each != own_name)
        return any(is_locked(self._lock(each)) for each in others)

    @contextlib.contextmanager
    def folder(self, lease: Lease) -> Iterator[Path]:
        """Yields an empty directory for a scratch copy under a held lease; deletes it when the block ends.

        If the process is killed, ``remove_abandoned`` of another process deletes it.
        """
        self.remove_abandoned()
        folder = self._folder / str(lease_name(lease.scope_id, lease.owner))
        with mapped_errors():
            folder.mkdir(FOLDER_MODE)
        try:
            yield folder
        finally:
            _remove(folder)

    @contextlib.contextmanager
    def temporary(self) -> Iterator[Path]:
        """Yields an empty temporary directory; deletes it when the block ends.

        If the process is killed, ``remove_abandoned`` of another process deletes it.

        Raises:
            StoreUnavailableError: If it can't be created.
        """
        self.remove_abandoned()
        name = new_id()
        with mapped_errors():
            lock = self._create_lock(name)
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
        """Yields an empty file for the target's incomplete content; deletes it when the block ends.

        The file is in a new directory with mode 0700 beside the target, so other accounts can't replace it by a link.
        If the process is killed, ``remove_abandoned`` of another process deletes it.

        Raises:
            OSError: If it can't be created.
        """
        self.remove_abandoned()
        folder = target.absolute().with_name(f".{secrets.token_hex(8)}{_PART}")
        name = f"{new_id()}{_PART}"
        lock = self._create_lock(name)
        try:
            (self._folder / name).write_text(str(folder), encoding="utf-8", errors="surrogateescape")
            folder.mkdir(FOLDER_MODE)
            file = folder / "content"
            os.close(create_file(file))
            yield file
        finally:
            _remove_partial_file(self._folder / name)
            lock.remove()

    def remove_abandoned(self) -> None:
        """Deletes lock files, temporary directories and incomplete files of terminated processes.

        Called when a store is opened, and before anything else is created here.
        """
        for name in self._names():
            with contextlib.suppress(OSError):
                self._remove_if_abandoned(name)

    def has_copy(self, scope_id: str) -> bool:
        """Returns whether a scratch copy of the scope exists: one in use, or one that could not be deleted."""
        return any(each.is_dir() for each in self._folder.glob(f"{scope_id}.*"))

    def _remove_if_abandoned(self, name: str) -> None:
        lock = FileLock(self._lock(name))
        try:
            if lock.try_acquire():
                (_remove_partial_file if name.endswith(_PART) else _remove)(self._folder / name)
                lock.remove()
        finally:
            lock.close()

    def _create_lock(self, name: str) -> FileLock:
        """Creates and acquires the lock file of a name; creates the directory if it is missing."""
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


def _remove_partial_file(pointer: Path) -> None:
    """Deletes the directory whose path a ``.part`` file contains, then the ``.part`` file."""
    with contextlib.suppress(FileNotFoundError):
        folder = Path(pointer.read_text(encoding="utf-8", errors="surrogateescape"))
        if folder.name.startswith(".") and folder.name.endswith(_PART):
            if folder.is_file() or folder.is_symlink():  # earlier releases created a file
                folder.unlink()
            _remove(folder)
        pointer.unlink()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _log.warning("can't delete the temporary directory %s; delete it by hand", folder)


def user_folder() -> Path:
    """Returns this account's private directory inside the system's temporary directory; creates it if missing.

    Raises:
        StoreUnavailableError: If it belongs to another account, or other accounts have access.
    """
    folder = Path(tempfile.gettempdir()) / f"memoryos-{os.getuid() if hasattr(os, 'getuid') else 'copies'}"
    with mapped_errors():
        folder.mkdir(FOLDER_MODE, exist_ok=True)
        found = folder.lstat()
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o77 or folder.is_symlink()):
        raise StoreUnavailableError(
            f"{folder} is not private to this user; delete it, or set TMPDIR to another directory"
        )
    return folder


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yields an empty directory inside the system's temporary directory; deletes it when the block ends.

    If the process is killed, the next call by any process deletes it.

    Raises:
        StoreUnavailableError: If it can't be created.
    """
    with ScratchDir(user_folder() / "temporary").temporary() as folder:
        yield folder
