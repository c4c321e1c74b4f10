"""Which scopes have work to do: found without a lock, a few steps in an index for each scope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from memoryos.storage.idempotency import is_expired
from memoryos.storage.schema import idempotency, pages, scopes, segments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = ["DueCriteria", "DueScope", "DueTable"]

_SLICE_SCOPES = 1000


@dataclass(frozen=True, slots=True)
class DueCriteria:
    """What counts as due.

    Attributes:
        model: Name of the embedder.
        window: Pages of short-term memory.
        batch: Pages that are consolidated together while a conversation goes on.
        idle_before: Scopes without a new page since then don't wait for a full batch.
        warm_over: Weight of a segment's counters from which it may be hot.
        weights: Of visits and of length.
        provisional: Whether the work of a stand-in is to be redone.
    """

    model: str
    window: int
    batch: int
    idle_before: datetime
    warm_over: float
    weights: tuple[float, float]
    provisional: bool


@dataclass(frozen=True, slots=True)
class DueScope:
    """A scope that may have work to do.

    Attributes:
        scope_id: The scope.
        revision: Its revision when it was looked at.
        retry_at: When its analyst may be asked again, a time that is over; None if it did not fail.
        is_idle: Whether everything is to be done, and not only full batches.
        owner: Who holds it; None if nobody does.
        until: When that lease ends.
    """

    scope_id: str
    revision: int
    retry_at: datetime | None
    is_idle: bool
    owner: str | None
    until: datetime | None


class DueTable:
    """Finds scopes with work to do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, due: DueCriteria, now: datetime) -> Iterator[DueScope]:
        """Yields the scopes in which something may be due, oldest first; a few may turn out to have nothing.

        Scopes whose analyst is left alone until later are left out.
        """
        after = ""
        is_idle = (scopes.c.touched_at <= due.idle_before).label("is_idle")
        columns = (scopes.c.revision, scopes.c.retry_at, is_idle, scopes.c.lease_owner, scopes.c.lease_until)
        ready = sa.or_(scopes.c.retry_at.is_(None), scopes.c.retry_at <= now)
        statement = sa.select(scopes.c.scope_id, *columns).where(ready, _has_work(due, now)).order_by(scopes.c.scope_id)
        while True:
            with self._database.read() as connection:
                rows = connection.execute(statement.where(scopes.c.scope_id > after).limit(_SLICE_SCOPES)).all()
            yield from (DueScope(*row) for row in rows)
            if len(rows) < _SLICE_SCOPES:
                return
            after = rows[-1].scope_id


def _has_work(due: DueCriteria, now: datetime) -> sa.ColumnElement[bool]:
    mine = pages.c.scope_id == scopes.c.scope_id
    model = pages.c.embedded_with
    unembedded = sa.exists().where(mine, sa.or_(model.is_(None), model < due.model, model > due.model))
    out = (mine, pages.c.segment_id.is_(None), pages.c.seq <= scopes.c.last_seq - due.window)
    full = sa.exists(sa.select(pages.c.seq).where(*out).correlate(scopes).offset(due.batch - 1).limit(1))
    visits, length = due.weights
    warm = sa.exists().where(
        segments.c.scope_id == scopes.c.scope_id,
        segments.c.archived_at.is_(None),
        segments.c.length > 0,
        segments.c.visits * visits + segments.c.length * length > due.warm_over,
    )
    noted = sa.exists().where(idempotency.c.scope_id == scopes.c.scope_id, is_expired(now))
    idle = sa.and_(scopes.c.touched_at <= due.idle_before, sa.or_(sa.exists().where(*out), warm))
    ways = [unembedded, full, idle, noted]
    if due.provisional:
        mark = sa.or_(pages.c.placed_provisionally.is_(True), pages.c.learned_provisionally.is_(True))
        ways.append(sa.exists().where(mine, mark))
    return sa.or_(*ways)
