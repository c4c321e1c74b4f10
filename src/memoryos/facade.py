"""``Memoryos``: opens a database and the memory of one user in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memoryos.config import DEFAULT_ASSISTANT_ID, Config
from memoryos.errors import ConfigError
from memoryos.inputs import read_scope
from memoryos.memory import Memory
from memoryos.shared_engines import join_engine, leave_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from memoryos.engine import MemoryEngine
    from memoryos.seams import Analyst, Embedder

__all__ = ["Memoryos"]


class Memoryos(Memory):
    """The memory of one user with one assistant. The constructor opens the database.

    Objects of one process with equal settings share one engine: its database connections, embedding model and
    background worker.

    Args:
        user_id: Id of the user: any text. It is never used as a path.
        openai_api_key: API key of the LLM's endpoint. If it is unset or a placeholder, no LLM is used.
        data_storage_path: Folder of the SQLite database.
        openai_base_url: Address of an OpenAI-compatible endpoint.
        assistant_id: The assistant. Each pair of user and assistant has a memory of its own.
        short_term_capacity: Number of pages in short-term memory.
        mid_term_capacity: Maximum number of active segments in mid-term memory.
        long_term_knowledge_capacity: Maximum number of active facts about the user. The same limit applies to the facts
            about the assistant.
        retrieval_queue_capacity: Default number of pages that a recall returns.
        mid_term_heat_threshold: Facts are extracted from segments with more heat than this.
        mid_term_similarity_threshold: Minimum similarity (F_score, Eq. 3) at which a topic joins an existing segment.
        llm_model: Name of the LLM.
        embedding_model_name: Name of the embedding model. Default: "auto", the model chosen when the store was created.
        embedding_model_kwargs: Options of a sentence-transformers model.
        database_url: SQLAlchemy URL of a database, instead of ``data_storage_path``.
        config: All other settings. The arguments above take precedence.
        engine: An open engine to use. It stays open after ``close``. No setting may be passed together with it.
        embedder: Turns texts into vectors; see ``MemoryEngine``.
        analyst: Extracts facts from conversations and answers questions; see ``MemoryEngine``.
        clock: Returns the current time (aware, UTC); see ``MemoryEngine``.
        count_tokens: Counts the tokens of a text; see ``MemoryEngine``.

    Raises:
        ConfigError: If a setting is out of range or a required package is not installed.
        InputError: If an id is not valid.
        StoreError: If the database can't be opened; it was not changed.
    """

    def __init__(  # noqa: PLR0913, PLR0917  (the public signature since the first release)
        self,
        user_id: str,
        openai_api_key: str | None = None,
        data_storage_path: str | Path | None = None,
        openai_base_url: str | None = None,
        assistant_id: str = DEFAULT_ASSISTANT_ID,
        short_term_capacity: int | None = None,
        mid_term_capacity: int | None = None,
        long_term_knowledge_capacity: int | None = None,
        retrieval_queue_capacity: int | None = None,
        mid_term_heat_threshold: float | None = None,
        mid_term_similarity_threshold: float | None = None,
        llm_model: str | None = None,
        embedding_model_name: str | None = None,
        embedding_model_kwargs: Mapping[str, Any] | None = None,
        *,
        database_url: str | None = None,
        config: Config | None = None,
        engine: MemoryEngine | None = None,
        embedder: Embedder | None = None,
        analyst: Analyst | None = None,
        clock: Callable[[], datetime] | None = None,
        count_tokens: Callable[[str], float] | None = None,
    ) -> None:
        scope = read_scope(user_id, assistant_id)
        arguments = {
            "openai_api_key": openai_api_key,
            "data_storage_path": data_storage_path,
            "openai_base_url": openai_base_url or None,
            "short_term_capacity": short_term_capacity,
            "mid_term_capacity": mid_term_capacity,
            "long_term_knowledge_capacity": long_term_knowledge_capacity,
            "retrieval_queue_capacity": retrieval_queue_capacity,
            "mid_term_heat_threshold": mid_term_heat_threshold,
            "mid_term_similarity_threshold": mid_term_similarity_threshold,
            "llm_model": llm_model,
            "embedding_model_name": embedding_model_name,
            "embedding_model_kwargs": dict(embedding_model_kwargs) if embedding_model_kwargs else None,
            "database_url": database_url,
        }
        settings: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
        if engine is not None and (settings or any((config, embedder, analyst, clock, count_tokens))):
            raise ConfigError(
                "the argument 'engine' can't be combined with settings; pass the settings to MemoryEngine instead"
            )
        self._owns_engine = engine is None
        if engine is None:
            complete_config = config.with_(**settings) if config else Config.load(**settings)
            engine = join_engine(
                self, complete_config, embedder=embedder, analyst=analyst, clock=clock, count_tokens=count_tokens
            )
        super().__init__(scope, engine.modules)

    @property
    def engine(self) -> MemoryEngine:
        """The engine. Other ``Memoryos`` objects with equal settings share it."""
        engine: MemoryEngine = self.modules.engine
        return engine

    def close(self) -> None:
        """Closes this memory, and its engine if no other ``Memoryos`` object uses it.

        Unfinished work continues when the database is opened again. If the constructor received an ``engine``, the
        method does nothing.
        """
        if self._owns_engine and self._handle.close():
            leave_engine(self, self.engine)

    def __enter__(self) -> Memoryos:  # noqa: PYI034
        return self
