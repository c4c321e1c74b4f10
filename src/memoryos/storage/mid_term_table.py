"""The tables of mid-term memory: segments, chains, and which pages belong to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.model import Chain, Origin, Segment
from memoryos.storage.column_types import UtcTime
from memoryos.storage.lease import Lease, advance
from memoryos.storage.origin_json import read_origin, write_origin
from memoryos.storage.schema import chains, segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = ["Consolidation", "MidTermTable", "SegmentChange", "write_consolidation"]

_ACTIVE = segments.c.archived_at.is_(None)
_BATCH_ROWS = 500


@dataclass(frozen=True, slots=True)
class Consolidation:
    """The chains and segments to which a reading assigns its pages.

    Attributes:
        chains: Chains that are new or have a new summary.
        segments: New and changed segments, with their new values.
        chain_of: The chain id of each page of the batch, by page id.
        segment_of: The segment id of each page of the batch, by page id.
    """

    chains: tuple[Chain, ...]
    segments: tuple[Segment, ...]
    chain_of: Mapping[str, str]
    segment_of: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SegmentChange:
    """The columns of a changed segment that working sets (searchable copies in memory) contain."""

    segment_id: str
    keywords: frozenset[str]
    archived: bool
    revision: int


def write_consolidation(
    connection: sa.Connection, scope_id: str, change: Consolidation, *, origin: Origin, revision: int
) -> None:
    """Stores the chains and segments of a reading, in the caller's transaction. Does not change the pages."""
    stored_origin = write_origin(origin)
    for chain in change.chains:
        values = {"scope_id": scope_id, "chain_id": chain.chain_id}
        _upsert(connection, chains, values, {"summary": chain.summary, "origin": stored_origin})
    for segment in change.segments:
        values = {"scope_id": scope_id, "segment_id": segment.segment_id}
        _upsert(connection, segments, values, _segment_values(segment) | _stamp(revision, stored_origin))


