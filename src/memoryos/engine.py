"""``MemoryEngine``: opens a database, and creates one ``Memory`` object for each pair of user and assistant."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from memoryos.assembly import Analysts, build_analysts, build_embedder, with_fallback
from memoryos.config import DEFAULT_ASSISTANT_ID, Config
from memoryos.embedding_choice import record_explicit_model, resolve_auto
from memoryos.generation.responder import Responder
from memoryos.inputs import TokenCounter, read_scope
from memoryos.language.passages import vector_model
from memoryos.language.text import estimate_tokens
from memoryos.loading import Loader
from memoryos.memory import Memory
from memoryos.modules import Modules
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

    from memoryos.loading import Loaded
    from memoryos.model import Knowledge, Scope
    from memoryos.seams import Analyst, Embedder

__all__ = ["MemoryEngine"]


class MemoryEngine:
    """The memories of many users in one process, with one store, one embedding model and one background worker.

    Attributes:
        config: All settings.
        clock: Returns the current time (aware, UTC).
        modules: The parts of the engine: database, retriever, updater and so on. All its memories share them.

    Args:
        config: All settings. Default: the settings in environment variables, and default values for all others.
        embedder: Turns texts into vectors. Default: the embedding model of the settings, loaded at its first use.
        analyst: Extracts facts from conversations and answers questions. Default: the configured LLM, or the local
            analyst if there is none.
        fallback_analyst: Used while ``analyst`` fails. Later ``analyst`` repeats this work and replaces the results.
            Ignored without ``analyst``, because then the setting ``on_llm_failure`` selects the fallback.
        clock: Returns the current time (aware, UTC). Default: the system clock. Tests and imports of old
            conversations may pass another clock.
        count_tokens: Counts the tokens of a text, for ``max_tokens`` of a recall; default: an estimate of one token per
            four characters, and of three per four Chinese, Japanese or Korean characters.

    Raises:
        ConfigError: If a setting is out of range or a required package is not installed.
        StoreError: If the database can't be opened; it was not changed.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        embedder: Embedder | None = None,
        analyst: Analyst | None = None,
        fallback_analyst: Analyst | None = None,
        clock: Callable[[], datetime] | None = None,
        count_tokens: Callable[[str], float] | None = None,
    ) -> None:
        self.config = config or Config()
        self.clock = clock or _system_clock
        analysts = build_analysts(self.config) if analyst is None else Analysts(analyst, fallback_analyst)
        store, used_embedder = _open_store(self.config, embedder)
        self.modules = _build_modules(
            self, store, used_embedder, analysts, TokenCounter(count_tokens) if count_tokens else estimate_tokens
        )
        closing = [close_method(used_embedder)] if embedder is None else []
        closing += [close_method(analysts.primary)] if analyst is None else []
        self._close = _make_close_function(self.modules, closing)
        self.modules.maintenance.open()

    @property
    def store(self) -> Store:
        """The database and its tables."""
        return self.modules.store

    @property
    def embedder(self) -> Embedder:
        """The embedder, which turns texts into vectors."""
        return self.modules.embedder

    @property
    def analyst(self) -> Analyst:
        """The analyst with its fallback. It extracts facts from conversations and answers questions."""
        return self.modules.analyst

    @property
    def working_sets(self) -> WorkingSets:
        """The working sets: searchable copies of memories in RAM."""
        return self.modules.working_sets

    @property
    def retriever(self) -> Retriever:
        """The retriever, which ranks pages and facts for a query."""
        return self.modules.retriever

    @property
    def updater(self) -> Updater:
        """The updater, which derives segments, facts and profiles from pages."""
        return self.modules.updater

    @property
    def worker(self) -> Worker:
        """The worker: a background thread that calls the updater when pages must be processed."""
        return self.modules.worker

    @property
    def is_open(self) -> bool:
        """Whether the engine can be used. False after ``close``, and in a forked child process."""
        return self._close.alive and os.getpid() == self.modules.process_id

    def memory(self, user_id: str, assistant_id: str = DEFAULT_ASSISTANT_ID) -> Memory:
        """Returns the memory of one user with one assistant.

        Raises:
            InputError: If an id is not valid.
        """
        return Memory(read_scope(user_id, assistant_id), self.modules)

    def scopes(self) -> tuple[Scope, ...]:
        """Returns every scope of the database, oldest first. A scope is one user with one assistant."""
        return tuple(self.store.scopes.all().values())

    def share_assistant_knowledge(
        self, source: Memory, target: Memory, knowledge_ids: Sequence[str]
    ) -> list[Knowledge]:
        """Copies facts about the assistant from one memory to another, without their source pages.

        Args:
            source: The memory that contains the facts.
            target: The memory that receives them.
            knowledge_ids: Ids of current facts about the assistant. The caller must check that these facts contain no
                personal data of the user of ``source``.

        Raises:
            InputError: If one of the facts is about the user; nothing was copied.
            NotFoundError: If one of the facts is not current in ``source``; nothing was copied.
        """
        now = self.clock()
        source_id, target_id = (self.store.scopes.open(each.scope, now) for each in (source, target))
        return share_assistant_knowledge(self.store, source_id, target_id, knowledge_ids, now)

    def export(self, path: str | Path) -> int:
        """Writes the memories of all users to a new file of JSON lines, and returns the number of pages.

        Raises:
            InputError: If the file exists or can't be written.
        """
        return self.modules.loader.export_store(Path(path))

    def load(self, path: str | Path) -> dict[Scope, Loaded]:
        """Imports the memories of many users from a file, one memory for each user and assistant.

        Args:
            path: A file written by ``MemoryEngine.export``, or the data folder of the program published with the
                MemoryOS paper.

        Returns:
            What was imported, for each pair of user and assistant.

        Raises:
            InputError: If the file can't be read, or does not contain user ids.
        """
        loaded = self.modules.loader.load_store(Path(path), DEFAULT_ASSISTANT_ID)
        if self.config.background:
            self.worker.wake_all(filter(None, map(self.store.scopes.find, loaded)))
        return loaded

    def close(self) -> None:
        """Stops the worker and closes the database. Unfinished work continues when the database is opened again.

        The worker first finishes its current step, e.g. a model call. In a forked child process the method does
        nothing, because the parent process owns the engine.
        """
        self._close()

    def __enter__(self) -> MemoryEngine:  # noqa: PYI034
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open_store(config: Config, embedder: Embedder | None) -> tuple[Store, Embedder]:
    """Opens the store. Returns the store, and the given embedder or the one that the settings or the store name.

    If the settings name the embedder, it is built before the store is created, so that a wrong name creates no store.
    """
    is_given = embedder is not None
    if embedder is None and not config.is_embedding_model_auto:
        embedder = build_embedder(config)
    with contextlib.ExitStack() as stack:
        quota = Quota(config.max_pages_per_scope, config.max_bytes_per_scope)
        store = stack.enter_context(Store(config.database, quota=quota))
        if embedder is None:
            embedder = build_embedder(resolve_auto(config, store))
        elif not is_given:
            record_explicit_model(config, store)
        stack.pop_all()
    return store, embedder


