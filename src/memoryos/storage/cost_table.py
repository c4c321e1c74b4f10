"""Stores the costs of model calls, added up by scope, day, purpose and model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from memoryos.model import Cost
from memoryos.storage.schema import costs

if TYPE_CHECKING:
    from datetime import date

    from memoryos.seams import Usage
    from memoryos.storage.database import Database

__all__ = ["CostTable"]

_TOKENS = costs.c.prompt_tokens + costs.c.completion_tokens


class CostTable:
    """Records the costs of model calls and returns their sums."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, scope_id: str, day: date, purpose: str, usage: Usage) -> None:
        """Adds the usage of one call to the sums of its scope, day, purpose and model."""
        key = {"scope_id": scope_id, "day": day, "purpose": purpose, "model": usage.model}
        amounts = {
            "calls": 1,
            "failed_calls": int(usage.failed),
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "seconds": usage.seconds,
        }
        where = [costs.c[name] == value for name, value in key.items()]
        sums = {name: costs.c[name] + amount for name, amount in amounts.items()}
        with self._database.write(scope_id) as connection:
            if connection.execute(sa.update(costs).where(*where).values(**sums)).rowcount == 0:
                connection.execute(sa.insert(costs).values(**key, **amounts))

    def of(self, scope_id: str) -> list[Cost]:
        """Returns the costs of a scope, ordered by day (oldest first), then purpose, then model."""
        statement = sa.select(costs).where(costs.c.scope_id == scope_id)
        with self._database.read(scope_id) as connection:
            rows = connection.execute(statement.order_by(costs.c.day, costs.c.purpose, costs.c.model)).all()
        return [
            Cost(
                day=row.day,
                purpose=row.purpose,
                model=row.model,
                calls=row.calls,
                failed_calls=row.failed_calls,
                prompt_tokens=row.prompt_tokens,
                completion_tokens=row.completion_tokens,
                seconds=row.seconds,
            )
            for row in rows
        ]

    def totals(self, scope_id: str) -> tuple[int, int]:
        """Returns two sums over all days of a scope: the number of calls and the number of tokens."""
        sums = [sa.func.coalesce(sa.func.sum(each), 0) for each in (costs.c.calls, _TOKENS)]
        with self._database.read(scope_id) as connection:
            calls, tokens = connection.execute(sa.select(*sums).where(costs.c.scope_id == scope_id)).one()
        return int(calls), int(tokens)

    def tokens(self, day: date, scope_id: str | None = None) -> int:
        """Returns the number of tokens used on a day (UTC) by one scope, or by all scopes.

        Args:
            day: The day in UTC.
            scope_id: Id of the scope; None for all scopes.
        """
        total = sa.func.coalesce(sa.func.sum(_TOKENS), 0)
        statement = sa.select(total).where(costs.c.day == day)
        if scope_id is not None:
            statement = statement.where(costs.c.scope_id == scope_id)
        with self._database.read(scope_id) as connection:
            return int(connection.execute(statement).scalar_one())
