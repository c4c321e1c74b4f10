"""Finds files of a store on which other accounts of the machine have permissions, and removes the permissions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from memoryos.private_files import is_open_to_others, restrict_to_owner

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["accessible_paths", "restrict_all"]

_SUFFIXES = ("", "-wal", "-shm", "-journal", ".lock", ".work")


def accessible_paths(file: Path) -> list[Path]:
    """Returns the store's files and folders on which other accounts of the machine have permissions.

    If there is no database, the list is empty. The folder of the database can be in the list only if it contains
    nothing but the store.

    Args:
        file: The database file.
    """
    return [path for path in _store_paths(file) if is_open_to_others(path)] if file.exists() else []


def restrict_all(paths: list[Path]) -> list[str]:
    """Removes all permissions of other accounts on files and folders.

    Returns:
        One error message for each path that can't be changed.
    """
    failures = []
    for path in paths:
        try:
            restrict_to_owner(path)
        except OSError as error:
            failures.append(f"{path}: {error.strerror}")
    return failures


def _store_paths(file: Path) -> Iterator[Path]:
    """Yields every existing file and folder that belongs to a store."""
    if file.parent.is_dir() and all(path.name.startswith(file.name) for path in file.parent.iterdir()):
        yield file.parent
    for suffix in _SUFFIXES:
        path = Path(f"{file}{suffix}")
        if path.exists():
            yield path
    for folder, folders, files in os.walk(f"{file}.work"):
        yield from (Path(folder) / name for name in (*folders, *files))