def _build_modules(
    engine: MemoryEngine, store: Store, embedder: Embedder, analysts: Analysts, count_tokens: Callable[[str], float]
) -> Modules:
    """Builds the parts of an engine that use an open store."""
    config, clock, process_id = engine.config, engine.clock, os.getpid()
    analyst = with_fallback(analysts, config)
    model, size = vector_model(embedder.name), config.working_set_max_bytes
    lasting_only = config.lasting_facts_only
    working_sets = WorkingSets(store, model, embedder.dimensions, size, lasting_facts_only=lasting_only, clock=clock)
    ledger = UsageLedger(store, config, clock=clock)
    redoer = None if analysts.fallback is None else analysts.primary
    updater = Updater(store, embedder, analyst, working_sets, config, ledger, redoer=redoer, clock=clock)
    activity = ForegroundActivity()
    maintenance = Maintenance(store, updater.leases, activity, is_background=config.background)
    worker = Worker(updater, store, config, maintenance, activity=activity, clock=clock)
    redactor = Redactor(read_detectors(config.redaction_patterns)) if config.redact_secrets else NO_REDACTION
    return Modules(
        engine=engine,
        config=config,
        clock=clock,
        process_id=process_id,
        store=store,
        redactor=redactor,
        loader=Loader(store, redactor, clock=lambda: clock().astimezone(config.zone)),
        embedder=embedder,
        working_sets=working_sets,
        retriever=Retriever(store, embedder, working_sets, config, count_tokens=count_tokens),
        primary_analyst=analysts.primary,
        analyst=analyst,
        ledger=ledger,
        updater=updater,
        rebuilder=Rebuilder(store, embedder, updater, config, ledger, clock=clock),
        forgetter=Forgetter(store, working_sets, updater.leases, maintenance, clock=clock),
        maintenance=maintenance,
        worker=worker,
        responder=Responder(analyst, config),
    )


def _make_close_function(modules: Modules, closing: list[Callable[[], None]]) -> weakref.finalize[..., Modules]:
    """Returns a function that closes an engine once. Python also calls it when the engine is garbage-collected.

    The function refers to single parts of ``modules``. A reference to ``modules`` itself would prevent its collection.
    """
    parts = modules.worker, modules.maintenance, modules.updater, modules.store
    return weakref.finalize(modules, _close, modules.process_id, *parts, closing)


def _close(
    process_id: int,
    worker: Worker,
    maintenance: Maintenance,
    updater: Updater,
    store: Store,
    closing: list[Callable[[], None]],
) -> None:
    """Stops the worker, closes the database, and then calls each function in ``closing``.

    These functions close the objects that the engine created. In a forked child process nothing is closed.
    """
    if os.getpid() != process_id:
        return
    if worker.is_current_thread():
        # The garbage collector ran in the worker's thread, in the middle of a step, which must end first.
        arguments = (process_id, worker, maintenance, updater, store, closing)
        threading.Thread(target=_close, args=arguments, name="memoryos-close").start()
        return
    worker.stop()
    updater.leases.release_all()
    updater.record_all_visits()
    maintenance.close()
    store.close()
    for close in closing:
        close()


def _system_clock() -> datetime:
    return datetime.now(timezone.utc)
