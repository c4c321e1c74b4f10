"""Places: which database a store is, given as an SQLAlchemy URL or as a path. Here alone the kinds are told apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import exc

from memoryos.errors import ConfigError

if TYPE_CHECKING:
    from memoryos.storage.database import Database

__all__ = ["file_of", "open_database", "url_of"]


def url_of(place: str | Path) -> sa.URL:
    """Returns the URL of an SQLite database, given as for ``Store``.

    Raises:
        ConfigError: If it is no SQLAlchemy URL, or none of an SQLite file. It doesn't repeat what may hold a password.
    """
    try:
        url = sa.URL.create("sqlite", database=str(place)) if isinstance(place, Path) else sa.engine.make_url(place)
    except exc.ArgumentError as error:
        raise ConfigError("database_url is no SQLAlchemy URL") from error
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        raise ConfigError("database_url must name an SQLite file, as sqlite:////path/to/memoryos.db")
    return url


def file_of(place: str | Path) -> Path:
    """Returns the file of an SQLite database, given as for ``Store``.

    Raises:
        ConfigError: As ``url_of``.
    """
    return Path(str(url_of(place).database))


def open_database(place: str | Path) -> Database:
    """Opens the database of a place, makes its schema if it is new and brings it up if it is older.

    Raises:
        ConfigError: If the URL is of a kind that is not supported.
        StoreError: If it can't be opened; it is left as it is.
    """
    from memoryos.storage.sqlite import SQLiteDatabase  # noqa: PLC0415  (a kind is loaded when it is opened)

    return SQLiteDatabase(url_of(place))
