"""``Modules``: the parts of an engine (database, retriever, updater and others), which all its memories share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.assembly import build_analyst
from memoryos.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Any

    from memoryos.assembly import AnalystKind
    from memoryos.config import Config
    from memoryos.generation.responder import Responder
    from memoryos.loading import Loader
    from memoryos.redaction import Redactor
    from memoryos.retrieval.retriever import Retriever
    from memoryos.retrieval.working_sets import WorkingSets
    from memoryos.seams import Analyst, Embedder
    from memoryos.storage.cost_table import CostTable
    from memoryos.storage.long_term_table import LongTermTable
    from memoryos.storage.mid_term_table import MidTermTable
    from memoryos.storage.page_log import PageLog
    from memoryos.storage.scopes import Scopes
    from memoryos.storage.store import Store
    from memoryos.updating.forgetter import Forgetter
    from memoryos.updating.rebuilding import Rebuilder
    from memoryos.updating.store_maintenance import Maintenance
    from memoryos.updating.updater import Updater
    from memoryos.updating.usage_ledger import UsageLedger
    from memoryos.updating.worker import Worker

__all__ = ["Modules"]


@dataclass(frozen=True, eq=False)
class Modules:
    """The parts of an engine. ``MemoryEngine`` builds them once, and all its ``Memory`` objects share them.

    Attributes:
        engine: The ``MemoryEngine``; untyped, because its module imports this one.
        config: All settings.
        clock: Returns the current time (aware, UTC).
        process_id: Id of the process that opened the store. A forked child process can't use the store, because it
            does not inherit threads, locks and connections.
        store: Storage: the database and its tables.
        redactor: Replaces secrets in text before it is stored.
        loader: Imports and exports files.
        embedder: Turns texts into vectors.
        working_sets: The working sets: searchable copies of memories in RAM (LRU cache).
        retriever: Retrieval: ranks pages and facts for a query.
        primary_analyst: The preferred analyst, without its fallback.
        analyst: The primary analyst with its fallback.
        ledger: Records the cost of model calls and enforces the token budget.
        updater: Updating: derives segments, facts and profiles from pages.
        rebuilder: Derives all segments, facts and the profile of a memory again from its pages.
        forgetter: Deletes pages and facts with everything derived from them.
        maintenance: Erases deleted bytes and removes expired rows in the background.
        worker: The background thread that calls the updater.
        responder: Generation: answers a question from the recalled pages and facts.
    """

    engine: Any
    config: Config
    clock: Callable[[], datetime]
    process_id: int
    store: Store
    redactor: Redactor
    loader: Loader
    embedder: Embedder
    working_sets: WorkingSets
    retriever: Retriever
    primary_analyst: Analyst
    analyst: Analyst
    ledger: UsageLedger
    updater: Updater
    rebuilder: Rebuilder
    forgetter: Forgetter
    maintenance: Maintenance
    worker: Worker
    responder: Responder

    @property
    def scopes(self) -> Scopes:
        """The database table of scopes. A scope is one user with one assistant."""
        return self.store.scopes

    @property
    def log(self) -> PageLog:
        """The database table of pages."""
        return self.store.log

    @property
    def mid_term(self) -> MidTermTable:
        """The database tables of segments and chains."""
        return self.store.mid_term

    @property
    def long_term(self) -> LongTermTable:
        """The database tables of facts and profiles."""
        return self.store.long_term

    @property
    def costs(self) -> CostTable:
        """The database table of the costs of model calls."""
        return self.store.costs

    def local_now(self) -> datetime:
        """Returns the current time in the time zone of the settings. Times without a zone are in this zone."""
        return self.clock().astimezone(self.config.zone)

    def check_process(self) -> None:
        """Checks that this process opened the store itself.

        Raises:
            StoreUnavailableError: If the store was opened in a parent process, before ``os.fork``.
        """
        if os.getpid() != self.process_id:
            raise StoreUnavailableError(
                "the store was opened in the parent process; open it again in this forked child process"
            )

    def analyst_of(self, kind: AnalystKind | None) -> Analyst:
        """Returns the LLM analyst or the local analyst, without a fallback. None selects the primary analyst.

        Raises:
            ConfigError: If ``kind`` is "llm" and no LLM is configured.
        """
        is_primary = kind is None or (kind == "local") == (self.primary_analyst.origin.analyst == "local")
        return self.primary_analyst if is_primary else build_analyst(self.config, kind)
