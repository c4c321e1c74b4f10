"""``Memoryos``: the memory of one user with one assistant, as Fig. 1 of the paper has it.

Storage keeps the tiers, Updating moves pages through them, Retrieval looks things up in all of them, Generation answers
from what was found.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

from memoryos.config import DEFAULT_ASSISTANT_ID, Config
from memoryos.errors import AnalystError, ConfigError, StoreUnavailableError
from memoryos.generation.responder import Answer, AnswerStream, AnswerStyle
from memoryos.idempotent_requests import NO_TIME, answer_request, append_request, repeated_answer
from memoryos.inputs import read_draft, read_messages, read_query, read_scope
from memoryos.model import ANSWERED_FROM
from memoryos.shared_engines import join_engine, leave_engine
from memoryos.upkeep import MemoryUpkeep

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from memoryos.engine import MemoryEngine
    from memoryos.model import Page, PageDraft
    from memoryos.retrieval.recall import Recall
    from memoryos.seams import Analyst, Embedder
    from memoryos.storage.idempotency import IdempotencyKey

__all__ = ["Memoryos"]


class Memoryos(MemoryUpkeep):
    """The memory of one user with one assistant.

    Objects with equal settings on one store share its connections, model and worker; those with other settings have
    an engine of their own.

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
        embedding_model_kwargs: Options of a model of sentence-transformers.
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
        scope = read_scope(user_id, assistant_id)
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
            "embedding_model_kwargs": dict(embedding_model_kwargs) if embedding_model_kwargs else None,
            "database_url": database_url,
        }
        settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        seams = {"config": config, "embedder": embedder, "analyst": analyst, "clock": clock}
        if engine is not None and (settings or any(seams.values())):
            raise ConfigError("a memory that shares an engine takes the engine's settings; give them to MemoryEngine")
        self._owns_engine = engine is None
        if engine is None:
            settled = config.with_(**settings) if config else Config.load(**settings)
            engine = join_engine(self, settled, embedder=embedder, analyst=analyst, clock=clock)
        self._is_closed = False
        super().__init__(scope, engine)
        self._resume()

    def add_memory(
        self,
        user_input: str,
        agent_response: str = "",
        timestamp: datetime | str | None = None,
        meta_data: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Page:
        """Remembers one exchange; it is on disk, and findable, when this returns. No model is called.

        Args:
            user_input: What the user said; may be empty if the assistant said something.
            agent_response: What the assistant said; may be empty likewise.
            timestamp: When; a datetime or ISO 8601 text, read as UTC without a zone. Default: now.
            meta_data: JSON-compatible; ``user_name`` and ``assistant_name`` name the speakers.
            idempotency_key: A name that the caller gives this request: when it is sent again, because its answer was
                lost, it returns the page of the first time. It is known for a week at least.

        Raises:
            InputError: If something can't be remembered as it is, or the key was used for another request; nothing was
                stored.
            NotFoundError: If this request was done, and what it stored was forgotten since; nothing was stored.
            StoreError: If it could not be written.
        """
        return self._append(
            lambda now: [read_draft(user_input, agent_response, timestamp, meta_data, now=now)], idempotency_key
        )[0]

    def add_messages(self, messages: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None) -> list[Page]:
        """Remembers an OpenAI message list, all of it or nothing; see ``inputs.read_messages`` for what makes a page.

        Args:
            messages: The list.
            idempotency_key: As for ``add_memory``.

        Raises:
            InputError: If an entry is no message or can't be remembered, or the key was used for another request;
                nothing was stored.
            NotFoundError: If this request was done, and what it stored was forgotten since; nothing was stored.
            StoreError: If it could not be written.
        """
        given = messages if idempotency_key is None else list(messages)
        return self._append(lambda now: read_messages(given, now=now), idempotency_key)

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
        idempotency_key: str | None = ...,
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
        idempotency_key: str | None = ...,
    ) -> AnswerStream: ...

    def get_response(
        self,
        query: str,
        relationship_with_user: str = "friend",
        style_hint: str = "",
        user_conversation_meta_data: Mapping[str, Any] | None = None,
        *,
        stream: bool = False,
        remember: bool = True,
        idempotency_key: str | None = None,
    ) -> Answer | AnswerStream:
        """Answers from memory and remembers the exchange if the answer succeeded.

        Args:
            query: The user's words.
            relationship_with_user: What the assistant is to the user.
            style_hint: How to answer.
            user_conversation_meta_data: What the caller knows of this conversation.
            stream: Returns the pieces as they come instead; the exchange is remembered after the last one.
            remember: Whether the exchange becomes a page.
            idempotency_key: As for ``add_memory``: when this request is sent again it returns the remembered answer,
                with its sources and without a recall, and calls no model.

        Returns:
            The answer, a ``str`` with ``sources`` (page ids), ``recall``, ``origin`` (who answered) and ``flagged``
            (pages in its context that read like instructions to a model); with ``stream`` an iterator of its pieces
            with ``recall`` and, in the end, ``answer``.

        Raises:
            InputError: If the query can't be used, or the key was used for another request.
            NotFoundError: If this request was answered, and the answer was forgotten since.
            AnalystError: If the analyst failed; nothing was remembered.
            StoreError: If the store can't be read or written.
        """
        query = read_query(query)
        style = AnswerStyle(relationship_with_user, style_hint, user_conversation_meta_data)
        once = None
        if idempotency_key is not None:
            once = self._once_answered(idempotency_key, query, style, remember=remember)
        known = None if once is None else self._answered(query, once)
        if known is not None:
            return AnswerStream(known.recall, _replay(known)) if stream else known
        recall = self.recall(query)
        asked_at = self._engine.clock()
        answering = self._answer(recall, style, stream=stream)
        if remember:
            answering = self._remembering(answering, query, asked_at, once)
        pieces = AnswerStream(recall, answering)
        return pieces if stream else pieces.finish()

    def close(self) -> None:
        """Ends the use of this memory. What is due stays due.

        Objects with equal settings on one store share an engine; the last one that is closed closes it. An engine that
        was given stays open, and so does this memory.
        """
        if self._owns_engine and not self._is_closed:
            self._is_closed = True
            leave_engine(self, self.engine)

    def __enter__(self) -> Memoryos:  # noqa: PYI034
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Memoryos(user_id={self.scope.user_id!r}, assistant_id={self.scope.assistant_id!r})"

    def _check_usable(self) -> None:
        super()._check_usable()
        if self._is_closed:
            raise StoreUnavailableError("the store is closed")

    def _append(
        self,
        read: Callable[[datetime], list[PageDraft]],
        idempotency_key: str | None = None,
        *,
        once: IdempotencyKey | None = None,
    ) -> list[Page]:
        now = self._engine.clock()
        redactor = self._engine.redactor
        drafts = [redactor.draft(each) for each in read(now)]
        if idempotency_key is not None:
            once = append_request(idempotency_key, [redactor.draft(each) for each in read(NO_TIME)])
        if not drafts:
            return []
        self._engine.worker.note_foreground_activity()
        pages = self._engine.store.log.append(self._scope_id, drafts, now, idempotency_key=once)
        self._wake(self._scope_id)
        return pages

    def _answer(self, recall: Recall, style: AnswerStyle, *, stream: bool) -> Generator[str, None, Answer]:
        """Yields the answer in pieces and returns the whole answer; records its cost and a failure of the analyst."""
        meter = self._engine.ledger.meter(lambda: self._scope_id, ANSWER)
        try:
            return (yield from self._engine.responder.answer(recall, style, meter, stream=stream))
        except AnalystError as error:
            self._engine.updater.note_failure(self._scope_id, ANSWER, error)
            raise

    def _remembering(
        self, answering: Generator[str, None, Answer], query: str, asked_at: datetime, once: IdempotencyKey | None
    ) -> Generator[str, None, Answer]:
        """Yields the pieces of an answer, then remembers the exchange and returns the remembered answer.

        Nothing is remembered if the analyst fails or the caller closes the generator before the last piece.
        """
        answer = yield from answering
        return self._remember(query, answer, asked_at, once)

    def _answered(self, query: str, once: IdempotencyKey) -> Answer | None:
        scope_id = self._find_scope_id()
        pages = None if scope_id is None else self._engine.store.log.find_repeated(scope_id, once)
        return repeated_answer(query, pages[0]) if pages else None

    def _remember(self, query: str, answer: Answer, asked_at: datetime, once: IdempotencyKey | None) -> Answer:
        sources = dict.fromkeys(answer.sources)
        for each in answer.recall.knowledge:
            if each.text in answer:
                sources |= dict.fromkeys(each.source_page_ids)
        metadata = {ANSWERED_FROM: list(sources)} if sources else None
        (page,) = self._append(lambda now: [read_draft(query, str(answer), asked_at, metadata, now=now)], once=once)
        is_ours = page.assistant_text == self._engine.redactor.text(str(answer))
        return answer if is_ours else repeated_answer(query, page)

    def _once_answered(self, idempotency_key: str, query: str, style: AnswerStyle, *, remember: bool) -> IdempotencyKey:
        """Returns the mark of a request to answer, in which no secret is hashed."""
        redactor = self._engine.redactor
        hashed = replace(
            style, style_hint=redactor.text(style.style_hint), conversation=redactor.value(style.conversation)
        )
        return answer_request(idempotency_key, redactor.text(query), hashed, remember=remember)

    def _resume(self) -> None:
        scope_id = self._find_scope_id()
        if scope_id is not None and self.config.background:
            self._engine.worker.resume(scope_id)

    @cached_property
    def _scope_id(self) -> str:
        return self._engine.store.scopes.open(self.scope, self._engine.clock())


def _replay(answer: Answer) -> Generator[str, None, Answer]:
    """Yields a remembered answer as one piece and returns it."""
    yield str(answer)
    return answer


ANSWER = "answer"
"""What the ledger and the log call an answer."""
