"""``Memoryos``: the memory of one user with one assistant, as Fig. 1 of the paper has it.

Storage keeps the tiers, Updating moves pages through them, Retrieval looks things up in all of them, Generation answers
from what was found.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from memoryos.config import Config
from memoryos.engine import DEFAULT_ASSISTANT_ID, MemoryEngine
from memoryos.errors import ConfigError, InputError
from memoryos.generation.responder import Answer
from memoryos.inputs import read_count, read_draft, read_messages, read_query, read_scope
from memoryos.model import ABOUT, Profile
from memoryos.retrieval.recall import Recall, profile_lines
from memoryos.transfer import read_pages, write_pages
from memoryos.updating.heat import heat
from memoryos.updating.stats import NOTHING, count_tiers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from types import TracebackType

    from memoryos.model import About, Knowledge, Page, PageDraft, Segment
    from memoryos.seams import Analyst, Embedder

__all__ = ["Memoryos"]


class Memoryos:
    """The memory of one user with one assistant.

    Args:
        user_id: The user; any text, data and never a path.
        openai_api_key: Key of the LLM's endpoint; unset or a placeholder means no LLM.
        data_storage_path: Folder of the embedded database.
        openai_base_url: Address of an OpenAI-compatible endpoint.
        assistant_id: The assistant; what this user taught it is invisible to every other user.
        short_term_capacity: Pages of short-term memory.
        mid_term_capacity: Segments of mid-term memory.
        long_term_knowledge_capacity: Active entries about the user, and about the assistant.
        retrieval_queue_capacity: Pages that a recall returns unless told otherwise.
        mid_term_heat_threshold: A segment hotter than this is learned from.
        mid_term_similarity_threshold: The F_score from which a topic joins a segment.
        llm_model: Name of the LLM.
        embedding_model_name: Name of the embedder.
        embedding_model_kwargs: Options of an embedder that is not built in.
        database_url: SQLAlchemy URL, instead of ``data_storage_path``.
        config: Every other setting; the arguments above beat it.
        engine: An engine to share with other scopes; then no setting may be given.
        embedder: As for ``MemoryEngine``.
        analyst: As for ``MemoryEngine``.
        clock: As for ``MemoryEngine``.

    Raises:
        ConfigError: If a setting is out of range or can't be met.
        InputError: If an id can't be used.
        StoreError: If the database can't be opened; it is left as it is.
    """

    def __init__(  # noqa: PLR0913, PLR0917  (the documented surface since the first release)
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
    ) -> None:
        self.scope = read_scope(user_id, assistant_id)
        given = {
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
            "database_url": database_url,
        }
        settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        seams = {"config": config, "embedder": embedder, "analyst": analyst, "clock": clock}
        if engine is not None and (settings or any(seams.values())):
            raise ConfigError("a memory that shares an engine takes the engine's settings; give them to MemoryEngine")
        if embedding_model_kwargs:
            raise ConfigError("embedding_model_kwargs: the built-in embedder has no options")
        self._owns_engine = engine is None
        self._engine = engine or MemoryEngine(
            config.with_(**settings) if config else Config.load(**settings),
            embedder=embedder,
            analyst=analyst,
            clock=clock,
        )
        self._known_scope_id: str | None = None
        self._resume()

    @property
    def engine(self) -> MemoryEngine:
        """The engine that it lives in."""
        return self._engine

    @property
    def config(self) -> Config:
        """The settings that it lives under."""
        return self._engine.config

    def add_memory(
        self,
        user_input: str,
        agent_response: str = "",
        timestamp: datetime | str | None = None,
        meta_data: Mapping[str, Any] | None = None,
    ) -> Page:
        """Remembers one exchange; it is on disk, and findable, when this returns. No model is called.

        Args:
            user_input: What the user said; may be empty if the assistant said something.
            agent_response: What the assistant said; may be empty likewise.
            timestamp: When; a datetime or ISO 8601 text, read as UTC without a zone. Default: now.
            meta_data: JSON-compatible; ``user_name`` and ``assistant_name`` name the speakers.

        Raises:
            InputError: If something can't be remembered as it is; nothing was stored.
            StoreError: If it could not be written.
        """
        return self._append([read_draft(user_input, agent_response, timestamp, meta_data, now=self._engine.clock())])[0]

    def add_messages(self, messages: Iterable[Mapping[str, Any]]) -> list[Page]:
        """Remembers an OpenAI message list, all of it or nothing; see ``inputs.read_messages`` for what makes a page.

        Raises:
            InputError: If an entry is no message or can't be remembered; nothing was stored.
            StoreError: If it could not be written.
        """
        return self._append(read_messages(messages, now=self._engine.clock()))

    def recall(self, query: str, *, max_pages: int | None = None, max_tokens: int | None = None) -> Recall:
        """Returns what is remembered for a query, with the reason for each item. Calls no LLM.

        Args:
            query: The question.
            max_pages: Pages at most; default: ``retrieval_queue_capacity``, unless ``max_tokens`` is given.
            max_tokens: Estimated tokens of the recalled pages at most; then single sides of pages may be shown.

        Raises:
            InputError: If the query is empty or no text, or a number is less than 1.
            EmbeddingError: If the embedder failed.
            StoreError: If the store can't be read.
        """
        query = read_query(query)
        max_pages, max_tokens = read_count("max_pages", max_pages), read_count("max_tokens", max_tokens)
        scope_id = self._find_scope_id()
        if scope_id is None:
            return Recall(query)
        self._engine.worker.make_way()
        found = self._engine.retriever.recall(
            scope_id, query, now=self._engine.clock(), max_pages=max_pages, max_tokens=max_tokens
        )
        visited = {each.page.segment_id for each in found.pages if each.page.segment_id is not None}
        if visited:
            self._engine.updater.note_visits(scope_id, visited)
            self._wake(scope_id)
        return found

    @overload
    def get_response(
        self,
        query: str,
        relationship_with_user: str = ...,
        style_hint: str = ...,
        user_conversation_meta_data: Mapping[str, Any] | None = ...,
        *,
        stream: Literal[False] = ...,
        remember: bool = ...,
    ) -> Answer: ...

    @overload
    def get_response(
        self,
        query: str,
        relationship_with_user: str = ...,
        style_hint: str = ...,
        user_conversation_meta_data: Mapping[str, Any] | None = ...,
        *,
        stream: Literal[True],
        remember: bool = ...,
    ) -> Iterator[str]: ...

    def get_response(
        self,
        query: str,
        relationship_with_user: str = "friend",
        style_hint: str = "",
        user_conversation_meta_data: Mapping[str, Any] | None = None,
        *,
        stream: bool = False,
        remember: bool = True,
    ) -> Answer | Iterator[str]:
        """Answers from memory and remembers the exchange if the answer succeeded.

        Args:
            query: The user's words.
            relationship_with_user: What the assistant is to the user.
            style_hint: How to answer.
            user_conversation_meta_data: What the caller knows of this conversation.
            stream: Returns the pieces as they come instead; the exchange is remembered after the last one.
            remember: Whether the exchange becomes a page.

        Returns:
            The answer, a ``str`` with ``sources`` (page ids) and ``recall``.

        Raises:
            InputError: If the query can't be used.
            AnalystError: If the analyst failed; nothing was remembered.
            StoreError: If the store can't be read or written.
        """
        recall = self.recall(query)
        asked_at = self._engine.clock()
        pieces = self._engine.responder.answer(
            recall,
            relationship=relationship_with_user,
            style_hint=style_hint,
            conversation=user_conversation_meta_data,
            remember=(lambda answer: self._remember(query, answer, asked_at)) if remember else _forget_at_once,
        )
        if stream:
            return (piece for piece in pieces if not isinstance(piece, Answer))
        *_, answer = pieces
        if not isinstance(answer, Answer):
            raise TypeError("the responder ended without an answer")
        return answer

    @property
    def profile(self) -> Profile:
        """The user's profile as it is now."""
        scope_id = self._find_scope_id()
        return Profile() if scope_id is None else self._engine.store.long_term.profile(scope_id)

    def knowledge(self, about: About | None = "user", *, history: bool = False) -> list[Knowledge]:
        """Returns what is known, oldest first; with ``history`` what was superseded or archived too.

        Args:
            about: "user", "assistant", or None for both.
            history: Whether entries that are no longer current are listed.

        Raises:
            InputError: If ``about`` is something else.
        """
        if about not in {None, *ABOUT}:
            raise InputError("about", "must be 'user', 'assistant' or None")
        scope_id = self._find_scope_id()
        return [] if scope_id is None else self._engine.store.long_term.knowledge(scope_id, about, history=history)

    def segments(self, *, archived: bool = False) -> list[Segment]:
        """Returns the active (or the archived) segments of mid-term memory, oldest first."""
        scope_id = self._find_scope_id()
        return [] if scope_id is None else self._engine.store.mid_term.all(scope_id, archived=archived)

    def heat(self, *, archived: bool = False) -> list[tuple[Segment, float]]:
        """Returns the active (or the archived) segments with their heat now (Eq. 4), hottest first."""
        now = self._engine.clock()
        warmth = [(each, heat(each, now, self.config.heat)) for each in self.segments(archived=archived)]
        return sorted(warmth, key=lambda each: -each[1])

    def pages(self) -> Iterator[Page]:
        """Yields every page, oldest first."""
        scope_id = self._find_scope_id()
        return iter(()) if scope_id is None else self._engine.store.log.after(scope_id)

    def get_user_profile_summary(self) -> str:
        """Returns the profile and what is known about the user as text; "" if nothing is known yet."""
        lines = profile_lines(self.profile) + [f"- {entry.text}" for entry in self.knowledge("user")]
        return "\n".join(lines)

    def get_assistant_knowledge_summary(self) -> list[str]:
        """Returns what is known about the assistant, oldest first."""
        return [entry.text for entry in self.knowledge("assistant")]

    def force_mid_term_analysis(self) -> int:
        """Consolidates everything due and learns from every segment with unlearned pages, hot or not.

        Returns:
            How many segments were learned from.

        Raises:
            AnalystError: If the analyst failed; what was due stays due.
        """
        scope_id = self._find_scope_id()
        if scope_id is None:
            return 0
        self._engine.updater.drain(scope_id, everything=True)
        learned = self._engine.updater.learn_everything(scope_id)
        self._engine.updater.drain(scope_id, everything=True)
        return learned

    def get_memory_stats(self) -> dict[str, Any]:
        """Returns counts of every tier, what is due, and the analyst's last error."""
        stats: dict[str, Any] = {
            "user_id": self.scope.user_id,
            "assistant_id": self.scope.assistant_id,
            "embedder": self._engine.embedder.name,
            "analyst": self._engine.analyst.origin.analyst,
        }
        scope_id = self._find_scope_id()
        if scope_id is None:
            return stats | NOTHING
        return stats | count_tiers(self._engine.store, scope_id, self._engine.embedder.name, self.config)

    def flush(self, timeout: float | None = None, *, progress: Callable[[], None] | None = None) -> None:
        """Consolidates all that slid out of short-term memory; afterwards no page is due.

        Args:
            timeout: Seconds after which it gives up; what is left stays due.
            progress: Called before each step.

        Raises:
            AnalystError: If the analyst failed; what was due stays due.
            EmbeddingError: If the embedder failed; likewise.
            TimeoutError: If the time was over first.
        """
        scope_id = self._find_scope_id()
        if scope_id is not None:
            self._engine.updater.drain(scope_id, everything=True, timeout_seconds=timeout, before_step=progress)

    def export(self, path: str | Path) -> int:
        """Writes every page as JSON lines, oldest first; returns how many.

        Raises:
            InputError: If the file exists or can't be written.
        """
        return write_pages(Path(path), self.pages())

    def import_pages(self, path: str | Path, *, progress: Callable[[int], None] | None = None) -> int:
        """Remembers the pages of a JSON lines file, in its order; returns how many.

        The whole file is read and checked first; then pages are added a few hundred at a time.

        Args:
            path: Lines as ``export`` writes them; ``user_input`` and ``agent_response`` are understood too.
            progress: Called with the number of pages added so far.

        Raises:
            InputError: If the file or a line can't be read (it says which); nothing was added then.
        """
        drafts = read_pages(Path(path), now=self._engine.clock())
        for start in range(0, len(drafts), _PAGES_A_COMMIT):
            self._append(drafts[start : start + _PAGES_A_COMMIT])
            if progress is not None:
                progress(min(start + _PAGES_A_COMMIT, len(drafts)))
        return len(drafts)

    def close(self) -> None:
        """Closes the engine, unless it is shared. What is due stays due."""
        if self._owns_engine:
            self._engine.close()

    def __enter__(self) -> Memoryos:  # noqa: PYI034
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Memoryos(user_id={self.scope.user_id!r}, assistant_id={self.scope.assistant_id!r})"

    def _append(self, drafts: list[PageDraft]) -> list[Page]:
        if not drafts:
            return []
        self._engine.worker.make_way()
        pages = self._engine.store.log.append(self._scope_id, drafts, self._engine.clock())
        self._wake(self._scope_id)
        return pages

    def _remember(self, query: str, answer: str, asked_at: datetime) -> None:
        self._append([read_draft(query, answer, asked_at, None, now=asked_at)])

    def _wake(self, scope_id: str) -> None:
        if self.config.background:
            self._engine.worker.wake(scope_id)

    def _resume(self) -> None:
        scope_id = self._find_scope_id()
        if scope_id is not None and self.config.background:
            self._engine.worker.wake_all([scope_id])

    @cached_property
    def _scope_id(self) -> str:
        return self._engine.store.scopes.open(self.scope, self._engine.clock())

    def _find_scope_id(self) -> str | None:
        if self._known_scope_id is None:
            self._known_scope_id = self._engine.store.scopes.find(self.scope)
        return self._known_scope_id


def _forget_at_once(answer: str) -> None:
    """Takes an answer that is not to be remembered."""
    del answer


_PAGES_A_COMMIT = 500
