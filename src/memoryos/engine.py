"""The engine: the four modules put together over one store, for many scopes."""

from __future__ import annotations

import os
import weakref
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from memoryos.assembly import Analysts, build_analyst, build_analysts, build_embedder, with_fallback
from memoryos.config import DEFAULT_ASSISTANT_ID, Config
from memoryos.errors import StoreUnavailableError
from memoryos.generation.responder import Responder
from memoryos.loading import Loader
from memoryos.optional_methods import close_method
from memoryos.redaction import NO_REDACTION, Redactor, read_detectors
from memoryos.retrieval.retriever import Retriever
from memoryos.retrieval.working_sets import WorkingSets
from memoryos.storage.store import Store
from memoryos.storage.usage import Quota
from memoryos.updating.foreground import ForegroundActivity
from memoryos.updating.forgetter import Forgetter
from memoryos.updating.rebuilding import Rebuilder
from memoryos.updating.sharing import share_assistant_knowledge
from memoryos.updating.store_maintenance import Maintenance
from memoryos.updating.updater import Updater
from memoryos.updating.usage_ledger import UsageLedger
from memoryos.updating.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from memoryos.assembly import AnalystKind
    from memoryos.loading import Loaded
    from memoryos.memory import Memoryos
    from memoryos.model import Knowledge, Scope
    from memoryos.seams import Analyst, Embedder

__all__ = ["MemoryEngine"]


