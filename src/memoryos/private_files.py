"""Files and folders that only their owner may read, whatever the umask; links at their names are never followed.

On Windows modes have no effect: there the access list of the folder above applies.
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
    """Makes a folder and those above it that are missing, each with mode 0700; existing folders stay as they are.

    Raises:
        OSError: If one can't be made, or the path is no folder.
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
    """Makes a new file with mode 0600 and returns its descriptor, opened for writing.

    Raises:
        FileExistsError: If anything has that name, a link included.
        OSError: If it can't be made.
    """
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, FILE_MODE)


def create_missing_file(file: Path) -> None:
    """Makes an empty file with mode 0600, unless it exists.

    Raises:
        OSError: If it can't be made, or its name is a symbolic link to a file that does not exist.
    """
    if not os.path.lexists(file):
        try:
            os.close(create_file(file))
        except FileExistsError:  # another process was faster
            return
    elif not file.exists():
        raise OSError(errno.ENOENT, f"{file} is a symbolic link to a missing file; remove the link")


def open_lock_file(file: Path) -> int:
    """Opens a file for reading and writing, made with mode 0600 when it is missing; returns its descriptor.

    Raises:
        OSError: If it can't be opened, or is a symbolic link.
    """
    return os.open(file, os.O_RDWR | os.O_CREAT | _FLAGS, FILE_MODE)


def refuse_existing(target: Path) -> None:
    """Raises an error if anything has that name.

    Raises:
        FileExistsError: If a file, folder or link has it.
    """
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))


def publish(beside: Path, target: Path) -> None:
    """Gives a complete file its name, durably and without replacing anything.

    Args:
        beside: The file, on the same filesystem.
        target: Its new name.

    Raises:
        FileExistsError: If anything has that name; it is left as it is.
        OSError: If it can't be renamed.
    """
    _sync(beside)
    try:
        os.link(beside, target)
    except FileExistsError:
        raise
    except OSError:  # a filesystem without links
        refuse_existing(target)
        beside.rename(target)
    if os.name == "posix":
        _sync(target.parent)


def is_open_to_others(path: Path) -> bool:
    """Returns whether other accounts have any right to a file or folder; False for links and on Windows."""
    if os.name != "posix":
        return False
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return not stat.S_ISLNK(mode) and bool(mode & _OTHERS)


def restrict_to_owner(path: Path) -> None:
    """Takes every right of other accounts to a file or folder away.

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
