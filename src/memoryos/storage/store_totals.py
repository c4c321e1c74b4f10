"""Totals over all scopes for dashboards: the pages that await processing and the cost of model calls.

Counting the waiting pages takes a few index steps for each scope and each waiting page. The number of other pages has
no influence.
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
    """The work that is due in all scopes together.

    Attributes:
        scopes: Number of scopes.
        failing_scopes: Number of scopes whose last analyst call failed.
    <<<<<<< HEAD
        due_pages: Number of pages that were not read yet.
    =======
        due_pages: Number of pages that are due to be read.
    >>>>>>> ts
        pages_without_vector: Number of pages that the current embedder has not embedded yet.
    """

    scopes: int
    failing_scopes: int
    due_pages: int
    pages_without_vector: int


class StoreTotals:
    """Computes totals over all scopes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def backlog(self, model: str) -> Backlog:
        """Counts the work that is due in all scopes.

        Args:
            model: Name of the current embedder.
        """
        has_no_vector = sa.or_(
            pages.c.embedded_with.is_(None), pages.c.embedded_with < model, pages.c.embedded_with > model
        )
        with self._database.read() as connection:
            return Backlog(
                scopes=connection.execute(sa.select(sa.func.count()).select_from(scopes)).scalar_one(),
                failing_scopes=connection.execute(
                    sa.select(sa.func.count()).select_from(scopes).where(scopes.c.attempts > 0)
                ).scalar_one(),
                due_pages=_count(connection, pages.c.segment_id.is_(None)),
                pages_without_vector=_count(connection, has_no_vector),
            )

    def spent(self, day: date) -> list[Cost]:
        """Returns the cost of all scopes' model calls on a day (UTC), ordered by purpose and model."""
        amounts = (costs.c.calls, costs.c.failed_calls, costs.c.prompt_tokens, costs.c.completion_tokens)
        sums = [sa.cast(sa.func.sum(amount), sa.BigInteger) for amount in amounts]
        statement = sa.select(costs.c.purpose, costs.c.model, *sums, sa.func.sum(costs.c.seconds)).where(
            costs.c.day == day
        )
        grouped = statement.group_by(costs.c.purpose, costs.c.model).order_by(costs.c.purpose, costs.c.model)
        with self._database.read() as connection:
            return [Cost(day, *row) for row in connection.execute(grouped)]


def _count(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> int:
    """Counts the pages that satisfy the conditions.

    The statement counts the pages of each scope and adds the counts, because all indexes start with the scope id.
    """
    per_scope = sa.select(sa.func.count()).select_from(pages).where(pages.c.scope_id == scopes.c.scope_id, *where)
    total = sa.select(sa.func.sum(per_scope.correlate(scopes).scalar_subquery())).select_from(scopes)
    return int(connection.execute(total).scalar_one() or 0)
