"""Places: which file a store is, given as an SQLAlchemy URL or as a path."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from memoryos.errors import ConfigError

__all__ = ["file_of", "url_of"]


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
