"""Stores of release 659c0c2, from ``data/store_659.sql``. ``data/make_store_659.py`` created this file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command

from memoryos.storage.migrations import _config
from tests.postgres import Server

__all__ = ["ANN", "EXPORT", "REVISION", "TOM", "create_old_store", "in_transaction", "migrate", "old_rows", "rows_of"]

REVISION = "0006"
"""The schema of release 659c0c2."""
EXPORT = Path(__file__).parent / "data" / "store_659.jsonl"
"""The export of the same store by the same release, in format 1."""
_SQL = (Path(__file__).parent / "data" / "store_659.sql").read_text(encoding="utf-8")
_JSON = frozenset({"body", "keywords", "metadata", "origin", "source_page_ids"})
TOM, ANN = (f"01900000-0000-7000-8000-0000000000{number}" for number in ("01", "3c"))
"""The ids of the two scopes: of the users "tom" and "ann" with the assistant "helper"."""


def create_old_store(url: str, server: Server | None, revision: str = REVISION) -> None:
    """Creates the store in an empty database, and migrates it to a schema.

    Args:
        url: URL of the database.
        server: The server of the database; None for SQLite.
        revision: The schema.
    """
    if server is None:
        file = Path(url.removeprefix("sqlite:///"))
        file.parent.mkdir(parents=True)
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(_SQL)
    else:
        migrate(url, REVISION)
        lines = [each for each in _SQL.splitlines() if each.startswith("INSERT") and "alembic_version" not in each]
        server.execute("\n".join(lines), str(sa.make_url(url).database))
    if revision != REVISION:
        migrate(url, revision)


def migrate(url: str, revision: str) -> None:
    """Migrates a database to a schema that is not necessarily the newest one."""
    with in_transaction(url) as connection:
        command.upgrade(_config(connection), revision)


@contextmanager
def in_transaction(url: str) -> Iterator[sa.Connection]:
    """Opens a transaction that can read and write all rows, without the checks of ``Store``."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT set_config('memoryos.scope_id', '*', true)"))
            yield connection
    finally:
        engine.dispose()


def rows_of(connection: sa.Connection, table: str) -> list[dict[str, Any]]:
    """Returns the rows of a table, sorted by their text."""
    rows = connection.execute(sa.text(f"SELECT * FROM {table}")).mappings()  # noqa: S608
    return sorted((dict(row) for row in rows), key=str)


def old_rows(table: str, scope_id: str | None = None) -> list[dict[str, Any]]:
    """Returns the rows of a table in the old store, with JSON as values; optionally of one scope."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_SQL)
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")]  # noqa: S608
    return [
        row | {name: json.loads(row[name]) for name in row if name in _JSON}
        for row in rows
        if scope_id in {None, row.get("scope_id")}
    ]
