"""The engine: the four modules put together over one store, for many scopes."""

from __future__ import annotations

import logging
import weakref
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from memoryos.config import Config
from memoryos.errors import ConfigError
from memoryos.generation.responder import Responder
from memoryos.retrieval.retriever import Retriever
from memoryos.retrieval.working_set import WorkingSets
from memoryos.storage.store import Store
from memoryos.updating.updater import Updater
from memoryos.updating.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from memoryos.memory import Memoryos
    from memoryos.model import Scope
    from memoryos.seams import Analyst, Embedder

__all__ = ["DEFAULT_ASSISTANT_ID", "MemoryEngine"]

_log = logging.getLogger(__name__)

DEFAULT_ASSISTANT_ID = "default_assistant_profile"


class MemoryEngine:
    """Many scopes in one process: one store, one model in memory, one background worker.

    Args:
        config: All settings; default: the environment and the defaults.
        embedder: Makes vectors; default: the built-in MiniLM, loaded at its first use.
        analyst: Reads conversations; default: the local analyst.
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
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.config = config or Config()
        self.clock = clock or _system_clock
        self.embedder = embedder or _built_in_embedder(self.config)
        self.analyst = analyst or _built_in_analyst(self.config)
        self.store = Store(self.config.database)
        self.working_sets = WorkingSets(
            self.store, self.embedder.name, self.embedder.dimensions, self.config.working_set_max_bytes
        )
        self.updater = Updater(
            self.store, self.embedder, self.analyst, self.working_sets, self.config, clock=self.clock
        )
        self.retriever = Retriever(self.store, self.embedder, self.working_sets, self.config)
        self.responder = Responder(self.analyst)
        self.worker = Worker(self.updater, self.store, self.config, clock=self.clock)
        self._shut = weakref.finalize(self, _shut, self.worker, self.updater, self.store)

    def memory(self, user_id: str, assistant_id: str = DEFAULT_ASSISTANT_ID) -> Memoryos:
        """Returns the memory of one user with one assistant.

        Raises:
            InputError: If an id can't be used.
        """
        from memoryos.memory import Memoryos  # noqa: PLC0415  (a memory knows its engine; the engine only hands it out)

        return Memoryos(user_id, assistant_id=assistant_id, engine=self)

    def scopes(self) -> tuple[Scope, ...]:
        """Returns every scope that anything was remembered for, oldest first."""
        return tuple(self.store.scopes.all().values())

    def close(self) -> None:
        """Ends the worker after the step that it is in and closes the store. What is left stays due."""
        self._shut()

    def __enter__(self) -> MemoryEngine:  # noqa: PYI034
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_said: set[str] = set()


def _system_clock() -> datetime:
    return datetime.now(timezone.utc)


def _built_in_embedder(config: Config) -> Embedder:
    from memoryos.models.minilm import MODEL_NAMES, MiniLM  # noqa: PLC0415  (imports ONNX Runtime)

    if config.embedding_model_name not in MODEL_NAMES:
        raise ConfigError(
            f"embedding_model_name: {config.embedding_model_name!r} is not built in; use 'all-MiniLM-L6-v2' "
            "or pass embedder=..."
        )
    return MiniLM()


def _built_in_analyst(config: Config) -> Analyst:
    from memoryos.analysts.local import LocalAnalyst  # noqa: PLC0415  (compiles its patterns)

    if config.has_llm:
        _say_once(
            logging.WARNING, "an LLM key is set, but this release has no LLM analyst yet: the local analyst reads"
        )
    else:
        _say_once(logging.INFO, "no LLM key is set: the local analyst reads and answers, nothing leaves this machine")
    return LocalAnalyst()


def _say_once(level: int, message: str) -> None:
    if message not in _said:
        _said.add(message)
        _log.log(level, message)


def _shut(worker: Worker, updater: Updater, store: Store) -> None:
    worker.stop()
    updater.record_all_visits()
    store.close()
