"""``Memory``: the memory of one user with one assistant (Fig. 1 of the paper).

The methods are grouped like the modules of the paper: Storage, Retrieval, Updating, Generation. Each method checks its
arguments and calls the module that contains the logic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timezone
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
    from memoryos.updating.rebuilding import RebuildCost, Rebuilt
    from memoryos.updating.tier_views import SegmentContent

__all__ = ["Memory"]

ANSWER = "answer"
"""The purpose of a model call that answers a question, for the cost records and the log."""


class Memory:
    """The memory of one user with one assistant.

    Create it with ``MemoryEngine.memory``. The subclass ``Memoryos`` also opens the database.

    Args:
        scope: The user and the assistant.
        modules: The parts of the engine: database, retriever, updater and so on.
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
        """The settings of the engine."""
        return self._modules.config

    @property
    def modules(self) -> Modules:
        """The parts of the engine: database, retriever, updater and so on. All memories of the engine share them."""
        return self._modules

    @property
    def engine(self) -> Any:
        """The ``MemoryEngine`` that created this memory. Deprecated; use ``modules`` instead."""
        return self._modules.engine

    def close(self) -> None:
        """Does nothing. The memory can be used until ``MemoryEngine.close`` is called."""

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
        """Stores one exchange of user and assistant as a page, without calling a model.

        When the method returns, the page is on disk and ``recall`` can find it.

        Args:
            user_input: The user's text; may be empty if the assistant's text is not.
            agent_response: The assistant's text; may be empty if the user's text is not.
            timestamp: Time of the exchange: a datetime, or ISO 8601 text. The page keeps its UTC offset, from which its
                day is computed. Without a time zone it is in the zone of the setting ``time_zone``. Default: now.
            meta_data: Any JSON-compatible values. The values ``user_name`` and ``assistant_name`` name the speakers.
            idempotency_key: A name that the caller chooses for this request. If the caller repeats the request with
                the same key, nothing is stored again and the first page is returned. Keys are kept for at least a week.

        Raises:
            InputError: If an argument is not valid, or the key was used for another request; nothing was stored.
            NotFoundError: If the request is a repetition and its page was forgotten; nothing was stored.
            StoreError: If the page could not be written.
        """
        now = self._modules.local_now()
        draft = read_draft(user_input, agent_response, timestamp, meta_data, now=now)
        drafts = [self._modules.redactor.draft(draft)]
        request = None
        if idempotency_key is not None:
            request = append_request(idempotency_key, drafts if timestamp is not None else _undated(drafts))
        return self._append(drafts, request, now)[0]

    def add_messages(self, messages: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None) -> list[Page]:
        """Stores a list of OpenAI chat messages as pages. If one message is not valid, no page is stored.

        A user message and the assistant message after it become one page; see ``inputs.read_messages``.

        Args:
            messages: The messages, oldest first. Each has the members ``role`` and ``content``.
            idempotency_key: A name that the caller chooses for this request; see ``add_memory``.

        Raises:
            InputError: If a message is not valid, or the key was used for another request; nothing was stored.
            NotFoundError: If the request is a repetition and one of its pages was forgotten; nothing was stored.
            StoreError: If the pages could not be written.
        """
        now, redactor = self._modules.local_now(), self._modules.redactor
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
            NotFoundError: If this memory has no page with this id.
        """
        pages = self._modules.log.by_id(self._handle.find(), [page_id])
        if not pages:
            raise NotFoundError(f"this memory has no page with the id {page_id!r}")
        return pages[0]

    def pages(self) -> Iterator[Page]:
        """Yields every page, oldest first."""
        return self._modules.log.after(self._handle.find())

    def newest_pages(self, count: int, *, before_seq: int | None = None) -> list[Page]:
        """Returns up to ``count`` pages, newest first.

        Args:
            count: Maximum number of pages.
            before_seq: Only pages with a smaller ``seq`` than this. Default: the newest pages.
        """
        return self._modules.log.newest_before(self._handle.find(), before_seq, count)

    def search_pages(self, text: str, count: int, *, before_seq: int | None = None) -> tuple[list[Page], int | None]:
        """Finds pages that contain an exact text, newest first. Upper and lower case are treated as equal.

        Args:
            text: The text to find in the user's or the assistant's text of a page.
            count: Maximum number of pages to return.
            before_seq: Search only pages with a smaller ``seq`` than this. Default: start at the newest page.

        Returns:
            The pages found, and the value of ``before_seq`` for the next call; None when all pages were searched. One
            call reads at most 5,000 pages, so it may find nothing although older pages match.
        """
        return search_text(self._modules.log, self._handle.find(), text, count, before_seq=before_seq)

    def days(self) -> list[tuple[date, int]]:
        """Returns each day that has pages (``Page.day``), and the number of its pages, oldest day first."""
        return self._modules.log.days(self._handle.find())

    def pages_of_day(self, day: date, count: int, *, after_seq: int = 0) -> list[Page]:
        """Returns up to ``count`` pages of one day, in the order in which they were stored.

        Args:
            day: The day, which is compared with ``Page.day``.
            count: Maximum number of pages.
            after_seq: Only pages with a greater ``seq`` than this.
        """
        return self._modules.log.of_day(self._handle.find(), day, count, after_seq=after_seq)

    def export_lines(self) -> Iterator[str]:
        """Yields the lines of an export file of this memory, from one consistent snapshot."""
        return export_lines([(self.scope, self._modules.store.portable.dump(self._handle.find()))])

    def export(self, path: str | Path) -> int:
        """Writes this memory to a new file of JSON lines, and returns the number of pages.

        The file contains no vectors, because an import computes them again. ``docs/reference/export.md`` describes the
        format.

        Raises:
            InputError: If the file exists or can't be written.
        """
        store = self._modules.store
        return write_export(
            Path(path), [(self.scope, store.portable.dump(self._handle.find()))], store.scratch_dir.partial_file
        )

    def load(self, path: str | Path, *, progress: Callable[[int], None] | None = None) -> Loaded:
        """Imports a file: an export, pages as JSON lines, a message list or a file of another program.

        If this memory is empty, an export is restored completely, with segments, facts and profile. Otherwise only its
        pages are added. Pages that exist already or were forgotten are skipped. ``importing.detect`` lists the formats.

        Args:
            path: The file, or the data folder of the program published with the MemoryOS paper.
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
            max_pages: Maximum number of pages. Default: no limit if ``max_tokens`` is given, otherwise the setting
                ``retrieval_queue_capacity``.
            max_tokens: Maximum number of tokens of the text of ``Recall.to_prompt()``; the recalled pages alone do not
                exceed it either. Of long texts, only the best passages are returned. Tokens are counted with the
                function ``count_tokens`` of the engine.
            ranking: Weights of the ranking signals, for this recall only. Such a recall counts as an experiment: it
                does not increase the heat of any segment.
            near_misses: Number of further pages to return in ``Recall.near_misses``: the best ones beyond the limit.

        Raises:
            InputError: If the query is empty or not text, ``max_pages`` or ``max_tokens`` is less than 1, or
                ``near_misses`` is less than 0.
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
        return self._modules.long_term.profile(self._handle.find(), self._modules.clock())

    def profile_of(self, subject: str) -> Profile:
        """Returns the current profile of another person who speaks in this memory.

        Args:
            subject: The person's name as in ``Knowledge.subject``, or "assistant" for the other speaker of a
                conversation between two people.
        """
        return self._modules.long_term.profile(self._handle.find(), self._modules.clock(), subject)

    def profile_history(self) -> list[Profile]:
        """Returns every version of the user's profile, oldest first.

        The attributes are facts, so only versions of earlier releases contain attributes.
        """
        return [each.of("user") for each in self._modules.long_term.profile_versions(self._handle.find())]

    def knowledge(self, about: About | None = "user", *, history: bool = False) -> list[Knowledge]:
        """Returns facts in the order in which they were stated, oldest first.

        Args:
            about: "user", "assistant", or None for both.
            history: Whether to include facts that were replaced, have ended or are archived.

        Raises:
            InputError: If ``about`` has another value.
        """
        if about not in {None, *ABOUT}:
            raise InputError("about", "must be 'user', 'assistant' or None")
        return self._modules.long_term.knowledge(self._handle.find(), self._modules.clock(), about, history=history)

    def history(self, knowledge_id: str) -> list[Knowledge]:
        """Returns all versions of a fact, oldest first: the fact, the facts that it replaced, and its replacements.

        The versions of a fact with a single-valued slot are all facts that fill this slot of the same person.

        Raises:
            NotFoundError: If this memory has no fact with this id.
        """
        return fact_history(self.knowledge(None, history=True), knowledge_id)

    def segments(self, *, archived: bool = False) -> list[Segment]:
        """Returns the segments of mid-term memory, oldest first. A segment is the group of all pages on one topic.

        Args:
            archived: Whether to return the archived segments instead of the active ones.
        """
        return self._modules.mid_term.all(self._handle.find(), archived=archived)

    def heat(self, *, archived: bool = False) -> list[tuple[Segment, float]]:
        """Returns the segments and their current heat (Eq. 4 of the paper), hottest first.

        Args:
            archived: Whether to return the archived segments instead of the active ones.
        """
        return sorted_by_heat(self.segments(archived=archived), self._modules.clock(), self.config.heat)

    def segment(self, segment_id: str) -> SegmentContent:
        """Returns one segment, active or archived, with its current heat, its chains and its pages.

        Raises:
            NotFoundError: If this memory has no segment with this id.
        """
        now = self._modules.clock()
        return read_segment(self._modules.store, self._handle.find(), segment_id, now, self.config.heat)

    def flush(self, timeout: float | None = None, *, progress: Callable[[], None] | None = None) -> None:
        """Reads all waiting pages: assigns them to segments, and extracts facts. Infers traits from hot segments.

        Args:
            timeout: Maximum duration in seconds. Default: no limit.
            progress: Called before each unit of work, e.g. one batch of pages, with the number of pages read so far.

        Raises:
            AnalystError: If the analyst failed. In all four cases the remaining pages are processed later.
            EmbeddingError: If the embedder failed.
            StoreConflictError: If other callers repeatedly deleted pages while these were read.
            TimeoutError: If the timeout expired.
        """
        if self._handle.exists:
            self._modules.updater.flush(self._handle.find(), timeout_seconds=timeout, before_step=progress)

    def embed(self, timeout: float = 0.2) -> bool:
        """Computes the vectors of new pages, so that ``recall`` can find the pages by meaning. Calls no LLM.

        Args:
            timeout: Maximum number of seconds to wait while a worker processes this memory.

        Returns:
            Whether every page has a vector now. False if the timeout expired.

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
        """Reads all pages that are due. Then infers traits from every segment with new pages, hot or not.

        Returns:
            The number of segments from which traits were inferred.

        Raises:
            AnalystError: If the analyst failed. The remaining pages are processed later.
        """
        return self._modules.updater.profile_everything(self._handle.find()) if self._handle.exists else 0

    def rebuild(
        self,
        analyst: AnalystKind | None = None,
        *,
        dry_run: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> Rebuilt:
        """Derives all segments, facts and the profile again from the stored pages.

        The previous facts and the previous profile stay readable as history.

        Args:
            analyst: "llm" or "local"; default: the analyst of the engine.
            dry_run: Whether to return the changes without storing them.
            progress: Called before each unit of work, e.g. one batch of pages, with the number of pages read so far.

        Raises:
            AnalystError: If the analyst failed repeatedly; nothing was changed.
            ConfigError: If ``analyst`` is "llm" and no LLM is configured.
            NotFoundError: If this memory is empty.
        """
        scope_id = self._handle.require()
        reader = self._modules.analyst_of(analyst)
        return self._modules.rebuilder.rebuild(scope_id, reader, dry_run=dry_run, progress=progress)

    def rebuild_cost(self) -> RebuildCost:
        """Estimates the LLM calls and tokens of ``rebuild("llm")``."""
        return self._modules.rebuilder.estimate(self._handle.require())

    def correct(self, knowledge_id: str, text: str) -> Knowledge:
        """Replaces a fact by a text of the user. The old fact stays in the history and is not learned again.

        Raises:
            InputError: If the text is not valid.
            NotFoundError: If this memory has no current fact with this id.
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
        """Permanently deletes pages or facts, with everything derived from them.

        A segment or fact that also has other source pages is derived again from those pages. Stored answers are
        deleted too if they repeat text that occurs only in the forgotten pages. The forgotten content is not learned or
        imported again.

        With ``erase`` the deleted bytes are also erased from the database files, and the receipt has ``erased`` = True.
        During this erasure other writers wait up to half a second at a time, or longer if the database file has
        hundreds of megabytes.

        Args:
            page_ids: Ids of pages to delete.
            knowledge_ids: Ids of facts to delete. Their source pages are kept.
            before: Delete every page older than this time. Without a time zone it is in the zone of the setting
                ``time_zone``.
            query_preview: A query. Nothing is deleted: the receipt lists the pages that the query finds, and what
                deleting them would remove. To delete them, call again with their ids.
            everything: Delete the whole memory.
            dry_run: Whether to report the deletions without making them.
            erase: Whether to wait until the deleted bytes are erased. False: a background thread erases them in a
                period without requests, at the latest in ``close``. None: wait only if this is quick, which is the
                case for SQLite files of up to 16 MB.

        Raises:
            InputError: If none of ids, ``before``, ``query_preview`` and ``everything`` is given, or more than one.
            NotFoundError: If an id is not in this memory; nothing was forgotten.
            StoreError: If the store can't be written.
        """
        zone = self.config.zone
        moment = None if before is None else read_time("before", before, zone=zone).astimezone(timezone.utc)
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
        """Returns the profile and the facts about the user as text, one item per line; "" if there are none."""
        facts = [entry for entry in self.knowledge("user") if not (entry.slot and entry.subject == "user")]
        lines = profile_lines(self.profile) + [f"- {one_line(entry.text)}" for entry in facts]
        return "\n".join(lines)

    def get_assistant_knowledge_summary(self) -> list[str]:
        """Returns the facts about the assistant, oldest first, each on one line."""
        return [one_line(entry.text) for entry in self.knowledge("assistant")]

    def get_memory_stats(self) -> dict[str, Any]:
        """Returns statistics: numbers of pages, waiting pages, segments and facts, and the analyst's last error.

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
        return names | count_tiers(
            modules.store, self._handle.find(), modules.embedder, modules.config, modules.clock()
        )

    def revision(self) -> int:
        """Returns the revision number of this memory, which grows with every write; 0 before the first write.

        Counting a recall of a segment does not change the number.
        """
        return self._modules.scopes.state(self._handle.find()).revision

    def costs(self) -> list[Cost]:
        """Returns the costs of LLM calls for this memory, one entry for each day, purpose and model, oldest first."""
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
        """Answers a query from memory, and then stores the query and the answer as a page.

        Args:
            query: The user's text.
            relationship_with_user: The relationship of the assistant to the user, e.g. "friend".
            style_hint: Tone or form of the answer.
            user_conversation_meta_data: Facts about this conversation, for example its platform.
            stream: Whether to return the answer in pieces as they arrive. The answer is stored after the last piece.
            remember: Whether to store the query and the answer.
            idempotency_key: A name that the caller chooses for this request; see ``add_memory``. If the caller repeats
                the request with the same key, the stored answer and its sources are returned without a model call.

        Returns:
            The answer: a ``str`` with ``sources`` (page ids), ``recall``, ``origin`` (the analyst) and ``flagged``
            (recalled pages that look like instructions to a model). With ``stream``: an iterator over the pieces of the
            answer. It has the attributes ``recall`` and, after the last piece, ``answer``.

        Raises:
            InputError: If an argument is not valid, or the key was used for another request.
            NotFoundError: If the request is a repetition and its answer was forgotten.
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
        task = _AnswerTask(recall, style, self._modules.local_now(), request, is_stream=stream, is_stored=remember)
        pieces = AnswerStream(recall, self._answer(task))
        return pieces if stream else pieces.finish()

    def _answer(self, task: _AnswerTask) -> Generator[str, None, Answer]:
        """Yields the answer in pieces, stores the query and the answer, and returns the answer.

        Nothing is stored if the analyst fails, or if the caller closes the generator before the last piece.
        """
        meter = self._modules.ledger.meter(self._handle.open, ANSWER)
        try:
            answer = yield from self._modules.responder.answer(task.recall, task.style, meter, stream=task.is_stream)
        except AnalystError as error:
            self._modules.updater.note_failure(self._handle.open(), ANSWER, error)
            raise
        return self._store_answer(answer, task) if task.is_stored else answer

    def _store_answer(self, answer: Answer, task: _AnswerTask) -> Answer:
        """Stores the query and the answer, and returns the answer.

        If another thread has stored an answer for the same idempotency key, this method returns that answer.
        """
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