class MemoryEngine:
    """Many scopes in one process: one store, one model in memory, one background worker.

    Args:
        config: All settings; default: the environment and the defaults.
        embedder: Makes vectors; default: the built-in MiniLM, loaded at its first use.
        analyst: Reads conversations; default: the LLM of the settings, or the local analyst if no LLM is configured.
        fallback_analyst: Used while ``analyst`` fails; ``analyst`` later redoes its work. Ignored without ``analyst``:
            then ``Config.on_llm_failure`` decides.
        clock: Returns now (aware, UTC); default: the system's clock. Dialogues may be dated years ago.

    Raises:
        ConfigError: If a setting can't be met, as an embedder that is not installed.
        StoreError: If the database can't be opened; it is left as it is.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        embedder: Embedder | None = None,
        analyst: Analyst | None = None,
        fallback_analyst: Analyst | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._process = os.getpid()
        self.config = config or Config()
        self.clock = clock or _system_clock
        self.embedder = embedder or build_embedder(self.config)
        analysts = build_analysts(self.config) if analyst is None else Analysts(analyst, fallback_analyst)
        self._primary_analyst = analysts.primary
        self.analyst = with_fallback(analysts, self.config)
        quota = Quota(self.config.max_pages_per_scope, self.config.max_bytes_per_scope)
        self.store = Store(self.config.database, quota=quota)
        self.working_sets = WorkingSets(
            self.store, self.embedder.name, self.embedder.dimensions, self.config.working_set_max_bytes
        )
        self.ledger = UsageLedger(self.store, self.config, clock=self.clock)
        self.updater = Updater(
            self.store,
            self.embedder,
            self.analyst,
            self.working_sets,
            self.config,
            self.ledger,
            redoer=None if analysts.fallback is None else analysts.primary,
            clock=self.clock,
        )
        self.retriever = Retriever(self.store, self.embedder, self.working_sets, self.config)
        self.rebuilder = Rebuilder(self.store, self.embedder, self.updater, self.config, self.ledger, clock=self.clock)
        activity = ForegroundActivity()
        self.maintenance = Maintenance(self.store, self.updater.leases, activity, is_background=self.config.background)
        self.forgetter = Forgetter(
            self.store, self.working_sets, self.updater.leases, self.maintenance, clock=self.clock
        )
        self.redactor = NO_REDACTION
        if self.config.redact_secrets:
            self.redactor = Redactor(read_detectors(self.config.redaction_patterns))
        self.loader = Loader(self.store, self.redactor, clock=self.clock)
        self.responder = Responder(self.analyst, self.config)
        self.worker = Worker(
            self.updater, self.store, self.config, self.maintenance, activity=activity, clock=self.clock
        )
        closing = [close_method(self.embedder)] if embedder is None else []
        closing += [close_method(analysts.primary)] if analyst is None else []
        modules = (self.worker, self.maintenance, self.updater, self.store)
        self._shut = weakref.finalize(self, _shut, self._process, *modules, closing)
        self.maintenance.open()

    @property
    def is_open(self) -> bool:
        """Whether it can be used: it was not closed, and no parent process opened it."""
        return self._shut.alive and os.getpid() == self._process

    def check_process(self) -> None:
        """Raises an error in a forked child: locks, threads and connections of the engine are its parent's.

        Raises:
            StoreUnavailableError: If a parent process opened the engine.
        """
        if os.getpid() != self._process:
            raise StoreUnavailableError("the store was opened before this process was forked; open it again here")

    def memory(self, user_id: str, assistant_id: str = DEFAULT_ASSISTANT_ID) -> Memoryos:
        """Returns the memory of one user with one assistant.

        Raises:
            InputError: If an id can't be used.
        """
        from memoryos.memory import Memoryos  # noqa: PLC0415  (a memory knows its engine; the engine only hands it out)

        return Memoryos(user_id, assistant_id=assistant_id, engine=self)

    def analyst_of(self, kind: AnalystKind | None) -> Analyst:
        """Returns the analyst of a kind, without a fallback; None means the engine's primary analyst.

        Raises:
            ConfigError: If an LLM is asked for and none is set.
        """
        primary = self._primary_analyst
        is_primary = kind is None or (kind == "local") == (primary.origin.analyst == "local")
        return primary if is_primary else build_analyst(self.config, kind)

    def scopes(self) -> tuple[Scope, ...]:
        """Returns every scope that anything was remembered for, oldest first."""
        return tuple(self.store.scopes.all().values())

    def share_assistant_knowledge(
        self, source: Memoryos, target: Memoryos, knowledge_ids: Sequence[str]
    ) -> list[Knowledge]:
        """Lets another user's assistant know what this one's was taught: only these facts about the assistant.

        Args:
            source: Where they are known.
            target: Where they shall be known too.
            knowledge_ids: Ids of current facts about the assistant, reviewed by whoever calls this.

        Raises:
            InputError: If a fact is about the user.
            NotFoundError: If a fact is not current in the source; nothing was shared.
        """
        now = self.clock()
        source_id, target_id = (self.store.scopes.open(each.scope, now) for each in (source, target))
        return share_assistant_knowledge(self.store, source_id, target_id, knowledge_ids, now)

    def export(self, path: str | Path) -> int:
        """Writes every scope of the store to a new file of JSON lines; returns how many pages.

        Raises:
            InputError: If the file exists or can't be written.
        """
        return self.loader.export_store(Path(path))

    def load(self, path: str | Path) -> dict[Scope, Loaded]:
        """Reads an export of a store, or the folder of the published program, each user into a scope of its own.

        Raises:
            InputError: If nothing can be read, or a user is not named.
        """
        loaded = self.loader.load_store(Path(path), DEFAULT_ASSISTANT_ID)
        if self.config.background:
            self.worker.wake_all(filter(None, map(self.store.scopes.find, loaded)))
        return loaded

    def close(self) -> None:
        """Ends the worker after the step that it is in and closes the store. What is left stays due.

        In a forked child nothing happens: the engine is its parent's.
        """
        self._shut()

    def __enter__(self) -> MemoryEngine:  # noqa: PYI034
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _system_clock() -> datetime:
    return datetime.now(timezone.utc)


def _shut(
    process: int,
    worker: Worker,
    maintenance: Maintenance,
    updater: Updater,
    store: Store,
    closing: list[Callable[[], None]],
) -> None:
    """Stops the worker, closes the store, then calls ``closing``: embedder and analyst, if the engine built them.

    Does nothing in a forked child.
    """
    if os.getpid() != process:
        return
    worker.stop()
    updater.leases.release_all()
    updater.record_all_visits()
    maintenance.close()
    store.close()
    for close in closing:
        close()
