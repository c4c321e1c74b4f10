"""Checks that no other account can read the files of a store, and takes that right away on request."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from memoryos.private_files import is_open_to_others, restrict_to_owner

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["narrow_all", "wide_paths"]

_SUFFIXES = ("", "-wal", "-shm", "-journal", ".lock", ".work")


def wide_paths(file: Path) -> list[Path]:
    """Returns the files and folders of a store that other accounts have a right to; none if there is no database.

    The folder of the database is among them only if it holds nothing but the store.

    Args:
        file: The database.
    """
    return [path for path in _of_store(file) if is_open_to_others(path)] if file.exists() else []


def narrow_all(paths: list[Path]) -> list[str]:
    """Takes every right of other accounts away; returns why that failed, one line for each path that it failed for."""
    failures = []
    for path in paths:
        try:
            restrict_to_owner(path)
        except OSError as error:
            failures.append(f"{path}: {error.strerror}")
    return failures


def _of_store(file: Path) -> Iterator[Path]:
    if file.parent.is_dir() and all(path.name.startswith(file.name) for path in file.parent.iterdir()):
        yield file.parent
    for suffix in _SUFFIXES:
        path = Path(f"{file}{suffix}")
        if path.exists():
            yield path
    for folder, folders, files in os.walk(f"{file}.work"):
        yield from (Path(folder) / name for name in (*folders, *files))
