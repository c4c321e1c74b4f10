"""Deletes readings of the fallback analyst, with their facts, and removes their pages from segments and chains.

The configured analyst can then read the pages again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from memoryos.errors import StoreConflictError
from memoryos.storage.fact_rows import delete_facts
from memoryos.storage.schema import chains, facts, pages, readings, scopes, segments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["UNREAD", "RemovedPages", "undo_readings"]

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


def undo_readings(connection: sa.Connection, scope_id: str, page_ids: Sequence[str], revision: int) -> RemovedPages:
    """Deletes the readings of pages that the fallback analyst has read, with the facts and the places of the pages.

    The fallback analyst is used while the configured LLM is unavailable.

    Raises:
        StoreConflictError: If the fallback analyst has not read one of the pages.
    """
    where = (pages.c.scope_id == scope_id, pages.c.page_id.in_(page_ids))
    rows = connection.execute(sa.select(pages).where(*where, pages.c.read_provisionally.is_(True))).all()
    if len(rows) != len(page_ids):
        raise StoreConflictError("another worker has processed these pages in the meantime; nothing was written")
    reading_ids = [*{row.reading_id for row in rows if row.reading_id is not None}]
    delete_facts(connection, scope_id, facts.c.reading_id.in_(reading_ids))
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
