"""Places: which database a store is, given as an SQLAlchemy URL or as a path. Here alone the kinds are told apart."""

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
    """Returns the URL of a database, given as for ``Store``.

    Raises:
        ConfigError: If it is no SQLAlchemy URL, or none of an SQLite file or a PostgreSQL database. It doesn't repeat
            what may hold a password.
    """
    try:
        url = sa.URL.create("sqlite", database=str(place)) if isinstance(place, Path) else sa.engine.make_url(place)
    except exc.ArgumentError as error:
        raise ConfigError("database_url is no SQLAlchemy URL") from error
    if url.drivername in _SERVERS:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        raise ConfigError(
            "database_url must name an SQLite file, as sqlite:////path/to/memoryos.db, or a PostgreSQL database, as "
            "postgresql://user:password@host/database"
        )
    return url


def is_server_url(place: str | Path) -> bool:
    """Returns whether a place is a database behind a server, and no file.

    Raises:
        ConfigError: As ``parse_database_url``.
    """
    return parse_database_url(place).get_backend_name() != "sqlite"


def sqlite_file_of(place: str | Path) -> Path:
    """Returns the file of an SQLite database, given as for ``Store``.

    Raises:
        ConfigError: As ``parse_database_url``, or if it is no file.
    """
    url = parse_database_url(place)
    if url.get_backend_name() != "sqlite":
        raise ConfigError("database_url names a database behind a server; this needs the file of an SQLite database")
    return Path(str(url.database))


def open_database(place: str | Path) -> Database:
    """Opens the database of a place, makes its schema if it is new and brings it up if it is older.

    Raises:
        ConfigError: If the URL is of a kind that is not supported, or its driver is not installed.
        StoreError: If it can't be opened; it is left as it is.
    """
    url = parse_database_url(place)
    if url.get_backend_name() == "sqlite":
        return SQLiteDatabase(url)
    try:
        from memoryos.storage.postgresql import PostgreSQLDatabase  # noqa: PLC0415  (its driver is an extra)
    except ImportError as error:
        raise ConfigError('database_url needs a driver: pip install "memoryos-engine[postgresql]"') from error
    return PostgreSQLDatabase(url)
