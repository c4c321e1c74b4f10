"""Finds scopes with due work, without acquiring locks, in a few index steps for each scope."""

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
    """Criteria for the work that is due in a scope.

    Attributes:
        model: Name of the current embedder. Pages without a vector of this model are due for embedding.
        batch: Number of unread pages at which they are read at once.
        idle_before: If the newest page of a scope was added before this time, incomplete batches are due too.
        warm_over: A segment may be hot if the weighted sum of its visits and its length exceeds this value.
        weights: The weight of the visits and the weight of the length.
        provisional: Whether results of the fallback analyst are due to be replaced.
    """

    model: str
    batch: int
    idle_before: datetime
    warm_over: float
    weights: tuple[float, float]
    provisional: bool


@dataclass(frozen=True, slots=True)
class DueScope:
    """A scope that may have due work.

    Attributes:
        scope_id: Id of the scope.
        revision: Revision of the scope at the time of this query. Each write of a worker increases it.
        retry_at: Time from which the analyst may be called again; this time has passed. None if the last call of the
            analyst did not fail.
        is_idle: Whether the scope has had no new page for some time, so that incomplete batches are due too.
        owner: Owner of the lease on the scope; None without a lease.
        until: Time at which this lease expires.
    """

    scope_id: str
    revision: int
    retry_at: datetime | None
    is_idle: bool
    owner: str | None
    until: datetime | None


class DueTable:
    """Finds the scopes with due work."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, criteria: DueCriteria, now: datetime) -> Iterator[DueScope]:
        """Yields the scopes that may have due work, oldest scope first.

        The test is approximate: a yielded scope may have no work. Scopes whose ``retry_at`` is in the future are
        skipped.
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
    unread = (in_scope, pages.c.segment_id.is_(None))
    has_full_batch = sa.exists(
        sa.select(pages.c.seq).where(*unread).correlate(scopes).offset(criteria.batch - 1).limit(1)
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
        scopes.c.touched_at <= criteria.idle_before, sa.or_(sa.exists().where(*unread), may_be_hot)
    )
    conditions = [unembedded, has_full_batch, is_idle_with_work, has_expired_keys]
    if criteria.provisional:
        mark = sa.or_(pages.c.read_provisionally.is_(True), pages.c.profiled_provisionally.is_(True))
        conditions.append(sa.exists().where(in_scope, mark))
    return sa.or_(*conditions)
