"""Creates files and directories that only their owner can read, whatever the umask is. Links are not followed.

On Windows, file modes have no effect, and the access control list of the parent directory applies.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "create_file",
    "create_missing_file",
    "is_open_to_others",
    "make_folder",
    "open_lock_file",
    "publish",
    "refuse_existing",
    "restrict_to_owner",
]

FILE_MODE = 0o600
FOLDER_MODE = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = _NO_FOLLOW | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def make_folder(folder: Path) -> None:
    """Creates a directory and its missing parents with mode 0700. Existing directories are not changed.

    Raises:
        OSError: If a directory can't be created, or the path exists and is not a directory.
    """
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    try:
        folder.mkdir(FOLDER_MODE)
    except FileExistsError:
        if not folder.is_dir():
            raise


def create_file(file: Path) -> int:
    """Creates a file with mode 0600, opens it for writing and returns its descriptor.

    Raises:
        FileExistsError: If the path exists, even as a link.
        OSError: If the file can't be created.
    """
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, FILE_MODE)


def create_missing_file(file: Path) -> None:
    """Creates an empty file with mode 0600 if the path does not exist.

    Raises:
        OSError: If the file can't be created, or the path is a symbolic link to a missing file.
    """
    if not os.path.lexists(file):
        try:
            os.close(create_file(file))
        except FileExistsError:  # another process created it
            return
    elif not file.exists():
        raise OSError(errno.ENOENT, f"{file} is a symbolic link to a missing file; remove the link")


def open_lock_file(file: Path) -> int:
    """Opens a file for reading and writing, and returns its descriptor. Creates a missing file with mode 0600.

    Raises:
        OSError: If the file can't be opened, or the path is a symbolic link.
    """
    return os.open(file, os.O_RDWR | os.O_CREAT | _FLAGS, FILE_MODE)


def refuse_existing(target: Path) -> None:
    """Checks that a path does not exist.

    Raises:
        FileExistsError: If the path exists as a file, directory or link.
    """
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))


def publish(source: Path, target: Path) -> None:
    """Renames a file, and waits until the file and its new name are on disk. Never replaces an existing file.

    Args:
        source: The complete file.
        target: The new path, on the same filesystem.

    Raises:
        FileExistsError: If ``target`` exists; it was not changed.
        OSError: If the file can't be renamed.
    """
    _sync(source)
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # the filesystem does not support hard links
        refuse_existing(target)
        source.rename(target)
    if os.name == "posix":
        _sync(target.parent)


def is_open_to_others(path: Path) -> bool:
    """Returns whether other accounts may access a file or directory. Always False for links and on Windows."""
    if os.name != "posix":
        return False
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return not stat.S_ISLNK(mode) and bool(mode & _OTHERS)


def restrict_to_owner(path: Path) -> None:
    """Changes the mode of a file or directory so that other accounts have no access.

    Raises:
        OSError: If this process may not change the mode, or the path is a symbolic link.
    """
    descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    try:
        os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) & ~_OTHERS)
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
