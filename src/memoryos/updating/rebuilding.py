"""Rebuilding: the tiers are derived from the log again, beside the present ones, and then put in their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.errors import AnalystUnavailableError, BudgetExceededError
from memoryos.retrieval.working_sets import WorkingSets
from memoryos.updating.updater import Updater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.model import Origin, Profile
    from memoryos.seams import Analyst, Embedder
    from memoryos.storage.store import Store
    from memoryos.updating.usage_ledger import UsageLedger

__all__ = ["Change", "Rebuilder", "Rebuilt"]

PATIENCE = 3
"""Failures in a row, without a step between them, after which a rebuild gives up."""


@dataclass(frozen=True, slots=True)
class Change:
    """A named thing that differs: what it was and what it is, None where it is not there."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild makes of the tiers.

    Attributes:
        origin: Who derived them.
        segments_before: Active segments as they were.
        segments_after: Active segments as they are.
        knowledge_kept: Facts that are the same word for word.
        knowledge_added: Facts that are new.
        knowledge_removed: Facts that are no longer current; they stay in history.
        attributes: Attributes of the profile that differ.
        traits: Traits that differ in level.
        applied: Whether it was put in place, or only tried.
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
    """Derives a scope's tiers again in a scratch store, compares, and replaces them in one transaction.

    Nothing changes until everything is read: a rebuild that fails leaves the memory as it was.

    Args:
        store: Where everything is kept.
        embedder: Makes the vectors that are not there yet.
        updater: Holds the lease meanwhile, so that nobody else consolidates the scope.
        config: Capacities, thresholds, weights.
        ledger: Takes down what models cost.
        clock: Returns now (aware, UTC).
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
        self, scope_id: str, analyst: Analyst, *, dry_run: bool, progress: Callable[[], None] | None = None
    ) -> Rebuilt:
        """Derives the tiers of one scope by this analyst.

        Args:
            scope_id: The scope.
            analyst: Who reads the log.
            dry_run: Whether to leave the tiers as they are and only say what would change.
            progress: Called before each step.

        Raises:
            AnalystError: If the analyst keeps failing; nothing was changed.
            EmbeddingError: If the embedder failed; likewise.
            StoreError: If another worker took the scope over meanwhile; likewise.
        """
        with self._leases.acquire(scope_id) as lease, self._store.scratch(lease) as scratch:
            self._store.copy_log(scratch, scope_id)

            def before_step() -> None:
                self._leases.prolong(lease)
                if progress is not None:
                    progress()

            _drain(self._scratch_updater(scratch, analyst), scope_id, before_step)
            rebuilt = self._compare(scratch, scope_id, analyst.origin, applied=not dry_run)
            if not dry_run:
                self._store.replace_tiers(scratch, self._leases.prolong(lease), self._clock())
            return rebuilt

    def _scratch_updater(self, scratch: Store, analyst: Analyst) -> Updater:
        size = self._config.working_set_max_bytes
        working_sets = WorkingSets(scratch, self._embedder.name, self._embedder.dimensions, size)
        return Updater(scratch, self._embedder, analyst, working_sets, self._config, self._ledger, clock=self._clock)

    def _compare(self, scratch: Store, scope_id: str, origin: Origin, *, applied: bool) -> Rebuilt:
        before, after = (
            {entry.text for entry in store.long_term.knowledge(scope_id)} for store in (self._store, scratch)
        )
        old, new = (store.long_term.profile(scope_id) for store in (self._store, scratch))
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
            if failures >= PATIENCE:
                raise
        else:
            return


def _attributes(profile: Profile) -> dict[str, str]:
    return {each.name: each.value for each in profile.attributes}


def _traits(profile: Profile) -> dict[str, str]:
    return {each.dimension: each.level for each in profile.traits}


def _changes(before: dict[str, str], after: dict[str, str]) -> Iterable[Change]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Change(name, before.get(name), after.get(name))
