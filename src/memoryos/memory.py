"""``Memory``: the memory of one user with one assistant (Fig. 1 of the paper).

Its methods are grouped by the modules of the paper: Storage, Retrieval, Updating, Generation. Each method checks its
arguments, looks up the scope's id and calls the module that contains the logic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from memoryos.errors import AnalystError, InputError, NotFoundError, StoreConflictError, StoreUnavailableError
from memoryos.generation.responder import Answer, AnswerStream, AnswerStyle, answer_sources, replay
from memoryos.idempotent_requests import NO_TIME, answer_request, append_request, repeated_answer
from memoryos.inputs import read_count, read_draft, read_messages, read_query, read_time
from memoryos.language.fence import one_line
from memoryos.model import ABOUT, ANSWERED_FROM
from memoryos.retrieval.prompt_lines import profile_lines
from memoryos.retrieval.recall import Recall
from memoryos.scope_handle import ScopeHandle
from memoryos.storage.page_text_search import search_text
from memoryos.transfer import export_lines, write_export
from memoryos.updating.forget_request import ForgetRequest, check_forget_request, run_forget_request
from memoryos.updating.stats import count_tiers
from memoryos.updating.tier_views import fact_history, read_segment, sorted_by_heat

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from datetime import date, datetime
    from types import TracebackType

    from memoryos.assembly import AnalystKind
    from memoryos.config import Config, RankingWeights
    from memoryos.loading import Loaded
    from memoryos.model import About, Cost, Knowledge, Page, PageDraft, Profile, Scope, Segment
    from memoryos.modules import Modules
    from memoryos.storage.idempotency import IdempotencyKey
    from memoryos.updating.forgetter import Forgotten
    from memoryos.updating.rebuilding import Rebuilt
    from memoryos.updating.tier_views import SegmentContent

__all__ = ["Memory"]

ANSWER = "answer"
"""Purpose of a model call in the cost records and the log."""


class Memory:
    """The memory of one user with one assistant.

    ``MemoryEngine.memory`` creates it; ``Memoryos`` is the same class with a constructor that opens the store.

    Args:
        scope: The user and the assistant.
        modules: The engine's modules.
    """

    def __init__(self, scope: Scope, modules: Modules) -> None:
        self._modules = modules
        self._handle = ScopeHandle(scope, modules)
        if self._handle.exists and modules.config.background:
            modules.worker.resume(self._handle.find())

    @property
    def scope(self) -> Scope:
        """The user and the assistant."""
        return self._handle.scope

    @property
    def config(self) -> Config:
        """The engine's settings."""
        return self._modules.config

    @property
    def modules(self) -> Modules:
        """The engine's modules, which all its memories share."""
        return self._modules

    @property
    def engine(self) -> Any:
        """The ``MemoryEngine`` that created this memory. Deprecated: keep the engine, or use ``modules``."""
        return self._modules.engine

    def close(self) -> None:
        """Does nothing: a memory of an engine can be used until the engine is closed."""

    def __enter__(self) -> Memory:  # noqa: PYI034
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(user_id={self.scope.user_id!r}, assistant_id={self.scope.assistant_id!r})"

    # Storage: the page log, import and export

    def add_memory(
        self,
        user_input: str,
        agent_response: str = "",
        timestamp: datetime | str | None = None,
        meta_data: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Page:
        """Stores one exchange as a page. It is on disk, and recall finds it, when this returns. Calls no model.

        Args:
            user_input: The user's text; may be empty if the assistant's text is not.
            agent_response: The assistant's text; may be empty if the user's text is not.
            timestamp: Time of the exchange: a datetime, or ISO 8601 text. Without a time zone it is UTC. Default: now.
            meta_data: JSON-compatible; ``user_name`` and ``assistant_name`` name the speakers.
            idempotency_key: The caller's name for this request. A repetition of the request with the same key stores
                nothing and returns the first page. Keys are kept for at least a week.

        Raises:
            InputError: If an argument is not valid, or the key was used for another request; nothing was stored.
            NotFoundError: If this is a repetition and the page was forgotten; nothing was stored.
            StoreError: If the page could not be written.
        """
        now = self._modules.clock()
        draft = read_draft(user_input, agent_response, timestamp, meta_data, now=now)
        drafts = [self._modules.redactor.draft(draft)]
        request = None
        if idempotency_key is not None:
            request = append_request(idempotency_key, drafts if timestamp is not None else _undated(drafts))
        return self._append(drafts, request, now)[0]

    def add_messages(self, messages: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None) -> list[Page]:
        """Stores a list of OpenAI messages as pages, all or none.

        A user message and the assistant message after it are one page; ``inputs.read_messages`` has the details.

        Args:
            messages: The messages.
            idempotency_key: As for ``add_memory``.

        Raises:
            InputError: If a message is not valid, or the key was used for another request; nothing was stored.
            NotFoundError: If this is a repetition and a page was forgotten; nothing was stored.
            StoreError: If the pages could not be written.
        """
        now, redactor = self._modules.clock(), self._modules.redactor
        message_list = list(messages)
        drafts = [redactor.draft(draft) for draft in read_messages(message_list, now=now)]
        request = None
        if idempotency_key is not None:
            undated = [redactor.draft(draft) for draft in read_messages(message_list, now=NO_TIME)]
            request = append_request(idempotency_key, undated)
        return self._append(drafts, request, now)

    def page(self, page_id: str) -> Page:
        """Returns one page.

        Raises:
            NotFoundError: If there is no such page.
        """
        pages = self._modules.log.by_id(self._handle.find(), [page_id])
        if not pages:
            raise NotFoundError(f"no page {page_id}")
        return pages[0]

    def pages(self) -> Iterator[Page]:
        """Yields every page, oldest first."""
        return self._modules.log.after(self._handle.find())

    def newest_pages(self, count: int, *, before_seq: int | None = None) -> list[Page]:
        """Returns the newest pages, newest first; with ``before_seq`` only pages before that log position."""
        return self._modules.log.newest_before(self._handle.find(), before_seq, count)

    def search_pages(self, text: str, count: int, *, before_seq: int | None = None) -> tuple[list[Page], int | None]:
        """Finds pages that contain a text literally, ignoring case, newest first.

        Args:
            text: The text to find in either side of a page.
            count: Maximum number of pages returned.
            before_seq: Search only pages before this log position.

        Returns:
            The pages, and the log position for ``before_seq`` of the next call; None at the end of the log. One call
            reads at most 5,000 pages, so it may find none although older pages match.
        """
        return search_text(self._modules.log, self._handle.find(), text, count, before_seq=before_seq)

    def days(self) -> list[tuple[date, int]]:
        """Returns the days (UTC) with pages, oldest first, each with its number of pages."""
        return self._modules.log.days(self._handle.find())

    def pages_of_day(self, day: date, count: int, *, after_seq: int = 0) -> list[Page]:
        """Returns at most ``count`` pages of a day (UTC) after a log position, in log order."""
        return self._modules.log.of_day(self._handle.find(), day, count, after_seq=after_seq)

    def export_lines(self) -> Iterator[str]:
        """Yields the lines that ``export`` writes, from one snapshot of the memory."""
        return export_lines([(self.scope, self._modules.store.portable.dump(self._handle.find()))])

    def export(self, path: str | Path) -> int:
        """Writes this memory to a new file of JSON lines; returns the number of pages.

        The file contains no vectors; an import computes them again. ``docs/reference/export.md`` describes the format.

        Raises:
            InputError: If the file exists or can't be written.
        """
        store = self._modules.store
        return write_export(
            Path(path), [(self.scope, store.portable.dump(self._handle.find()))], store.scratch_dir.partial_file
        )

    def load(self, path: str | Path, *, progress: Callable[[int], None] | None = None) -> Loaded:
        """Imports a file: an export, pages as JSON lines, a message list or a file of another program.

        An export is restored with its tiers if this memory is empty. Otherwise its pages are appended; pages that
        exist or were forgotten here are skipped. ``importing.detect`` lists the formats.

        Args:
            path: The file, or the data folder of the published program.
            progress: Called with the number of pages added so far.

        Raises:
            InputError: If the file can't be read or contains several users; nothing was added.
        """
        self._handle.check_usable()
        loaded = self._modules.loader.load(Path(path), self.scope, progress=progress)
        if self._handle.exists:
            self._wake_worker()
        return loaded

    # Retrieval

    def recall(
        self,
        query: str,
        *,
        max_pages: int | None = None,
        max_tokens: int | None = None,
        ranking: RankingWeights | None = None,
        near_misses: int = 0,
    ) -> Recall:
        """Returns the pages and facts that are relevant to a query, each with the reason. Calls no LLM.

        Args:
            query: The question.
            max_pages: Maximum number of pages. Default: ``retrieval_queue_capacity``; no limit with ``max_tokens``.
            max_tokens: Maximum tokens of ``Recall.to_prompt()``, and of the recalled pages alone. Of long texts the
                best passages are then shown. ``MemoryEngine(count_tokens=...)`` sets how tokens are counted.
            ranking: Weights of the signals, for this recall only. The recall then counts as an experiment and heats
                no segment.
            near_misses: Number of next best pages to return in ``Recall.near_misses``.

        Raises:
            InputError: If the query is empty or not text, or a number is below its minimum: 1, for ``near_misses`` 0.
            EmbeddingError: If the embedder failed.
            StoreError: If the store can't be read.
        """
        query = read_query(query)
        max_pages, max_tokens = read_count("max_pages", max_pages), read_count("max_tokens", max_tokens)
        near_misses = read_count("near_misses", near_misses or None) or 0
        if not self._handle.exists:
            return Recall(query)  # without loading the embedding model
        scope_id = self._handle.find()
        self._modules.worker.note_foreground_activity()
        recall = self._modules.retriever.recall(
            scope_id,
            query,
            now=self._modules.clock(),
            max_pages=max_pages,
            max_tokens=max_tokens,
            ranking=ranking,
            near_misses=near_misses,
        )
        visited = {each.page.segment_id for each in recall.pages if each.page.segment_id is not None}
        if visited and ranking is None:
            self._modules.updater.note_visits(scope_id, visited)
            self._wake_worker()
        return recall

    # Updating: mid-term and long-term memory

    @property
    def profile(self) -> Profile:
        """The current profile of the user."""
        return self._modules.long_term.profile(self._handle.find())

    def profile_history(self) -> list[Profile]:
        """Returns every version of the profile, oldest first."""
        return self._modules.long_term.profile_versions(self._handle.find())

    def knowledge(self, about: About | None = "user", *, history: bool = False) -> list[Knowledge]:
        """Returns facts, oldest first.

        Args:
            about: "user", "assistant", or None for both.
            history: Whether to include facts that were replaced or archived.

        Raises:
            InputError: If ``about`` has another value.
        """
        if about not in {None, *ABOUT}:
            raise InputError("about", "must be 'user', 'assistant' or None")
        return self._modules.long_term.knowledge(self._handle.find(), about, history=history)

    def history(self, knowledge_id: str) -> list[Knowledge]:
        """Returns a fact with all facts that it replaced and all that replaced it, oldest first.

        Raises:
            NotFoundError: If there is no such fact.
        """
        return fact_history(self.knowledge(None, history=True), knowledge_id)

    def segments(self, *, archived: bool = False) -> list[Segment]:
        """Returns the active (or the archived) segments of mid-term memory, oldest first."""
        return self._modules.mid_term.all(self._handle.find(), archived=archived)

    def heat(self, *, archived: bool = False) -> list[tuple[Segment, float]]:
        """Returns the active (or the archived) segments with their current heat (Eq. 4), hottest first."""
        return sorted_by_heat(self.segments(archived=archived), self._modules.clock(), self.config.heat)

    def segment(self, segment_id: str) -> SegmentContent:
        """Returns one segment, active or archived, with its current heat, its chains and its pages.

        Raises:
            NotFoundError: If there is no such segment.
        """
        now = self._modules.clock()
        return read_segment(self._modules.store, self._handle.find(), segment_id, now, self.config.heat)

    def flush(self, timeout: float | None = None, *, progress: Callable[[], None] | None = None) -> None:
        """Consolidates all pages that left short-term memory. No page is due afterwards.

        Args:
            timeout: Seconds after which to stop; the remaining pages stay due. Default: no limit.
            progress: Called before each step.

        Raises:
            AnalystError: If the analyst failed; the pages stay due.
            EmbeddingError: If the embedder failed; the pages stay due.
            StoreConflictError: If pages were forgotten meanwhile, several times; the remaining pages stay due.
            TimeoutError: If the timeout ended first.
        """
        if self._handle.exists:
            self._modules.updater.flush(self._handle.find(), timeout_seconds=timeout, before_step=progress)

    def embed(self, timeout: float = 0.2) -> bool:
        """Computes the vectors of new pages, so that recall finds them by meaning. Consolidates nothing, calls no LLM.

        Args:
            timeout: Seconds to wait for the lease of a worker that processes this memory.

        Returns:
            Whether every page has a vector now; False after the timeout.

        Raises:
            EmbeddingError: If the embedder failed.
        """
        try:
            if self._handle.exists:
                self._modules.updater.embed(self._handle.find(), lease_timeout_seconds=timeout)
        except (StoreConflictError, StoreUnavailableError):
            return False
        return True

    def force_mid_term_analysis(self) -> int:
        """Consolidates all due pages and learns from every segment with unlearned pages, hot or not.

        Returns:
            The number of segments that were learned from.

        Raises:
            AnalystError: If the analyst failed; the remaining pages stay due.
        """
        return self._modules.updater.learn_everything(self._handle.find()) if self._handle.exists else 0

    def rebuild(
        self,
        analyst: AnalystKind | None = None,
        *,
        dry_run: bool = False,
        progress: Callable[[], None] | None = None,
    ) -> Rebuilt:
        """Derives all tiers again from the log; the previous facts and profile move into history.

        Args:
            analyst: "llm" or "local"; default: the engine's analyst.
            dry_run: Whether to return the changes without storing them.
            progress: Called before each step.

        Raises:
            AnalystError: If the analyst keeps failing; nothing was changed.
            ConfigError: If ``analyst`` is "llm" and no LLM is configured.
            NotFoundError: If nothing was ever stored here.
        """
        scope_id = self._handle.require()
        reader = self._modules.analyst_of(analyst)
        return self._modules.rebuilder.rebuild(scope_id, reader, dry_run=dry_run, progress=progress)

    def correct(self, knowledge_id: str, text: str) -> Knowledge:
        """Replaces a fact by the user's text; the old fact moves into history and is not learned again.

        Raises:
            InputError: If the text is not valid.
            NotFoundError: If there is no such current fact.
        """
        text = self._modules.redactor.text(read_query(text, field="text"))
        corrected = self._modules.forgetter.correct(self._handle.require(), knowledge_id, text)
        self._wake_worker()
        return corrected

    def forget(
        self,
        *,
        page_ids: Iterable[str] = (),
        knowledge_ids: Iterable[str] = (),
        before: datetime | str | None = None,
        query_preview: str | None = None,
        everything: bool = False,
        dry_run: bool = False,
        erase: bool | None = True,
    ) -> Forgotten:
        """Permanently deletes pages, their vectors and everything derived from them.

        Data that was also derived from other pages is derived again from those. Later answers that repeat text found
        only in forgotten pages are deleted too. Forgotten pages are neither learned nor imported again. If the receipt
        has ``erased``, no deleted byte is left in the files. Other writers wait for less than half a second at a time,
        longer only while a file of hundreds of megabytes is erased.

        Args:
            page_ids: Pages.
            knowledge_ids: Facts; their source pages stay.
            before: Every page older than this time.
            query_preview: Reports the deletions for the pages that this query finds, including pages of short-term
                memory. A query deletes nothing: call again with the ids.
            everything: The whole memory.
            dry_run: Whether to report the deletions without making them.
            erase: Whether to wait until the deleted bytes are erased. False: the background erases them at a quiet
                moment, or else ``close``. None: wait only where it is quick, for an SQLite file of up to 16 MB.

        Raises:
            InputError: If none or more than one of ids, ``before``, ``query_preview`` and ``everything`` is given.
            NotFoundError: If an id is not in this memory; nothing was forgotten.
            StoreError: If the store can't be written.
        """
        moment = None if before is None else read_time("before", before)
        request = ForgetRequest(tuple(page_ids), tuple(knowledge_ids), moment, query_preview, everything)
        check_forget_request(request)
        scope_id = self._handle.require()
        if query_preview is not None:
            request, dry_run = ForgetRequest(self.recall(query_preview).found_page_ids), True
        receipt = run_forget_request(self._modules.forgetter, scope_id, request, dry_run=dry_run, erase=erase)
        if not dry_run:
            self._wake_worker()
        return receipt

    def get_user_profile_summary(self) -> str:
        """Returns the profile and the facts about the user, one per line; "" if there are none."""
        lines = profile_lines(self.profile) + [f"- {one_line(entry.text)}" for entry in self.knowledge("user")]
        return "\n".join(lines)

    def get_assistant_knowledge_summary(self) -> list[str]:
        """Returns the facts about the assistant, oldest first, each on one line."""
        return [one_line(entry.text) for entry in self.knowledge("assistant")]

    def get_memory_stats(self) -> dict[str, Any]:
        """Returns the counts of every tier, the number of due pages, and the analyst's last error.

        ``language_note`` is None, or says that most of the newest pages are in languages that the embedding model does
        not support, and how to change that.
        """
        modules = self._modules
        names = {
            "user_id": self.scope.user_id,
            "assistant_id": self.scope.assistant_id,
            "embedder": modules.embedder.name,
            "analyst": modules.analyst.origin.analyst,
        }
        return names | count_tiers(modules.store, self._handle.find(), modules.embedder, modules.config)

    def revision(self) -> int:
        """Returns a number that grows with every write except visits; 0 before the first write."""
        return self._modules.scopes.state(self._handle.find()).revision

    def costs(self) -> list[Cost]:
        """Returns the costs of model calls, one entry per day, purpose and model, oldest first."""
        return self._modules.costs.of(self._handle.find())

    # Generation

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
        """Answers a query from memory and stores the exchange if the answer succeeded.

        Args:
            query: The user's text.
            relationship_with_user: The relationship of the assistant to the user.
            style_hint: Tone or form of the answer.
            user_conversation_meta_data: Facts about this conversation, for example its platform.
            stream: Whether to return the pieces as they arrive; the exchange is stored after the last piece.
            remember: Whether to store the exchange as a page.
            idempotency_key: As for ``add_memory``. A repetition of the request returns the stored answer with its
                sources, without a recall, and calls no model.

        Returns:
            The answer: a ``str`` with ``sources`` (page ids), ``recall``, ``origin`` (the analyst) and ``flagged``
            (recalled pages that look like instructions to a model). With ``stream``: an iterator of its pieces with
            ``recall`` and, after the last piece, ``answer``.

        Raises:
            InputError: If an argument is not valid, or the key was used for another request.
            NotFoundError: If this is a repetition and the answer was forgotten.
            AnalystError: If the analyst failed; nothing was stored.
            StoreError: If the store can't be read or written.
        """
        query = read_query(query)
        style = AnswerStyle(relationship_with_user, style_hint, user_conversation_meta_data)
        request = None
        if idempotency_key is not None:
            request = answer_request(idempotency_key, query, style, self._modules.redactor, remember=remember)
            stored = self._modules.log.find_repeated(self._handle.find(), request)
            if stored:
                answer = repeated_answer(query, stored[0])
                return AnswerStream(answer.recall, replay(answer)) if stream else answer
        recall = self.recall(query)
        task = _AnswerTask(recall, style, self._modules.clock(), request, is_stream=stream, is_stored=remember)
        pieces = AnswerStream(recall, self._answer(task))
        return pieces if stream else pieces.finish()

    def _answer(self, task: _AnswerTask) -> Generator[str, None, Answer]:
        """Yields the answer in pieces, stores the exchange and returns the answer.

        Stores nothing if the analyst fails or the caller closes the generator before the last piece.
        """
        meter = self._modules.ledger.meter(self._handle.open, ANSWER)
        try:
            answer = yield from self._modules.responder.answer(task.recall, task.style, meter, stream=task.is_stream)
        except AnalystError as error:
            self._modules.updater.note_failure(self._handle.open(), ANSWER, error)
            raise
        return self._store_answer(answer, task) if task.is_stored else answer

    def _store_answer(self, answer: Answer, task: _AnswerTask) -> Answer:
        """Stores the exchange and returns the answer; the stored one if another thread stored the request first."""
        query, sources = task.recall.query, answer_sources(answer)
        metadata = {ANSWERED_FROM: sources} if sources else None
        now = self._modules.clock()
        draft = read_draft(query, str(answer), task.asked_at, metadata, now=now)
        redacted = self._modules.redactor.draft(draft)
        (page,) = self._append([redacted], task.request, now)
        return answer if page.assistant_text == redacted.assistant_text else repeated_answer(query, page)

    def _append(self, drafts: list[PageDraft], request: IdempotencyKey | None, now: datetime) -> list[Page]:
        self._handle.check_usable()
        if not drafts:
            return []
        self._modules.worker.note_foreground_activity()
        pages = self._modules.log.append(self._handle.open(), drafts, now, idempotency_key=request)
        self._wake_worker()
        return pages

    def _wake_worker(self) -> None:
        if self.config.background:
            self._modules.worker.wake(self._handle.find())


@dataclass(frozen=True, slots=True)
class _AnswerTask:
    recall: Recall
    style: AnswerStyle
    asked_at: datetime
    request: IdempotencyKey | None
    is_stream: bool
    is_stored: bool


def _undated(drafts: list[PageDraft]) -> list[PageDraft]:
    return [replace(draft, at=NO_TIME) for draft in drafts]
