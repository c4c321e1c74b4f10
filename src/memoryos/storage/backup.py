"""Backups: a copy of the database from one moment, made while others go on reading and writing."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from memoryos.errors import ConfigError, InputError
from memoryos.private_files import publish, refuse_existing

if TYPE_CHECKING:
    from memoryos.storage.database import Database
    from memoryos.storage.scratch_dir import ScratchDir

__all__ = ["back_up"]

_COMPANIONS = ("-wal", "-shm", "-journal")
"""Files that SQLite would read together with a database of that name."""
_OUTSIDE_A_TRANSACTION = "SELECT 1"


_CLEAR_ERASURES = "DELETE FROM erasures WHERE erasure_id NOT IN (SELECT forgetting_id FROM forgettings)"
"""A copy holds no deleted byte, so nothing that was deleted is due in it."""


def back_up(database: Database, target: Path, scratch_dir: ScratchDir) -> None:
    """Copies the database to a new file that only its owner may read; deleted content is not in it.

    The copy is written beside and gets its name when it is whole and on disk.

    Args:
        database: The database.
        target: The new file.
        scratch_dir: Remembers the half-written copy, so that it is removed though this process may die.

    Raises:
        ConfigError: If the database is no file: its server has tools for that.
        InputError: If the file exists, or can't be written.
        StoreError: If the database can't be read, or the disk is full.
    """
    if database.dialect != "sqlite":
        raise ConfigError("a database behind a server is copied by its own tools, as pg_dump; see howto/postgresql.md")
    _refuse_existing(target)
    try:
        with scratch_dir.partial_file(target) as beside:
            _copy(database, beside)
            publish(beside, target)
    except FileExistsError as error:
        raise InputError("path", f"{target} exists; it was left as it is") from error
    except OSError as error:
        raise InputError("path", f"{target} can't be written: {error.strerror}") from error


def _refuse_existing(target: Path) -> None:
    for each in (target, *(Path(f"{target}{suffix}") for suffix in _COMPANIONS)):
        try:
            refuse_existing(each)
        except FileExistsError as error:
            raise InputError("path", f"{each} exists; it was left as it is") from error


def _copy(database: Database, beside: Path) -> None:
    """Writes all that one moment's readers see into an empty file; VACUUM makes a transaction of its own."""
    with database.read() as connection:
        connection.execution_options(memoryos_begin=_OUTSIDE_A_TRANSACTION)
        connection.exec_driver_sql("VACUUM INTO ?", (str(beside),))
    with contextlib.closing(sqlite3.connect(beside)) as copy, copy:
        copy.execute(_CLEAR_ERASURES)
