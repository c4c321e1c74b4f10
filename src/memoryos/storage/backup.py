"""Backup: copies the database to a file while other processes read and write it."""

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
"""Suffixes of the files that SQLite would read together with the backup if they existed."""
_NO_TRANSACTION = "SELECT 1"

_CLEAR_ERASURES = "DELETE FROM erasures WHERE erasure_id NOT IN (SELECT forgetting_id FROM forgettings)"
"""SQL that deletes rows of table ``erasures`` from the backup.

A row of this table says that deleted bytes must still be erased. The backup contains no deleted bytes. Only the rows
of deletions in progress stay, because these deletions continue when the backup is opened as a store.
"""


def back_up(database: Database, target: Path, scratch_dir: ScratchDir) -> None:
    """Copies the database to a new file with mode 0600, without the bytes of deleted rows.

    The data is written to a temporary file first. This file is renamed when it is complete and on disk.

    Args:
        database: The database.
        target: Path of the new file.
        scratch_dir: Records the path of the temporary file. If this process is killed, another process deletes the
            file.

    Raises:
        ConfigError: If the database is on a server.
        InputError: If the file already exists or can't be written.
        StoreError: If the database can't be read, or the disk is full.
    """
    if database.dialect != "sqlite":
        raise ConfigError(
            "only an SQLite database can be backed up to a file; back up a PostgreSQL database with pg_dump "
            "(see howto/postgresql.md)"
        )
    _refuse_existing(target)
    try:
        with scratch_dir.partial_file(target) as temporary:
            _copy(database, temporary)
            publish(temporary, target)
    except FileExistsError as error:
        raise InputError("path", f"{target} already exists and was not changed; choose another path") from error
    except OSError as error:
        raise InputError("path", f"{target} can't be written: {error.strerror}") from error


def _refuse_existing(target: Path) -> None:
    for each in (target, *(Path(f"{target}{suffix}") for suffix in _COMPANIONS)):
        try:
            refuse_existing(each)
        except FileExistsError as error:
            raise InputError("path", f"{each} already exists and was not changed; choose another path") from error


def _copy(database: Database, target: Path) -> None:
    """Writes a snapshot of the database to an empty file with ``VACUUM INTO``.

    VACUUM can't run inside a transaction, so the connection opens none.
    """
    with database.read() as connection:
        connection.execution_options(memoryos_begin=_NO_TRANSACTION)
        connection.exec_driver_sql("VACUUM INTO ?", (str(target),))
    with contextlib.closing(sqlite3.connect(target)) as copy, copy:
        copy.execute(_CLEAR_ERASURES)
