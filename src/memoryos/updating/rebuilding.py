"""Rebuilding: derives all segments, facts and profiles of a scope again from its pages.

This happens in a temporary store. The result then replaces the current data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.errors import AnalystUnavailableError, BudgetExceededError
from memoryos.language.passages import vector_model
from memoryos.retrieval.working_sets import WorkingSets
from memoryos.seams import MAX_BATCH_PAGES
from memoryos.updating.profiling import PAGES_PER_PROFILING
from memoryos.updating.reading import PAGES_SHOWN_BEFORE
from memoryos.updating.updater import Updater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.model import Origin, Profile
    from memoryos.seams import Analyst, Embedder
    from memoryos.storage.store import Store
    from memoryos.updating.usage_ledger import UsageLedger

__all__ = ["Change", "RebuildCost", "Rebuilder", "Rebuilt"]

BYTES_PER_TOKEN = 4
"""Average bytes of a token, for estimates of costs."""
TOKENS_OF_INSTRUCTIONS = 2_500
"""Approximate tokens of a prompt apart from the pages: instructions and known facts."""
TOKENS_OF_REPLY = 700
"""Approximate tokens of the reply to one call."""
MAX_FAILURES = 3
"""Number of analyst failures after which a rebuild ends. A successful step resets the count."""


@dataclass(frozen=True, slots=True)
class Change:
    """An attribute or a trait whose value differs between the old and the new profile.

    Attributes:
        name: Name of the attribute or trait.
        before: Old value; None if the old profile has no such attribute or trait.
        after: New value; None if the new profile has no such attribute or trait.
    """

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class RebuildCost:
    """An estimate of what an LLM reads and writes in a rebuild. It assumes that all segments are hot.

    Attributes:
        pages: Number of pages of the memory.
        calls: Number of calls.
        prompt_tokens: Tokens of the prompts.
        completion_tokens: Tokens of the replies.
    """

    pages: int
    calls: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Result of a rebuild: the differences between the old and the new data.

    Attributes:
        origin: The analyst that derived the new data.
        segments_before: Number of active segments before the rebuild.
        segments_after: Number of active segments after the rebuild.
        knowledge_kept: Number of facts whose text is the same before and after.
        knowledge_added: Texts of new facts.
        knowledge_removed: Texts of facts that are no longer current. They stay in the history.
        attributes: Profile attributes that differ.
        traits: Traits whose level differs.
        applied: Whether the new data replaced the current data; False after a dry run.
    """

    origin: Origin
    segments_before: int
    segments_after: int
    knowledge_kept: int
    knowledge_added: tuple[str, ...]
    knowledge_removed: tuple[str, ...]
    attributes: tuple[Change, ...]
    traits: tuple[Change, ...]
    applied: bool


