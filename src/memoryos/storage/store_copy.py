"""Copies scopes and API keys from one store to another and verifies the copies.

The two stores may be of different database kinds (SQLite, PostgreSQL).
"""

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

_BATCH_ROWS = 500
_TABLES = [table for table in metadata.sorted_tables if "scope_id" in table.columns]
_LEASE_COLUMNS = {"lease_owner": None, "lease_until": None}
"""Columns that contain the lease of a scope, and the values that replace the lease in a copy."""
_COUNTER_COLUMNS = {"counted_pages": 0, "counted_bytes": 0, "counted_at_revision": None}
"""Columns that contain cached counters, and the values that replace the counters in a comparison.

Two stores with the same content may have different counters.
"""


@dataclass(frozen=True, slots=True)
class CopiedScope:
    """Result of copying a scope.

    Attributes:
        pages: Number of pages in the scope.
        rows: Number of rows of all tables in the scope.
        digest: SHA-256 over all rows, hexadecimal. The digests of both stores are equal.
        already_existed: Whether the target already had an equal scope, so that nothing was copied.
    """

    pages: int
    rows: int
    digest: str
    already_existed: bool


def copy_scope(source: Database, target: Database, scope_id: str) -> CopiedScope:
    """Copies a scope to another database in one transaction, then compares the SHA-256 of both copies.

    A scope that the target already has with equal content is skipped. So an interrupted copy of a store can be resumed.

    Raises:
        StoreConflictError: If the target has a different scope with the same id or the same owner. That scope is not
            changed.
        StoreError: If the two copies differ.
    """
    with source.read(scope_id) as reading:
        expected = _summarize(reading, scope_id)
        with target.read(scope_id) as target_reader:
            existing = _summarize(target_reader, scope_id)
        if existing.rows:
            if existing.digest != expected.digest:
                raise StoreConflictError(
                    f"scope {scope_id} exists in the target store with different content and was not changed; "
                    "delete that scope in the target, or choose an empty target"
                )
            return CopiedScope(existing.pages, existing.rows, existing.digest, already_existed=True)
        with target.write(scope_id) as writing:
            for table in _TABLES:
                for rows in _read_batches(reading, table, scope_id):
                    writing.execute(sa.insert(table), rows)
    with target.read(scope_id) as target_reader:
        written = _summarize(target_reader, scope_id)
    if written.digest != expected.digest:
        raise StoreError(
            f"the copy of scope {scope_id} differs from the original; check both stores with `memoryos verify`"
        )
    return CopiedScope(written.pages, written.rows, written.digest, already_existed=False)


def copy_keys(source: Database, target: Database) -> int:
    """Copies the API keys that are missing in the target, and returns their number.

    The copied keys remain valid in the target.

    Raises:
        StoreConflictError: If the target has a different key with the same id; no key is copied.
    """
    with source.read() as reading:
        source_keys = {row["key_id"]: dict(row) for row in reading.execute(sa.select(api_keys)).mappings()}
    with target.write() as writing:
        target_keys = {row["key_id"]: dict(row) for row in writing.execute(sa.select(api_keys)).mappings()}
        if any(target_keys[key_id] != source_keys[key_id] for key_id in source_keys.keys() & target_keys.keys()):
            raise StoreConflictError(
                "the target store has a different API key with the same id, so no key was copied; "
                "choose an empty target"
            )
        missing = [source_keys[key_id] for key_id in sorted(source_keys.keys() - target_keys.keys())]
        if missing:
            writing.execute(sa.insert(api_keys), missing)
    return len(missing)


def _summarize(connection: sa.Connection, scope_id: str) -> CopiedScope:
    """Counts the rows of a scope and computes their SHA-256."""
    digest = hashlib.sha256()
    counts: dict[str, int] = {}
    for table in _TABLES:
        for rows in _read_batches(connection, table, scope_id):
            counts[table.name] = counts.get(table.name, 0) + len(rows)
            for row in rows:
                compared = row | _COUNTER_COLUMNS if table is scopes else row
                digest.update(json.dumps([table.name, compared], sort_keys=True, default=_to_text).encode())
    return CopiedScope(counts.get(pages.name, 0), sum(counts.values()), digest.hexdigest(), already_existed=True)


def _read_batches(connection: sa.Connection, table: sa.Table, scope_id: str) -> Iterator[list[dict[str, Any]]]:
    statement = sa.select(table).where(table.c.scope_id == scope_id).order_by(*table.primary_key.columns)
    for part in connection.execute(statement).mappings().partitions(_BATCH_ROWS):
        yield [dict(row) | (_LEASE_COLUMNS if table is scopes else {}) for row in part]


def _to_text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
