"""Removes pages from their segments and chains if the fallback analyst has assigned the pages to them.

The configured analyst can then assign the pages again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from memoryos.errors import StoreConflictError
from memoryos.storage.schema import chains, pages, scopes, segments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["RemovedPages", "unassign_pages"]


@dataclass(frozen=True, slots=True)
class RemovedPages:
    """The number of pages removed from each segment, and the chains that lost pages.

    Attributes:
        scope_id: Id of the scope.
        pages: Number of removed pages, by segment id.
        unlearned: Number of removed pages from which no facts have been extracted, by segment id.
        chains: Ids of the chains from which pages were removed.
    """

    scope_id: str
    pages: Mapping[str, int]
    unlearned: Mapping[str, int]
    chains: frozenset[str]

    def update_counters(self, connection: sa.Connection) -> None:
        """Subtracts the removed pages from the segments' counters, and deletes empty segments and chains."""
        for segment_id in self.pages:
            length = segments.c.length - self.unlearned.get(segment_id, 0)
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


def unassign_pages(connection: sa.Connection, scope_id: str, page_ids: Sequence[str], revision: int) -> RemovedPages:
    """Removes pages from the segments and chains that the fallback analyst assigned.

    The fallback analyst is used while the configured LLM is unavailable.

    Raises:
        StoreConflictError: If one of the pages has no segment that the fallback analyst assigned.
    """
    where = (pages.c.scope_id == scope_id, pages.c.page_id.in_(page_ids))
    rows = connection.execute(sa.select(pages).where(*where, pages.c.placed_provisionally.is_(True))).all()
    if len(rows) != len(page_ids):
        raise StoreConflictError("another worker has processed these pages in the meantime; nothing was written")
    connection.execute(sa.update(pages).where(*where).values(chain_id=None, segment_id=None))
    connection.execute(sa.update(scopes).where(scopes.c.scope_id == scope_id).values(reset_revision=revision))
    return RemovedPages(
        scope_id=scope_id,
        pages=Counter(row.segment_id for row in rows),
        unlearned=Counter(row.segment_id for row in rows if not row.learned),
        chains=frozenset(row.chain_id for row in rows),
    )
