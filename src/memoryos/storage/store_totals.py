"""Totals over all scopes for dashboards: the backlog of due work and the cost of model calls.

Counting the backlog needs a few index steps per scope and per due page; it does not depend on the number of other
pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from memoryos.model import Cost
from memoryos.storage.schema import costs, pages, scopes

if TYPE_CHECKING:
    from datetime import date

    from memoryos.storage.database import Database

__all__ = ["Backlog", "StoreTotals"]


@dataclass(frozen=True, slots=True)
class Backlog:
    """The due work of all scopes together.

    Attributes:
        scopes: Number of scopes.
        failing_scopes: Number of scopes whose last analyst call failed.
        due_pages: Number of pages outside short-term memory that have no segment.
        pages_without_vector: Number of pages without a vector of the current embedder.
    """

    scopes: int
    failing_scopes: int
    due_pages: int
    pages_without_vector: int


class StoreTotals:
    """Computes sums over all scopes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def backlog(self, window: int, model: str) -> Backlog:
        """Returns the backlog.

        Args:
            window: Size of short-term memory in log positions; positions of forgotten pages count too.
            model: Name of the current embedder.
        """
        other = sa.or_(pages.c.embedded_with.is_(None), pages.c.embedded_with < model, pages.c.embedded_with > model)
        out = pages.c.seq <= scopes.c.last_seq - window
        with self._database.read() as connection:
            return Backlog(
                scopes=connection.execute(sa.select(sa.func.count()).select_from(scopes)).scalar_one(),
                failing_scopes=connection.execute(
                    sa.select(sa.func.count()).select_from(scopes).where(scopes.c.attempts > 0)
                ).scalar_one(),
                due_pages=_count(connection, pages.c.segment_id.is_(None), out),
                pages_without_vector=_count(connection, other),
            )

    def spent(self, day: date) -> list[Cost]:
        """Returns the cost of model calls of all scopes on a day (UTC), ordered by purpose and model."""
        amounts = (costs.c.calls, costs.c.failed_calls, costs.c.prompt_tokens, costs.c.completion_tokens)
        sums = [sa.cast(sa.func.sum(amount), sa.BigInteger) for amount in amounts]
        statement = sa.select(costs.c.purpose, costs.c.model, *sums, sa.func.sum(costs.c.seconds)).where(
            costs.c.day == day
        )
        grouped = statement.group_by(costs.c.purpose, costs.c.model).order_by(costs.c.purpose, costs.c.model)
        with self._database.read() as connection:
            return [Cost(day, *row) for row in connection.execute(grouped)]


def _count(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> int:
    """Counts pages per scope and adds the counts up; the database can use an index that starts with the scope."""
    per_scope = sa.select(sa.func.count()).select_from(pages).where(pages.c.scope_id == scopes.c.scope_id, *where)
    total = sa.select(sa.func.sum(per_scope.correlate(scopes).scalar_subquery())).select_from(scopes)
    return int(connection.execute(total).scalar_one() or 0)
