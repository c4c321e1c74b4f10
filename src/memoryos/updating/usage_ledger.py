"""The ledger: takes down what models cost and says when a day's tokens are used up."""

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
    """Hands out meters.

    Args:
        store: Where costs are kept.
        config: What may be spent in a day.
        clock: Returns now (aware, UTC).
    """

    def __init__(self, store: Store, config: Config, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._of_store = config.llm_daily_tokens
        self._of_scope = config.llm_daily_tokens_per_scope
        self._clock = clock

    def meter(self, scope_id: str | Callable[[], str], purpose: str) -> Meter:
        """Returns the meter of one scope for one purpose; a scope that may not be there yet is given as a call."""
        return _Meter(self, scope_id, purpose)

    def record(self, scope_id: str, purpose: str, usage: Usage) -> None:
        """Writes down what one call cost."""
        self._store.costs.add(scope_id, self._clock().astimezone(timezone.utc).date(), purpose, usage)

    def check(self, scope_id: str) -> None:
        """Raises ``BudgetExceededError`` if the day's tokens of the scope or of the store are used up."""
        now = self._clock().astimezone(timezone.utc)
        for name, limit, owner in (
            ("llm_daily_tokens_per_scope", self._of_scope, scope_id),
            ("llm_daily_tokens", self._of_store, None),
        ):
            if limit is not None and self._store.costs.tokens(now.date(), owner) >= limit:
                tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), timezone.utc)
                raise BudgetExceededError(
                    f"the {limit} tokens of {name} are used up until tomorrow", (tomorrow - now).total_seconds()
                )


class _Meter:
    def __init__(self, ledger: UsageLedger, scope_id: str | Callable[[], str], purpose: str) -> None:
        self._ledger = ledger
        self._scope_id = scope_id
        self._purpose = purpose

    def allow(self) -> None:
        self._ledger.check(self._found())

    def __call__(self, usage: Usage) -> None:
        self._ledger.record(self._found(), self._purpose, usage)

    def _found(self) -> str:
        return self._scope_id if isinstance(self._scope_id, str) else self._scope_id()
