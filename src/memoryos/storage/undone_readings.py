"""Undoes readings: deletes them with their facts, and removes their pages from segments and chains.

The pages can then be read again, e.g. by the configured analyst after the fallback analyst.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import sqlalchemy as sa

from memoryos.errors import StoreConflictError
from memoryos.storage.fact_rows import NOT_DERIVED, delete_facts, read_facts
from memoryos.storage.schema import chains, facts, pages, readings, scopes, segments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memoryos.model import Page

__all__ = ["UNREAD", "RemovedPages", "delete_unused_readings", "undo_readings", "whole_readings"]

UNREAD = {"segment_id": None, "chain_id": None, "reading_id": None, "read_provisionally": False}
"""The columns of a page that is due to be read."""


@dataclass(frozen=True, slots=True)
class RemovedPages:
    """The number of pages removed from each segment, and the chains that lost pages.

    Attributes:
        scope_id: Id of the scope.
        pages: Number of removed pages, by segment id.
        unprofiled: Number of removed pages from which no traits have been inferred, by segment id.
        chains: Ids of the chains from which pages were removed.
    """

    scope_id: str
    pages: Mapping[str, int]
    unprofiled: Mapping[str, int]
    chains: frozenset[str]

    def update_counters(self, connection: sa.Connection) -> None:
        """Subtracts the removed pages from the segments' counters, and deletes empty segments and chains."""
        for segment_id in self.pages:
            length = segments.c.length - self.unprofiled.get(segment_id, 0)
            connection.execute(
                sa.update(segments)
                .where(segments.c.scope_id == self.scope_id, segments.c.segment_id == segment_id)
                .values(
                    page_count=segments.c.page_count - self.pages.get(segment_id, 0),
                    length=sa.case((length > 0, length), else_=0),
                )
            )
        empty = (
            segments.c.scope_id == self.scope_id,
            segments.c.segment_id.in_(self.pages),
            segments.c.page_count <= 0,
        )
        connection.execute(sa.delete(segments).where(*empty))
        used = sa.select(pages.c.chain_id).where(pages.c.scope_id == self.scope_id, pages.c.chain_id.in_(self.chains))
        orphans = (
            chains.c.scope_id == self.scope_id,
            chains.c.chain_id.in_(self.chains),
            chains.c.chain_id.not_in(used),
        )
        connection.execute(sa.delete(chains).where(*orphans))


def delete_unused_readings(connection: sa.Connection, scope_id: str) -> None:
    """Deletes the readings that have no pages and no facts."""
    unused = (
        readings.c.reading_id.not_in(
            sa.select(table.c.reading_id).where(table.c.scope_id == scope_id, table.c.reading_id.is_not(None))
        )
        for table in (pages, facts)
    )
    connection.execute(sa.delete(readings).where(readings.c.scope_id == scope_id, *unused))


def undo_readings(connection: sa.Connection, scope_id: str, page_ids: Sequence[str], revision: int) -> RemovedPages:
    """Deletes the readings of pages that the fallback analyst has read, with the facts and the places of the pages.

    The fallback analyst is used while the configured LLM is unavailable.

    Raises:
        StoreConflictError: If the fallback analyst has not read one of the pages, or these are not all pages of their
            readings.
    """
    where = (pages.c.scope_id == scope_id, pages.c.page_id.in_(page_ids))
    rows = connection.execute(sa.select(pages).where(*where, pages.c.read_provisionally.is_(True))).all()
    if len(rows) != len(page_ids):
        raise StoreConflictError("another worker has processed these pages in the meantime; nothing was written")
    reading_ids = [*{row.reading_id for row in rows if row.reading_id is not None}]
    of_readings = (pages.c.scope_id == scope_id, pages.c.reading_id.in_(reading_ids))
    count = connection.execute(sa.select(sa.func.count()).select_from(pages).where(*of_readings)).scalar_one()
    if count != sum(row.reading_id is not None for row in rows):
        raise StoreConflictError("these pages are not all pages of their readings; nothing was written")
    delete_facts(connection, scope_id, facts.c.reading_id.in_(reading_ids))
    if any(row.reading_id is None for row in rows):
        _delete_facts_of_earlier_releases(connection, scope_id, frozenset(page_ids))
    connection.execute(
        sa.delete(readings).where(readings.c.scope_id == scope_id, readings.c.reading_id.in_(reading_ids))
    )
    connection.execute(sa.update(pages).where(*where).values(**UNREAD))
    connection.execute(sa.update(scopes).where(scopes.c.scope_id == scope_id).values(reset_revision=revision))
    return RemovedPages(
        scope_id=scope_id,
        pages=Counter(row.segment_id for row in rows),
        unprofiled=Counter(row.segment_id for row in rows if not row.profiled),
        chains=frozenset(row.chain_id for row in rows),
    )


def _delete_facts_of_earlier_releases(connection: sa.Connection, scope_id: str, page_ids: frozenset[str]) -> None:
    """Deletes the facts that have only these pages as sources and no reading, except those that a user stated."""
    derived = [
        each.knowledge_id
        for each in read_facts(connection, scope_id)
        if each.reading_id is None
        and each.source_page_ids
        and page_ids.issuperset(each.source_page_ids)
        and each.origin.analyst not in NOT_DERIVED
    ]
    delete_facts(connection, scope_id, facts.c.fact_id.in_(derived))


def whole_readings(found: Sequence[Page], limit: int) -> list[Page]:
    """Returns the pages of the first readings, at most ``limit`` pages but always one whole reading.

    A page without a reading, which an earlier release has processed, counts as a reading.
    """
    chosen: list[Page] = []
    for _, group in groupby(found, key=lambda page: page.reading_id or page.page_id):
        pages_of_reading = list(group)
        if chosen and len(chosen) + len(pages_of_reading) > limit:
            break
        chosen += pages_of_reading
    return chosen
