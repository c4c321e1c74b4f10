"""The scratch directory next to the database file: lock files of leases and temporary files."""

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
    """The directory ``FILE.work`` next to the database ``FILE``. It contains lock files and temporary files.

    A lease is the right of one worker to update a scope for a limited time. A worker locks a lock file for the lease
    before it acquires the lease. The operating system releases the lock when the process ends for any reason. So an
    unlocked file shows that the lease holder has terminated. Process ids and host names would not show this: both can
    be reused after a container restarts, and zombie processes keep their process id.

    Directories have mode 0700, and files have mode 0600. The directory contains:

    * ``SCOPE.LEASE.lock``: the lock file of a lease.
    * ``SCOPE.LEASE``: a temporary copy of the scope, made by the holder of this lease.
    * ``ID``: another temporary directory.
    * ``ID.part``: a text file that contains the path of another directory. That directory contains an incomplete
      file, such as an incomplete backup.
    * ``ID.lock`` or ``ID.part.lock``: the lock file of the process that uses ``ID`` or ``ID.part``.

    Args:
        file: Path of the database. The directory is created when it is first needed.
    """

    def __init__(self, file: Path) -> None:
        self._folder = Path(f"{file}.work")

    @contextlib.contextmanager
    def hold(self, lease: Lease) -> Iterator[None]:
        """Holds the lock file of a lease until the block ends.

        A worker enters the block before it acquires the lease.

        Raises:
            StoreUnavailableError: If the directory can't be written.
        """
        name = lease_name(lease.scope_id, lease.owner)
        if name is None:
            raise ValueError(f"invalid lease owner {lease.owner!r}; it must end with a colon and a UUID")
        with mapped_errors():
            lock = self._create_lock(name)
        try:
            yield
        finally:
            lock.remove()

    def is_alive(self, scope_id: str, owner: str) -> bool:
        """Returns whether the process that owns a lease is running; True if this is unknown."""
        name = lease_name(scope_id, owner)
        return name is None or is_locked(self._lock(name))

    def is_contended(self, lease: Lease) -> bool:
        """Returns whether another worker is waiting for a lease on the same scope."""
        own_name = lease_name(lease.scope_id, lease.owner)
        others = (each for each in self._names() if each.startswith(f"{lease.scope_id}.") and each != own_name)
        return any(is_locked(self._lock(each)) for each in others)

    @contextlib.contextmanager
    def folder(self, lease: Lease) -> Iterator[Path]:
        """Creates an empty directory for a temporary copy of a scope; deletes it when the block ends.

        If the process is killed, another process deletes the directory with ``remove_abandoned``.

        Args:
            lease: The lease that this process holds on the scope.
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
        """Creates an empty temporary directory and yields its path; deletes it when the block ends.

        If the process is killed, another process deletes the directory with ``remove_abandoned``.

        Raises:
            StoreUnavailableError: If the directory can't be created.
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
        """Creates an empty temporary file and yields its path; deletes the file when the block ends.

        A caller writes the content of ``target`` to this file first, so that ``target`` is never incomplete. The file
        is in a new directory with mode 0700 next to ``target``. So other accounts can't replace the file by a link. If
        the process is killed, another process deletes the file with ``remove_abandoned``.

        Raises:
            OSError: If the file can't be created.
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

        This method is called when a store is opened, and before anything is created in the scratch directory.
        """
        for name in self._names():
            with contextlib.suppress(OSError):
                self._remove_if_abandoned(name)

    def has_copy(self, scope_id: str) -> bool:
        """Returns whether a temporary copy of the scope exists, either in use or not yet deleted."""
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
        """Creates the lock file for a name and locks it. Creates the scratch directory if it is missing."""
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
    """Deletes the directory whose path the ``.part`` file ``pointer`` contains, and then the ``.part`` file."""
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
        _log.warning("can't delete the temporary directory %s; delete it manually", folder)


def user_folder() -> Path:
    """Returns the private directory of this account in the system's temporary directory; creates it if missing.

    Raises:
        StoreUnavailableError: If the directory belongs to another account, or other accounts can access it.
    """
    folder = Path(tempfile.gettempdir()) / f"memoryos-{os.getuid() if hasattr(os, 'getuid') else 'copies'}"
    with mapped_errors():
        folder.mkdir(FOLDER_MODE, exist_ok=True)
        found = folder.lstat()
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o77 or folder.is_symlink()):
        raise StoreUnavailableError(
            f"the directory {str(folder)!r} belongs to another account or is accessible to others; "
            "delete it, or set TMPDIR to another directory"
        )
    return folder


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Creates an empty directory in the system's temporary directory; deletes it when the block ends.

    If the process is killed, the next call by any process deletes the directory.

    Raises:
        StoreUnavailableError: If the directory can't be created.
    """
    with ScratchDir(user_folder() / "temporary").temporary() as folder:
        yield folder
