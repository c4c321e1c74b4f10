"""The usage ledger: records the tokens of model calls and enforces the daily token budgets."""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone
from typing import TYPE_CHECKING

from memoryos.errors import BudgetExceededError

if TYPE_CHECKING:
    from collections.abc import Callable

    from memoryos.config import Config
    from memoryos.seams import Meter, Usage
    from memoryos.storage.store import Store

__all__ = ["UsageLedger"]


class UsageLedger:
    """Records the tokens of model calls and checks the daily token budgets.

    Args:
        store: Stores the usage.
        config: Supplies the daily token budgets.
        clock: Returns the current time (aware, UTC).
    """

    def __init__(self, store: Store, config: Config, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._of_store = config.llm_daily_tokens
        self._of_scope = config.llm_daily_tokens_per_scope
        self._clock = clock

    def meter(self, scope_id: str | Callable[[], str], purpose: str) -> Meter:
        """Returns a meter for model calls.

        A meter checks the token budget before each model call, and records the tokens that the call used afterwards.

        Args:
            scope_id: Id of the scope. For a scope that does not exist yet, a function that creates the scope and
                returns its id.
            purpose: Name of the step or request that calls the model.
        """
        return _Meter(self, scope_id if callable(scope_id) else lambda: scope_id, purpose)

    def record(self, scope_id: str, purpose: str, usage: Usage) -> None:
        """Stores the token usage of one model call."""
        self._store.costs.add(scope_id, self._clock().astimezone(timezone.utc).date(), purpose, usage)

    def check(self, scope_id: str) -> None:
        """Checks that the daily token budgets are not used up.

        Raises:
            BudgetExceededError: If the budget of the scope or the budget of the whole store is used up.
        """
        now = self._clock().astimezone(timezone.utc)
        for name, limit, owner in (
            ("llm_daily_tokens_per_scope", self._of_scope, scope_id),
            ("llm_daily_tokens", self._of_store, None),
        ):
            if limit is not None and self._store.costs.tokens(now.date(), owner) >= limit:
                tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), timezone.utc)
                raise BudgetExceededError(
                    f"the daily budget {name} of {limit} tokens is used up; wait until 0:00 UTC or increase {name}",
                    (tomorrow - now).total_seconds(),
                )


class _Meter:
    def __init__(self, ledger: UsageLedger, scope_id: Callable[[], str], purpose: str) -> None:
        self._ledger = ledger
        self._scope_id = scope_id
        self._purpose = purpose

    def allow(self) -> None:
        self._ledger.check(self._scope_id())

    def __call__(self, usage: Usage) -> None:
        self._ledger.record(self._scope_id(), self._purpose, usage)
