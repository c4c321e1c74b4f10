"""Repairs imported data if the file did not contain all records."""

from __future__ import annotations

import sqlalchemy as sa

from memoryos.storage.fact_rows import delete_facts
from memoryos.storage.schema import chains, facts, pages, readings, segments
from memoryos.storage.undone_readings import UNREAD, delete_unused_readings

__all__ = ["repair_import"]

_BATCH_READINGS = 200


def repair_import(connection: sa.Connection, scope_id: str) -> None:
    """Corrects the imported pages, readings and segments if records are missing, in the caller's transaction.

    A page whose segment, chain or reading is missing becomes due to be read, with all pages of its reading. The
    counters of segments are computed again.
    """
    in_scope = pages.c.scope_id == scope_id
    _mark_incomplete_unread(connection, scope_id)
    in_segment = (pages.c.scope_id == scope_id, pages.c.segment_id == segments.c.segment_id)
    count = sa.select(sa.func.count()).select_from(pages).where(*in_segment)
    own = segments.c.scope_id == scope_id
    unprofiled = count.where(pages.c.profiled.is_(False)).scalar_subquery()
    values = {
        "page_count": count.scalar_subquery(),
        "length": sa.case((segments.c.length > unprofiled, unprofiled), else_=segments.c.length),
    }
    connection.execute(sa.update(segments).where(own).values(**values))
    connection.execute(sa.delete(segments).where(own, segments.c.page_count == 0))
    ids = sa.select(pages.c.chain_id).where(in_scope, pages.c.chain_id.is_not(None))
    connection.execute(sa.delete(chains).where(chains.c.scope_id == scope_id, chains.c.chain_id.not_in(ids)))


def _mark_incomplete_unread(connection: sa.Connection, scope_id: str) -> None:
    """Makes the pages of incomplete readings due, and deletes these readings with their facts.

    Readings without pages are kept if a fact is left of them: a rebuild keeps them for the history of facts.
    """
    other = pages.alias()
    missing = []
    for column, table in (
        (other.c.segment_id, segments),
        (other.c.chain_id, chains),
        (other.c.reading_id, readings),
    ):
        existing = sa.select(table.c[column.name]).where(table.c.scope_id == scope_id)
        missing.append(sa.and_(column.is_not(None), column.not_in(existing)))
    is_incomplete = sa.or_(*missing, other.c.segment_id.is_(None) != other.c.chain_id.is_(None))
    where = (other.c.scope_id == scope_id, is_incomplete)
    in_scope, own = pages.c.scope_id == scope_id, readings.c.scope_id == scope_id
    statement = sa.select(other.c.reading_id).where(*where, other.c.reading_id.is_not(None)).distinct()
    incomplete = connection.execute(statement).scalars().all()
    connection.execute(
        sa.update(pages).where(in_scope, pages.c.seq.in_(sa.select(other.c.seq).where(*where))).values(**UNREAD)
    )
    for start in range(0, len(incomplete), _BATCH_READINGS):
        ids = incomplete[start : start + _BATCH_READINGS]
        connection.execute(sa.update(pages).where(in_scope, pages.c.reading_id.in_(ids)).values(**UNREAD))
        connection.execute(sa.delete(readings).where(own, readings.c.reading_id.in_(ids)))
    is_missing = facts.c.reading_id.not_in(sa.select(readings.c.reading_id).where(own))
    delete_facts(connection, scope_id, sa.and_(facts.c.reading_id.is_not(None), is_missing))
    delete_unused_readings(connection, scope_id)
