"""Copies data for a rebuild, which derives all data of a scope from its pages again.

The pages are copied to a temporary store, and the newly derived data is copied back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.storage.lease import Lease, advance
from memoryos.storage.schema import (
    chains,
    knowledge,
    pages,
    profiles,
    scopes,
    segments,
    tombstone_keys,
    tombstones,
    vectors,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = ["copy_log", "replace_tiers"]

_SLICE_ROWS = 500
_DERIVED = ("chain_id", "segment_id", "learned", "placed_provisionally", "learned_provisionally")
_OF_KNOWLEDGE = vectors.c.owner_kind == "knowledge"


def copy_log(source: Database, target: Database, scope_id: str) -> None:
    """Copies the pages of a scope, their vectors and the scope's tombstones, without derived data.

    A tombstone is a keyed hash of forgotten content, which is never learned again.
    """
    with source.read(scope_id) as reading, target.write(scope_id) as writing:
        scope = dict(reading.execute(sa.select(scopes).where(scopes.c.scope_id == scope_id)).mappings().one())
        scope |= {"lease_owner": None, "lease_until": None, "attempts": 0, "retry_at": None, "last_error": None}
        writing.execute(sa.insert(scopes).values(**scope))
        for rows in _slices(reading, sa.select(pages).where(pages.c.scope_id == scope_id)):
            initial = {name: False if name in _DERIVED[2:] else None for name in _DERIVED}
            writing.execute(sa.insert(pages), [row | initial for row in rows])
        for rows in _slices(reading, sa.select(vectors).where(vectors.c.scope_id == scope_id, ~_OF_KNOWLEDGE)):
            writing.execute(sa.insert(vectors), rows)
        for table in (tombstone_keys, tombstones):
            for rows in _slices(reading, sa.select(table).where(table.c.scope_id == scope_id)):
                writing.execute(sa.insert(table), rows)


def replace_tiers(target: Database, source: Database, lease: Lease, now: datetime) -> None:
    """Replaces the derived data of a scope by the data in the database ``source``, in one transaction.

    The segments and chains in ``target`` are deleted, and its current facts are archived. Pages that were appended
    after ``copy_log`` stay due for consolidation.

    Raises:
        StoreConflictError: If another worker took the lease; nothing is written.
    """
    with source.read(lease.scope_id) as reading, target.write(lease.scope_id) as writing:
        revision = advance(writing, lease)
        for table in (chains, segments):
            writing.execute(sa.delete(table).where(table.c.scope_id == lease.scope_id))
        for rows in _slices(reading, sa.select(chains).where(chains.c.scope_id == lease.scope_id)):
            writing.execute(sa.insert(chains), rows)
        for rows in _slices(reading, sa.select(segments).where(segments.c.scope_id == lease.scope_id)):
            writing.execute(sa.insert(segments), [row | {"revision": revision} for row in rows])
        _place_pages(reading, writing, lease.scope_id)
        _replace_long_term(reading, writing, lease.scope_id, now)
        marks = {"learned_revision": revision, "reset_revision": revision}
        writing.execute(sa.update(scopes).where(scopes.c.scope_id == lease.scope_id).values(**marks))


def _place_pages(reading: sa.Connection, writing: sa.Connection, scope_id: str) -> None:
    place = (
        sa.update(pages)
        .where(pages.c.scope_id == scope_id, pages.c.seq == sa.bindparam("position"))
        .values({name: sa.bindparam(f"new_{name}") for name in _DERIVED})
    )
    statement = sa.select(pages.c.seq, *(pages.c[name] for name in _DERIVED)).where(pages.c.scope_id == scope_id)
    for rows in _slices(reading, statement):
        places = [{"position": row["seq"]} | {f"new_{name}": row[name] for name in _DERIVED} for row in rows]
        writing.execute(place, places)


def _replace_long_term(reading: sa.Connection, writing: sa.Connection, scope_id: str, now: datetime) -> None:
    current = (knowledge.c.scope_id == scope_id, knowledge.c.superseded_by.is_(None), knowledge.c.archived_at.is_(None))
    writing.execute(sa.update(knowledge).where(*current).values(archived_at=now))
    for rows in _slices(reading, sa.select(knowledge).where(knowledge.c.scope_id == scope_id)):
        writing.execute(sa.insert(knowledge), rows)
    for rows in _slices(reading, sa.select(vectors).where(vectors.c.scope_id == scope_id, _OF_KNOWLEDGE)):
        writing.execute(sa.insert(vectors), rows)
    newest = sa.select(profiles).where(profiles.c.scope_id == scope_id).order_by(profiles.c.version.desc()).limit(1)
    learned = reading.execute(newest).mappings().one_or_none()
    last = writing.execute(newest).mappings().one_or_none()
    if learned is not None:
        version = 1 if last is None else last["version"] + 1
        writing.execute(sa.insert(profiles).values(dict(learned) | {"version": version}))
    elif last is not None:
        empty: dict[str, Any] = {"attributes": [], "traits": []}
        values = dict(last) | {"version": last["version"] + 1, "body": empty, "recorded_at": now}
        writing.execute(sa.insert(profiles).values(values))


def _slices(connection: sa.Connection, statement: sa.Select[Any]) -> Iterator[list[dict[str, Any]]]:
    for part in connection.execute(statement).mappings().partitions(_SLICE_ROWS):
        yield [dict(row) for row in part]
