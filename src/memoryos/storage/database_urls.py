"""Parses the URL or path of a database and opens the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import exc

from memoryos.errors import ConfigError
from memoryos.storage.sqlite import SQLiteDatabase

if TYPE_CHECKING:
    from memoryos.storage.database import Database

__all__ = ["is_server_url", "open_database", "parse_database_url", "sqlite_file_of"]

_SERVERS = ("postgres", "postgresql", "postgresql+psycopg")


def parse_database_url(place: str | Path) -> sa.URL:
    """Converts the ``place`` argument of ``Store`` (a URL or a path) to an SQLAlchemy URL.

    Raises:
        ConfigError: If ``place`` is neither an SQLite file nor a PostgreSQL database. The message does not contain
            the URL, because the URL may contain a password.
    """
    try:
        url = sa.URL.create("sqlite", database=str(place)) if isinstance(place, Path) else sa.engine.make_url(place)
    except exc.ArgumentError as error:
        raise ConfigError(
            "database_url is not an SQLAlchemy URL; use one such as sqlite:////path/to/memoryos.db"
        ) from error
    if url.drivername in _SERVERS:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        raise ConfigError(
            "database_url must be an SQLite file, such as sqlite:////path/to/memoryos.db, or a PostgreSQL database, "
            "such as postgresql://user:password@host/database"
        )
    return url


def is_server_url(place: str | Path) -> bool:
    """Returns whether the ``place`` argument of ``Store`` denotes a database on a server.

    Raises:
        ConfigError: As for ``parse_database_url``.
    """
    return parse_database_url(place).get_backend_name() != "sqlite"


def sqlite_file_of(place: str | Path) -> Path:
    """Returns the path of the SQLite file that the ``place`` argument of ``Store`` denotes.

    Raises:
        ConfigError: As for ``parse_database_url``, or if the database is on a server.
    """
    url = parse_database_url(place)
    if url.get_backend_name() != "sqlite":
        raise ConfigError("database_url refers to a database on a server, but this command requires an SQLite file")
    return Path(str(url.database))


def open_database(place: str | Path) -> Database:
    """Opens a database. Creates its tables if it is new, and migrates an older schema.

    Raises:
        ConfigError: If this kind of URL is not supported, or the database driver is not installed.
        StoreError: If the database can't be opened. The database is not changed.
    """
    url = parse_database_url(place)
    if url.get_backend_name() == "sqlite":
        return SQLiteDatabase(url)
    try:
        from memoryos.storage.postgresql import PostgreSQLDatabase  # noqa: PLC0415  (needs the extra "postgresql")
    except ImportError as error:
        raise ConfigError(
            'the PostgreSQL driver is not installed; install it: pip install "memoryos-engine[postgresql]"'
        ) from error
    return PostgreSQLDatabase(url)
