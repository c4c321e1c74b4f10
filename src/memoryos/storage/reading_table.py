"""The table of readings: which pages an analyst has read together, and which pages it was shown before them.

A reading assigns its pages to chains and segments and yields facts; all this is written in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import StoreConflictError
from memoryos.storage.fact_rows import add_replaced, archive_facts, write_facts
from memoryos.storage.lease import Lease, advance
from memoryos.storage.mid_term_table import Consolidation, write_consolidation
from memoryos.storage.origin_json import read_origin, write_origin
from memoryos.storage.schema import pages, readings, scopes
from memoryos.storage.undone_readings import undo_readings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from memoryos.model import Knowledge, Origin
    from memoryos.storage.database import Database

__all__ = ["NewReading", "ReadingRow", "ReadingTable"]

_BATCH_SEQS = 200


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One reading: an analyst has read neighbouring pages of the log.

    Attributes:
        reading_id: UUIDv7 text.
        shown_from_seq: Log position of the first page that the analyst was shown.
        first_seq: Log position of the first page that it read.
        last_seq: Log position of the last page that it read.
        origin: The analyst.
        provisional: Whether the fallback analyst has read the pages, so that they are read again later.
        dropped: The parts of the analyst's reply that were not used, each with the reason.
        recorded_at: Time of the reading.
    """

    reading_id: str
    shown_from_seq: int
    first_seq: int
    last_seq: int
    origin: Origin
    provisional: bool
    dropped: tuple[str, ...]
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class NewReading:
    """A reading to store, with everything that it changes.

    Attributes:
        row: The reading.
        consolidation: The chains and segments of its pages.
        facts: The facts that it stated. A fact with the id of a stored fact takes its place.
        replaced: Ids of facts that stored facts of other readings replace, by id of the newer fact.
        archived: Ids of facts to archive, because there are more than the capacity.
        redone: Whether the reading replaces readings of the fallback analyst.
    """

    row: ReadingRow
    consolidation: Consolidation
    facts: tuple[Knowledge, ...] = ()
    replaced: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    archived: tuple[str, ...] = ()
    redone: bool = False

    @property
    def changes_facts(self) -> bool:
        """Whether the reading adds or changes facts."""
        return bool(self.facts or self.replaced or self.archived)


class ReadingTable:
    """Writes and reads readings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, lease: Lease, new: NewReading) -> None:
        """Stores a reading with its chains, segments and facts, and marks its pages as read.

        Raises:
            StoreConflictError: If another worker took the lease, or has already read one of the pages; nothing is
                written.
        """
        scope_id, row = lease.scope_id, new.row
        with self._database.write(scope_id) as connection:
            revision = advance(connection, lease)
            page_ids = list(new.consolidation.segment_of)
            undone = undo_readings(connection, scope_id, page_ids, revision) if new.redone else None
            connection.execute(sa.insert(readings).values(scope_id=scope_id, **_values(row)))
            write_consolidation(connection, scope_id, new.consolidation, origin=row.origin, revision=revision)
            for page_id in page_ids:
                _mark_read(connection, scope_id, page_id, new)
            if new.changes_facts:
                archive_facts(connection, scope_id, new.archived, row.recorded_at, revision)
                write_facts(connection, scope_id, new.facts, revision)
                add_replaced(connection, scope_id, new.replaced, revision)
            if new.changes_facts or undone is not None:
                where_scope = scopes.c.scope_id == scope_id
                connection.execute(sa.update(scopes).where(where_scope).values(learned_revision=revision))
            if undone is not None:
                undone.update_counters(connection)

    def that_saw(self, scope_id: str, seqs: Sequence[int]) -> list[ReadingRow]:
        """Returns the readings that were shown at least one page at these log positions, oldest pages first."""
        found: dict[str, ReadingRow] = {}
        with self._database.read(scope_id) as connection:
            for start in range(0, len(seqs), _BATCH_SEQS):
                saw = (
                    sa.and_(readings.c.shown_from_seq <= seq, readings.c.last_seq >= seq)
                    for seq in seqs[start : start + _BATCH_SEQS]
                )
                statement = sa.select(readings).where(readings.c.scope_id == scope_id, sa.or_(*saw))
                for row in connection.execute(statement):
                    found[row.reading_id] = ReadingRow(
                        reading_id=row.reading_id,
                        shown_from_seq=row.shown_from_seq,
                        first_seq=row.first_seq,
                        last_seq=row.last_seq,
                        origin=read_origin(row.origin),
                        provisional=row.provisional,
                        dropped=tuple(row.dropped),
                        recorded_at=row.recorded_at,
                    )
        return sorted(found.values(), key=lambda each: (each.last_seq, each.reading_id))


def _mark_read(connection: sa.Connection, scope_id: str, page_id: str, new: NewReading) -> None:
    statement = (
        sa.update(pages)
        .where(pages.c.scope_id == scope_id, pages.c.page_id == page_id, pages.c.segment_id.is_(None))
        .values(
            chain_id=new.consolidation.chain_of[page_id],
            segment_id=new.consolidation.segment_of[page_id],
            reading_id=new.row.reading_id,
            read_provisionally=new.row.provisional,
        )
    )
    if connection.execute(statement).rowcount != 1:
        raise StoreConflictError(f"another worker has already read page {page_id}; try again")


def _values(row: ReadingRow) -> dict[str, Any]:
    return {
        "reading_id": row.reading_id,
        "shown_from_seq": row.shown_from_seq,
        "first_seq": row.first_seq,
        "last_seq": row.last_seq,
        "origin": write_origin(row.origin),
        "provisional": row.provisional,
        "dropped": list(row.dropped),
        "recorded_at": row.recorded_at,
    }
