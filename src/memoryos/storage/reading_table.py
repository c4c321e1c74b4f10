"""The table of readings: which pages an analyst has read together, and which pages it was shown before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from memoryos.storage.lease import Lease, advance
from memoryos.storage.origin_json import read_origin, write_origin
from memoryos.storage.schema import readings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from memoryos.model import Origin
    from memoryos.storage.database import Database

__all__ = ["Reading", "ReadingTable"]

_BATCH_SEQS = 200


@dataclass(frozen=True, slots=True)
class Reading:
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


class ReadingTable:
    """Writes and reads readings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, lease: Lease, reading: Reading) -> None:
        """Stores a reading.

        Raises:
            StoreConflictError: If the lease was lost; nothing is written.
        """
        with self._database.write(lease.scope_id) as connection:
            advance(connection, lease)
            connection.execute(
                sa.insert(readings).values(
                    scope_id=lease.scope_id,
                    reading_id=reading.reading_id,
                    shown_from_seq=reading.shown_from_seq,
                    first_seq=reading.first_seq,
                    last_seq=reading.last_seq,
                    origin=write_origin(reading.origin),
                    provisional=reading.provisional,
                    dropped=list(reading.dropped),
                    recorded_at=reading.recorded_at,
                )
            )

    def that_saw(self, scope_id: str, seqs: Sequence[int]) -> list[Reading]:
        """Returns the readings that were shown at least one page at these log positions, oldest pages first."""
        found: dict[str, Reading] = {}
        with self._database.read(scope_id) as connection:
            for start in range(0, len(seqs), _BATCH_SEQS):
                saw = (
                    sa.and_(readings.c.shown_from_seq <= seq, readings.c.last_seq >= seq)
                    for seq in seqs[start : start + _BATCH_SEQS]
                )
                statement = sa.select(readings).where(readings.c.scope_id == scope_id, sa.or_(*saw))
                for row in connection.execute(statement):
                    found[row.reading_id] = Reading(
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
