"""Reads and writes rows of the table of facts, in the caller's transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.model import CORRECTION, SHARED, Knowledge
from memoryos.storage.origin_json import read_origin, write_origin
from memoryos.storage.schema import facts, vectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

__all__ = ["NOT_DERIVED", "add_replaced", "archive_facts", "delete_facts", "drop_replaced", "read_facts", "write_facts"]

_BATCH_ROWS = 500
NOT_DERIVED = frozenset({CORRECTION.analyst, SHARED.analyst})
"""The origins of facts that are not derived from pages: corrections by users, and facts from another scope."""


def read_facts(connection: sa.Connection, scope_id: str, *, after_revision: int | None = None) -> list[Knowledge]:
    """Returns the facts of a scope in the order of their ids. Their computed fields are empty.

    Args:
        connection: A connection inside a transaction.
        scope_id: Id of the scope.
        after_revision: Returns only facts that were written after this revision of the scope; None for all.
    """
    statement = sa.select(facts).where(facts.c.scope_id == scope_id).order_by(facts.c.fact_id)
    if after_revision is not None:
        statement = statement.where(facts.c.revision > after_revision)
    return [_fact(row) for row in connection.execute(statement)]


def write_facts(connection: sa.Connection, scope_id: str, entries: Iterable[Knowledge], revision: int) -> None:
    """Stores facts. A fact with the id of a stored fact takes its place, and also replaces what that fact replaced.

    Args:
        connection: A connection inside a write transaction.
        scope_id: Id of the scope.
        entries: The facts.
        revision: The present revision of the scope.
    """
    added = {each.knowledge_id: each for each in entries}
    for ids in _batches(sorted(added)):
        where = (facts.c.scope_id == scope_id, facts.c.fact_id.in_(ids))
        for row in connection.execute(sa.select(facts.c.fact_id, facts.c.replaces).where(*where)).all():
            entry = added[row.fact_id]
            added[row.fact_id] = replace(entry, replaces=tuple(dict.fromkeys((*row.replaces, *entry.replaces))))
        connection.execute(sa.delete(facts).where(*where))
        owned = (vectors.c.owner_kind == "knowledge", vectors.c.owner_id.in_(ids))
        connection.execute(sa.delete(vectors).where(vectors.c.scope_id == scope_id, *owned))
        connection.execute(sa.insert(facts), [_row(scope_id, added[each]) | {"revision": revision} for each in ids])


def delete_facts(connection: sa.Connection, scope_id: str, where: sa.ColumnElement[bool]) -> None:
    """Deletes the facts that satisfy a condition, with their vectors."""
    selected = sa.select(facts.c.fact_id).where(facts.c.scope_id == scope_id, where)
    owned = (vectors.c.owner_kind == "knowledge", vectors.c.owner_id.in_(selected))
    connection.execute(sa.delete(vectors).where(vectors.c.scope_id == scope_id, *owned))
    connection.execute(sa.delete(facts).where(facts.c.scope_id == scope_id, where))


def archive_facts(connection: sa.Connection, scope_id: str, ids: Sequence[str], now: datetime, revision: int) -> None:
    """Marks facts as archived. Unknown ids, and facts that are archived already, are ignored."""
    for batch in _batches(ids):
        where = (facts.c.scope_id == scope_id, facts.c.fact_id.in_(batch), facts.c.archived_at.is_(None))
        connection.execute(sa.update(facts).where(*where).values(archived_at=now, revision=revision))


def add_replaced(
    connection: sa.Connection, scope_id: str, replaced: Mapping[str, Sequence[str]], revision: int
) -> None:
    """Adds ids to the field ``replaces`` of stored facts: the ids of the replaced facts, by id of the newer fact."""
    for newer, older in replaced.items():
        where = (facts.c.scope_id == scope_id, facts.c.fact_id == newer)
        known = connection.execute(sa.select(facts.c.replaces).where(*where)).scalar_one_or_none()
        if known is not None:
            connection.execute(
                sa.update(facts).where(*where).values(replaces=[*dict.fromkeys((*known, *older))], revision=revision)
            )


def drop_replaced(connection: sa.Connection, scope_id: str, ids: frozenset[str], *, inherits: bool = False) -> None:
    """Removes ids from the field ``replaces`` of all facts of a scope.

    Args:
        connection: A connection inside a write transaction.
        scope_id: Id of the scope.
        ids: The ids of facts that will be deleted.
        inherits: Whether a fact takes over what the removed facts replaced, so that this does not become current again.
    """
    rows = connection.execute(sa.select(facts.c.fact_id, facts.c.replaces).where(facts.c.scope_id == scope_id)).all()
    of_removed = {row.fact_id: row.replaces for row in rows if row.fact_id in ids} if inherits else {}
    for row in rows:
        if row.fact_id not in ids and not ids.isdisjoint(row.replaces):
            where = (facts.c.scope_id == scope_id, facts.c.fact_id == row.fact_id)
            kept = _remaining(row.replaces, ids, of_removed)
            connection.execute(sa.update(facts).where(*where).values(replaces=kept))


def _remaining(replaces: Sequence[str], ids: frozenset[str], of_removed: Mapping[str, Sequence[str]]) -> list[str]:
    """Returns ids without the removed ones, and what the removed ones replaced, also over several steps."""
    kept: dict[str, None] = {}
    seen: set[str] = set()
    pending = list(reversed(replaces))
    while pending:
        fact_id = pending.pop()
        if fact_id in seen:
            continue
        seen.add(fact_id)
        if fact_id in ids:
            pending += reversed(of_removed.get(fact_id, ()))
        else:
            kept[fact_id] = None
    return [*kept]


def _row(scope_id: str, entry: Knowledge) -> dict[str, Any]:
    return {
        "scope_id": scope_id,
        "fact_id": entry.knowledge_id,
        "subject": entry.subject,
        "about": entry.about,
        "kind": entry.kind,
        "status": entry.status,
        "text": entry.text,
        "slot": entry.slot,
        "value": entry.value,
        "stated_at": entry.stated_at,
        "valid_from": entry.valid_from,
        "valid_until": entry.valid_until,
        "replaces": list(entry.replaces),
        "source_page_ids": list(entry.source_page_ids),
        "reading_id": entry.reading_id,
        "origin": write_origin(entry.origin),
        "recorded_at": entry.recorded_at,
        "archived_at": entry.archived_at,
    }


def _fact(row: Any) -> Knowledge:
    return Knowledge(
        knowledge_id=row.fact_id,
        about=row.about,
        text=row.text,
        recorded_at=row.recorded_at,
        valid_from=row.valid_from,
        superseded_by=None,
        archived_at=row.archived_at,
        source_page_ids=tuple(row.source_page_ids),
        origin=read_origin(row.origin),
        subject=row.subject,
        kind=row.kind,
        status=row.status,
        slot=row.slot,
        value=row.value,
        stated_at=row.stated_at,
        valid_until=row.valid_until,
        replaces=tuple(row.replaces),
        reading_id=row.reading_id,
    )


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _BATCH_ROWS):
        yield ids[start : start + _BATCH_ROWS]
