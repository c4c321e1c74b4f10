"""How much the whole store has still to do: numbers for dashboards, never content.

The cost is a few steps in an index for each scope and for each page that is due, however many pages there are.
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
    """What is due in all scopes together.

    Attributes:
        scopes: How many scopes there are.
        failing_scopes: Those whose analyst failed last.
        due_pages: Pages that slid out of short-term memory and have no segment.
        pages_without_vector: Pages without a vector of the model.
    """

    scopes: int
    failing_scopes: int
    due_pages: int
    pages_without_vector: int


class StoreTotals:
    """Sums over all scopes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def backlog(self, window: int, model: str) -> Backlog:
        """Returns what is due.

        Args:
            window: Pages of short-term memory. Pages that were forgotten count as if they stood in it.
            model: Name of the embedder.
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
        """Returns what models cost all scopes together on a day (UTC), by purpose and model."""
        amounts = (costs.c.calls, costs.c.failed_calls, costs.c.prompt_tokens, costs.c.completion_tokens)
        sums = [sa.cast(sa.func.sum(amount), sa.BigInteger) for amount in amounts]
        statement = sa.select(costs.c.purpose, costs.c.model, *sums, sa.func.sum(costs.c.seconds)).where(
            costs.c.day == day
        )
        grouped = statement.group_by(costs.c.purpose, costs.c.model).order_by(costs.c.purpose, costs.c.model)
        with self._database.read() as connection:
            return [Cost(day, *row) for row in connection.execute(grouped)]


def _count(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> int:
    """Counts pages scope by scope, so that an index finds those of each without a look at the others."""
    mine = sa.select(sa.func.count()).select_from(pages).where(pages.c.scope_id == scopes.c.scope_id, *where)
    total = sa.select(sa.func.sum(mine.correlate(scopes).scalar_subquery())).select_from(scopes)
    return int(connection.execute(total).scalar_one() or 0)
