"""Finds scopes with due work, without locks and in a few index steps per scope."""

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

_BATCH_SCOPES = 1000


@dataclass(frozen=True, slots=True)
class DueCriteria:
    """The criteria for due work.

    Attributes:
        model: Name of the current embedder.
        window: Size of short-term memory in pages.
        batch: Number of pages that are consolidated together during a conversation.
        idle_before: A scope without new pages since this time is consolidated without a full batch.
        warm_over: Weighted counters of a segment above which it may be hot.
        weights: Weight of the visits and weight of the length.
        provisional: Whether the results of a fallback analyst are due to be redone.
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
    """A scope that may have due work.

    Attributes:
        scope_id: The scope.
        revision: Its revision when it was read.
        retry_at: Past time from which its failed analyst may be called again; None if the analyst has not failed.
        is_idle: Whether to process incomplete batches too.
        owner: The lease holder; None without a lease.
        until: When the lease expires.
    """

    scope_id: str
    revision: int
    retry_at: datetime | None
    is_idle: bool
    owner: str | None
    until: datetime | None


class DueTable:
    """Finds scopes with due work."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, criteria: DueCriteria, now: datetime) -> Iterator[DueScope]:
        """Yields the scopes that may have due work, oldest first; some of them may have none.

        Scopes whose ``retry_at`` is in the future are skipped.
        """
        after = ""
        is_idle = (scopes.c.touched_at <= criteria.idle_before).label("is_idle")
        columns = (scopes.c.revision, scopes.c.retry_at, is_idle, scopes.c.lease_owner, scopes.c.lease_until)
        ready = sa.or_(scopes.c.retry_at.is_(None), scopes.c.retry_at <= now)
        statement = (
            sa.select(scopes.c.scope_id, *columns).where(ready, _has_work(criteria, now)).order_by(scopes.c.scope_id)
        )
        while True:
            with self._database.read() as connection:
                rows = connection.execute(statement.where(scopes.c.scope_id > after).limit(_BATCH_SCOPES)).all()
            yield from (DueScope(*row) for row in rows)
            if len(rows) < _BATCH_SCOPES:
                return
            after = rows[-1].scope_id


def _has_work(criteria: DueCriteria, now: datetime) -> sa.ColumnElement[bool]:
    in_scope = pages.c.scope_id == scopes.c.scope_id
    model = pages.c.embedded_with
    unembedded = sa.exists().where(in_scope, sa.or_(model.is_(None), model < criteria.model, model > criteria.model))
    outside_window = (in_scope, pages.c.segment_id.is_(None), pages.c.seq <= scopes.c.last_seq - criteria.window)
    has_full_batch = sa.exists(
        sa.select(pages.c.seq).where(*outside_window).correlate(scopes).offset(criteria.batch - 1).limit(1)
    )
    visits, length = criteria.weights
    may_be_hot = sa.exists().where(
        segments.c.scope_id == scopes.c.scope_id,
        segments.c.archived_at.is_(None),
        segments.c.length > 0,
        segments.c.visits * visits + segments.c.length * length > criteria.warm_over,
    )
    has_expired_keys = sa.exists().where(idempotency.c.scope_id == scopes.c.scope_id, is_expired(now))
    is_idle_with_work = sa.and_(
        scopes.c.touched_at <= criteria.idle_before, sa.or_(sa.exists().where(*outside_window), may_be_hot)
    )
    conditions = [unembedded, has_full_batch, is_idle_with_work, has_expired_keys]
    if criteria.provisional:
        mark = sa.or_(pages.c.placed_provisionally.is_(True), pages.c.learned_provisionally.is_(True))
        conditions.append(sa.exists().where(in_scope, mark))
    return sa.or_(*conditions)