class MidTermTable:
    """Reads and writes segments and chains."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def archive(self, lease: Lease, segment_ids: Iterable[str], now: datetime) -> None:
        """Archives segments. Their pages stay in the log, but recall no longer returns them.

        Raises:
            StoreConflictError: If another worker took the lease.
        """
        with self._database.write(lease.scope_id) as connection:
            revision = advance(connection, lease)
            for batch in _batches(segment_ids):
                where = (segments.c.scope_id == lease.scope_id, segments.c.segment_id.in_(batch))
                connection.execute(sa.update(segments).where(*where).values(archived_at=now, revision=revision))

    def archived_before(self, scope_id: str, moment: datetime) -> list[str]:
        """Returns the ids of the segments that were archived before the time ``moment``."""
        where = (segments.c.scope_id == scope_id, segments.c.archived_at < moment)
        with self._database.read(scope_id) as connection:
            return list(connection.execute(sa.select(segments.c.segment_id).where(*where)).scalars())

    def visit(self, scope_id: str, visits: Mapping[str, int], now: datetime) -> None:
        """Adds to the visit counters (N_visit) of segments and sets the time of their last visit.

        Args:
            scope_id: Id of the scope.
            visits: Number of recalls to add, by segment id; unknown ids are ignored.
            now: Time of the last visit.
        """
        visited = sa.literal(now, UtcTime())
        latest = sa.case((segments.c.last_visited_at > visited, segments.c.last_visited_at), else_=visited)
        with self._database.write(scope_id) as connection:
            for segment_id, count in visits.items():
                connection.execute(
                    sa.update(segments)
                    .where(segments.c.scope_id == scope_id, segments.c.segment_id == segment_id)
                    .values(visits=segments.c.visits + count, last_visited_at=latest)
                )

    def all(self, scope_id: str, *, archived: bool = False) -> list[Segment]:
        """Returns the active segments, oldest first. Returns the archived segments if ``archived`` is True."""
        where = segments.c.archived_at.is_not(None) if archived else _ACTIVE
        return self._read(where, scope_id)

    def get(self, scope_id: str, segment_ids: Iterable[str]) -> dict[str, Segment]:
        """Returns a dictionary of the segments with these ids, including archived ones; ignores unknown ids."""
        found = [
            each for batch in _batches(segment_ids) for each in self._read(segments.c.segment_id.in_(batch), scope_id)
        ]
        return {segment.segment_id: segment for segment in found}

    def count(self, scope_id: str, *, archived: bool = False) -> int:
        """Returns the number of active segments; the number of archived segments if ``archived`` is True."""
        counted = (segments.c.scope_id == scope_id, sa.not_(_ACTIVE) if archived else _ACTIVE)
        statement = sa.select(sa.func.count()).select_from(segments).where(*counted)
        with self._database.read(scope_id) as connection:
            return connection.execute(statement).scalar_one()

    def warm(self, scope_id: str, visit_weight: float, length_weight: float, over: float) -> list[Segment]:
        """Returns the active segments that may be hot and have unprofiled pages.

        The condition is visit_weight · visits + length_weight · length > ``over``. Exact heat also has a recency term,
        which this cheap filter ignores. The term is at most the recency weight. So callers pass the heat threshold
        minus the recency weight as ``over``.
        """
        weight = segments.c.visits * visit_weight + segments.c.length * length_weight
        return self._read(sa.and_(_ACTIVE, segments.c.length > 0, weight > over), scope_id)

    def changes(self, scope_id: str, after_revision: int) -> list[SegmentChange]:
        """Returns the segments written after a revision of the scope, including archived segments."""
        statement = sa.select(
            segments.c.segment_id, segments.c.keywords, segments.c.archived_at, segments.c.revision
        ).where(segments.c.scope_id == scope_id, segments.c.revision > after_revision)
        with self._database.read(scope_id) as connection:
            return [
                SegmentChange(row.segment_id, frozenset(row.keywords), row.archived_at is not None, row.revision)
                for row in connection.execute(statement)
            ]

    def chain(self, scope_id: str, chain_id: str) -> Chain | None:
        """Returns the chain with an id; None if it does not exist."""
        statement = sa.select(chains.c.chain_id, chains.c.summary).where(
            chains.c.scope_id == scope_id, chains.c.chain_id == chain_id
        )
        with self._database.read(scope_id) as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else Chain(row.chain_id, row.summary)

    def chains(self, scope_id: str, chain_ids: Iterable[str]) -> list[Chain]:
        """Returns the chains with these ids, oldest first; ignores unknown ids."""
        ids = sorted(set(chain_ids))
        found: list[Chain] = []
        with self._database.read(scope_id) as connection:
            for start in range(0, len(ids), _BATCH_ROWS):
                batch = ids[start : start + _BATCH_ROWS]
                statement = sa.select(chains.c.chain_id, chains.c.summary).where(
                    chains.c.scope_id == scope_id, chains.c.chain_id.in_(batch)
                )
                rows = connection.execute(statement.order_by(chains.c.chain_id))
                found += [Chain(row.chain_id, row.summary) for row in rows]
        return found

    def origin(self, scope_id: str, segment_id: str) -> Origin | None:
        """Returns the origin (analyst and version) of a segment's last change; None for an unknown segment."""
        statement = sa.select(segments.c.origin).where(
            segments.c.scope_id == scope_id, segments.c.segment_id == segment_id
        )
        with self._database.read(scope_id) as connection:
            body = connection.execute(statement).scalar_one_or_none()
        return None if body is None else read_origin(body)

    def _read(self, where: sa.ColumnElement[bool], scope_id: str) -> list[Segment]:
        statement = (
            sa.select(segments)
            .where(segments.c.scope_id == scope_id, where)
            .order_by(segments.c.created_at, segments.c.segment_id)
        )
        with self._database.read(scope_id) as connection:
            return [_segment(row) for row in connection.execute(statement)]


def _upsert(connection: sa.Connection, table: sa.Table, key: Mapping[str, str], values: Mapping[str, Any]) -> None:
    where = [table.c[name] == value for name, value in key.items()]
    if connection.execute(sa.update(table).where(*where).values(**values)).rowcount == 0:
        connection.execute(sa.insert(table).values(**key, **values))


def _stamp(revision: int, origin: dict[str, str]) -> dict[str, Any]:
    return {"revision": revision, "origin": origin}


def _segment_values(segment: Segment) -> dict[str, Any]:
    return {
        "summary": segment.summary,
        "keywords": sorted(segment.keywords),
        "visits": segment.visits,
        "length": segment.length,
        "page_count": segment.page_count,
        "last_visited_at": segment.last_visited_at,
        "created_at": segment.created_at,
        "archived_at": segment.archived_at,
    }


def _segment(row: Any) -> Segment:
    return Segment(
        segment_id=row.segment_id,
        summary=row.summary,
        keywords=frozenset(row.keywords),
        visits=row.visits,
        length=row.length,
        page_count=row.page_count,
        last_visited_at=row.last_visited_at,
        created_at=row.created_at,
        archived_at=row.archived_at,
    )


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    all_ids = list(ids)
    for start in range(0, len(all_ids), _BATCH_ROWS):
        yield all_ids[start : start + _BATCH_ROWS]