class Rebuilder:
    """Derives all segments, facts and profiles of a scope again from its pages.

    This happens in a temporary store. The result replaces the current data in one transaction. A rebuild that fails
    leaves the memory unchanged.

    Args:
        store: The store.
        embedder: Computes missing vectors.
        updater: Supplies the lease, which prevents other workers from updating the scope.
        config: Capacities, thresholds and weights.
        ledger: Records token usage.
        clock: Returns the current time (aware, UTC).
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        updater: Updater,
        config: Config,
        ledger: UsageLedger,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._leases = updater.leases
        self._config = config
        self._ledger = ledger
        self._clock = clock

    def rebuild(
        self, scope_id: str, analyst: Analyst, *, dry_run: bool, progress: Callable[[int], None] | None = None
    ) -> Rebuilt:
        """Derives the segments, facts and profiles of one scope again.

        Args:
            scope_id: Id of the scope.
            analyst: Reads the pages.
            dry_run: Whether only to return the differences, without changing the memory.
            progress: Function that is called before each step with the number of pages that were read.

        Raises:
            AnalystError: If the analyst failed repeatedly; nothing was changed.
            EmbeddingError: If the embedder failed; nothing was changed.
            StoreError: If another worker took the lease; nothing was changed.
        """
        with self._leases.acquire(scope_id) as lease, self._store.scratch(lease) as scratch:
            self._store.copy_log(scratch, scope_id)

            def before_step() -> None:
                self._leases.prolong(lease)
                if progress is not None:
                    progress(scratch.log.count(scope_id) - scratch.log.count_due(scope_id))

            _drain(self._scratch_updater(scratch, analyst), scope_id, before_step)
            rebuilt = self._compare(scratch, scope_id, analyst.origin, applied=not dry_run)
            if not dry_run:
                self._store.replace_tiers(scratch, self._leases.prolong(lease), self._clock())
            return rebuilt

    def estimate(self, scope_id: str) -> RebuildCost:
        """Estimates the LLM calls and tokens of a rebuild of one scope. Reads only counters."""
        usage = self._store.log.usage(scope_id)
        batch = min(self._config.consolidation_batch, MAX_BATCH_PAGES)
        readings = math.ceil(usage.pages / batch)
        profilings = math.ceil(usage.pages / PAGES_PER_PROFILING)
        tokens = usage.bytes // BYTES_PER_TOKEN
        shown_twice = tokens * PAGES_SHOWN_BEFORE // batch
        return RebuildCost(
            pages=usage.pages,
            calls=readings + profilings,
            prompt_tokens=2 * tokens + shown_twice + (readings + profilings) * TOKENS_OF_INSTRUCTIONS,
            completion_tokens=(readings + profilings) * TOKENS_OF_REPLY,
        )

    def _scratch_updater(self, scratch: Store, analyst: Analyst) -> Updater:
        size = self._config.working_set_max_bytes
        model = vector_model(self._embedder.name)
        working_sets = WorkingSets(scratch, model, self._embedder.dimensions, size, clock=self._clock)
        return Updater(scratch, self._embedder, analyst, working_sets, self._config, self._ledger, clock=self._clock)

    def _compare(self, scratch: Store, scope_id: str, origin: Origin, *, applied: bool) -> Rebuilt:
        now = self._clock()
        before, after = (
            {entry.text for entry in store.long_term.knowledge(scope_id, now)} for store in (self._store, scratch)
        )
        old, new = (store.long_term.profile(scope_id, now) for store in (self._store, scratch))
        return Rebuilt(
            origin=origin,
            segments_before=self._store.mid_term.count(scope_id),
            segments_after=scratch.mid_term.count(scope_id),
            knowledge_kept=len(before & after),
            knowledge_added=tuple(sorted(after - before)),
            knowledge_removed=tuple(sorted(before - after)),
            attributes=tuple(_changes(_attributes(old), _attributes(new))),
            traits=tuple(_changes(_traits(old), _traits(new))),
            applied=applied,
        )


def _drain(updater: Updater, scope_id: str, before_step: Callable[[], None]) -> None:
    """Runs all due steps of the scope. If the analyst is unavailable, tries the failed step again.

    Raises:
        AnalystUnavailableError: If a step failed ``MAX_FAILURES`` times in a row.
    """
    failures, steps = 0, 0

    def counted() -> None:
        nonlocal steps
        steps += 1
        before_step()

    while True:
        steps_before = steps
        try:
            updater.drain(scope_id, everything=True, before_step=counted)
        except BudgetExceededError:
            raise
        except AnalystUnavailableError:
            failures = failures + 1 if steps <= steps_before + 1 else 1
            if failures >= MAX_FAILURES:
                raise
        else:
            return


def _attributes(profile: Profile) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    for each in profile.attributes:
        values.setdefault(each.name, []).append(each.value)
    return {name: ", ".join(sorted(each)) for name, each in values.items()}


def _traits(profile: Profile) -> dict[str, str]:
    return {each.dimension: each.level for each in profile.of("user").traits}


def _changes(before: dict[str, str], after: dict[str, str]) -> Iterable[Change]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Change(name, before.get(name), after.get(name))
