"""Moving house: each scope of a store copied into another of any kind, whole or not at all, and compared."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import StoreConflictError, StoreError
from memoryos.storage.schema import api_keys, metadata, pages, scopes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memoryos.storage.database import Database

__all__ = ["CopiedScope", "copy_keys", "copy_scope"]

_SLICE_ROWS = 500
_TABLES = [table for table in metadata.sorted_tables if "scope_id" in table.columns]
_OF_PROCESSES = {"lease_owner": None, "lease_until": None}
"""What belongs to a process and not to the scope."""
_COUNTED = {"counted_pages": 0, "counted_bytes": 0, "counted_at_revision": None}
"""What a store counts again when it needs it, so that it may differ between two stores of the same content."""


@dataclass(frozen=True, slots=True)
class CopiedScope:
    """What became of a scope.

    Attributes:
        pages: Its pages.
        rows: All its rows.
        digest: SHA-256 of them, hexadecimal; the same in both stores.
        already_existed: Whether it had been copied before.
    """

    pages: int
    rows: int
    digest: str
    already_existed: bool


def copy_scope(source: Database, target: Database, scope_id: str) -> CopiedScope:
    """Copies a scope in one transaction, and reads both sides again to compare them.

    A scope that is in the target already, and the same, is left as it is; so a copy that was interrupted goes on.

    Raises:
        StoreConflictError: If the target has another scope of that id or that owner, or the same with other content;
            it is left as it is.
        StoreError: If what was written is not what was read.
    """
    with source.read(scope_id) as reading:
        wanted = _read(reading, scope_id)
        with target.read(scope_id) as looking:
            there = _read(looking, scope_id)
        if there.rows:
            if there.digest != wanted.digest:
                raise StoreConflictError(f"scope {scope_id} is in the target with other content; nothing was changed")
            return CopiedScope(there.pages, there.rows, there.digest, already_existed=True)
        with target.write(scope_id) as writing:
            for table in _TABLES:
                for rows in _slices(reading, table, scope_id):
                    writing.execute(sa.insert(table), rows)
    with target.read(scope_id) as looking:
        written = _read(looking, scope_id)
    if written.digest != wanted.digest:
        raise StoreError(f"scope {scope_id} was not written as it was read")
    return CopiedScope(written.pages, written.rows, written.digest, already_existed=False)


def copy_keys(source: Database, target: Database) -> int:
    """Copies the API keys that the target has not; returns how many. Their secrets stay what they were.

    Raises:
        StoreConflictError: If the target has a key of the same id with other content.
    """
    with source.read() as reading:
        wanted = {row["key_id"]: dict(row) for row in reading.execute(sa.select(api_keys)).mappings()}
    with target.write() as writing:
        there = {row["key_id"]: dict(row) for row in writing.execute(sa.select(api_keys)).mappings()}
        if any(there[key_id] != wanted[key_id] for key_id in wanted.keys() & there.keys()):
            raise StoreConflictError("an API key is in the target with other content; no key was copied")
        missing = [wanted[key_id] for key_id in sorted(wanted.keys() - there.keys())]
        if missing:
            writing.execute(sa.insert(api_keys), missing)
    return len(missing)


def _read(connection: sa.Connection, scope_id: str) -> CopiedScope:
    """Returns what a scope holds, by its digest."""
    digest = hashlib.sha256()
    counts: dict[str, int] = {}
    for table in _TABLES:
        for rows in _slices(connection, table, scope_id):
            counts[table.name] = counts.get(table.name, 0) + len(rows)
            for row in rows:
                counted = row | _COUNTED if table is scopes else row
                digest.update(json.dumps([table.name, counted], sort_keys=True, default=_told).encode())
    return CopiedScope(counts.get(pages.name, 0), sum(counts.values()), digest.hexdigest(), already_existed=True)


def _slices(connection: sa.Connection, table: sa.Table, scope_id: str) -> Iterator[list[dict[str, Any]]]:
    statement = sa.select(table).where(table.c.scope_id == scope_id).order_by(*table.primary_key.columns)
    for part in connection.execute(statement).mappings().partitions(_SLICE_ROWS):
        yield [dict(row) | (_OF_PROCESSES if table is scopes else {}) for row in part]


def _told(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
