"""Creates files and directories that only their owner may read, independent of the umask, without following links.

On Windows file modes have no effect; the access control list of the parent directory applies.
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
    """Creates a directory and its missing parents with mode 0700; existing directories are not changed.

    Raises:
        OSError: If one can't be created, or the path is not a directory.
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
    """Creates a file with mode 0600 and returns its descriptor, opened for writing.

    Raises:
        FileExistsError: If the path exists, even as a link.
        OSError: If it can't be created.
    """
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, FILE_MODE)


def create_missing_file(file: Path) -> None:
    """Creates an empty file with mode 0600 if the path does not exist.

    Raises:
        OSError: If it can't be created, or the path is a symbolic link to a missing file.
    """
    if not os.path.lexists(file):
        try:
            os.close(create_file(file))
        except FileExistsError:  # another process created it
            return
    elif not file.exists():
        raise OSError(errno.ENOENT, f"{file} is a symbolic link to a missing file; remove the link")


def open_lock_file(file: Path) -> int:
    """Opens a file for reading and writing and returns its descriptor; creates it with mode 0600 if it is missing.

    Raises:
        OSError: If it can't be opened, or is a symbolic link.
    """
    return os.open(file, os.O_RDWR | os.O_CREAT | _FLAGS, FILE_MODE)


def refuse_existing(target: Path) -> None:
    """Checks that a path does not exist.

    Raises:
        FileExistsError: If it exists as a file, directory or link.
    """
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))


def publish(source: Path, target: Path) -> None:
    """Renames a complete file durably and never replaces an existing file.

    Args:
        source: The file, on the same filesystem.
        target: Its new path.

    Raises:
        FileExistsError: If the target exists; it is not changed.
        OSError: If it can't be renamed.
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
    """Returns whether other accounts have any access to a file or directory; False for links and on Windows."""
    if os.name != "posix":
        return False
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return not stat.S_ISLNK(mode) and bool(mode & _OTHERS)


def restrict_to_owner(path: Path) -> None:
    """Removes all access of other accounts to a file or directory.

    Raises:
        OSError: If that is not allowed, or the path is a symbolic link.
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
