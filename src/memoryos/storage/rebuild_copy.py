"""Copies data for a rebuild, which derives all data of a scope from its pages again.

The pages are copied to a temporary store, and the newly derived data is copied back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.storage.fact_rows import NOT_DERIVED, drop_replaced, read_facts, write_facts
from memoryos.storage.lease import Lease, advance
from memoryos.storage.schema import (
    chains,
    facts,
    pages,
    profiles,
    readings,
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
_DERIVED = ("chain_id", "segment_id", "reading_id", "profiled", "read_provisionally", "profiled_provisionally")
_OF_KNOWLEDGE = vectors.c.owner_kind == "knowledge"


def copy_log(source: Database, target: Database, scope_id: str) -> None:
    """Copies the pages of a scope with their vectors, corrections by users, shared facts and tombstones.

    Other derived data are not copied.

    A tombstone is a keyed hash of forgotten content, which is never learned again.
    """
    with source.read(scope_id) as reading, target.write(scope_id) as writing:
        scope = dict(reading.execute(sa.select(scopes).where(scopes.c.scope_id == scope_id)).mappings().one())
        scope |= {"lease_owner": None, "lease_until": None, "attempts": 0, "retry_at": None, "last_error": None}
        writing.execute(sa.insert(scopes).values(**scope))
        for rows in _slices(reading, sa.select(pages).where(pages.c.scope_id == scope_id)):
            initial = {name: False if name in _DERIVED[3:] else None for name in _DERIVED}
            writing.execute(sa.insert(pages), [row | initial for row in rows])
        for rows in _slices(reading, sa.select(vectors).where(vectors.c.scope_id == scope_id, ~_OF_KNOWLEDGE)):
            writing.execute(sa.insert(vectors), rows)
        kept = [each for each in read_facts(reading, scope_id) if each.origin.analyst in NOT_DERIVED]
        write_facts(writing, scope_id, kept, scope["revision"])
        for table in (tombstone_keys, tombstones):
            for rows in _slices(reading, sa.select(table).where(table.c.scope_id == scope_id)):
                writing.execute(sa.insert(table), rows)


def replace_tiers(target: Database, source: Database, lease: Lease, now: datetime) -> None:
    """Replaces the derived data of a scope by the data in the database ``source``, in one transaction.

    The segments and chains in ``target`` are deleted, and its facts that were not derived again are archived.
    Pages that were appended after ``copy_log`` stay due to be read.

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
        _replace_facts(reading, writing, lease.scope_id, now)
        _replace_readings(reading, writing, lease.scope_id)
        _replace_profile(reading, writing, lease.scope_id, now)
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


def _replace_facts(reading: sa.Connection, writing: sa.Connection, scope_id: str, now: datetime) -> None:
    """Stores the new facts, and archives the facts that were derived before and not again.

    The archived facts do not replace a new fact.
    """
    ids = frozenset(reading.execute(sa.select(facts.c.fact_id).where(facts.c.scope_id == scope_id)).scalars())
    where = facts.c.scope_id == scope_id
    before = writing.execute(sa.select(facts.c.fact_id).where(where)).scalars().all()
    again = [each for each in before if each in ids]
    for start in range(0, len(again), _SLICE_ROWS):
        part = again[start : start + _SLICE_ROWS]
        writing.execute(sa.delete(facts).where(where, facts.c.fact_id.in_(part)))
        owned = (vectors.c.scope_id == scope_id, _OF_KNOWLEDGE, vectors.c.owner_id.in_(part))
        writing.execute(sa.delete(vectors).where(*owned))
    drop_replaced(writing, scope_id, ids)
    writing.execute(sa.update(facts).where(where, facts.c.archived_at.is_(None)).values(archived_at=now))
    for rows in _slices(reading, sa.select(facts).where(where)):
        writing.execute(sa.insert(facts), rows)
    for rows in _slices(reading, sa.select(vectors).where(vectors.c.scope_id == scope_id, _OF_KNOWLEDGE)):
        writing.execute(sa.insert(vectors), rows)


def _replace_readings(reading: sa.Connection, writing: sa.Connection, scope_id: str) -> None:
    """Stores the new readings, and deletes those of which no fact is left in the history.

    The others are needed to find their facts if a page that they were shown is forgotten.
    """
    in_history = sa.select(facts.c.reading_id).where(facts.c.scope_id == scope_id, facts.c.reading_id.is_not(None))
    where = readings.c.scope_id == scope_id
    writing.execute(sa.delete(readings).where(where, readings.c.reading_id.not_in(in_history)))
    for rows in _slices(reading, sa.select(readings).where(where)):
        writing.execute(sa.insert(readings), rows)


def _replace_profile(reading: sa.Connection, writing: sa.Connection, scope_id: str, now: datetime) -> None:
    newest = sa.select(profiles).where(profiles.c.scope_id == scope_id).order_by(profiles.c.version.desc()).limit(1)
    derived = reading.execute(newest).mappings().one_or_none()
    last = writing.execute(newest).mappings().one_or_none()
    if derived is not None:
        version = 1 if last is None else last["version"] + 1
        writing.execute(sa.insert(profiles).values(dict(derived) | {"version": version}))
    elif last is not None:
        empty: dict[str, Any] = {"attributes": [], "traits": []}
        values = dict(last) | {"version": last["version"] + 1, "body": empty, "recorded_at": now}
        writing.execute(sa.insert(profiles).values(values))


def _slices(connection: sa.Connection, statement: sa.Select[Any]) -> Iterator[list[dict[str, Any]]]:
    for part in connection.execute(statement).mappings().partitions(_SLICE_ROWS):
        yield [dict(row) for row in part]
