"""``AsyncMemoryos``: an adapter of ``Memory`` for asyncio and trio. Each method runs in a worker thread."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from anyio import CapacityLimiter
from anyio.lowlevel import RunVar
from anyio.to_thread import run_sync

from memoryos.facade import Memoryos
from memoryos.memory import Memory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
    from datetime import date, datetime
    from pathlib import Path
    from types import TracebackType

    from memoryos.assembly import AnalystKind
    from memoryos.config import RankingWeights
    from memoryos.generation.responder import Answer
    from memoryos.loading import Loaded
    from memoryos.model import About, Cost, Knowledge, Page, Profile, Segment
    from memoryos.retrieval.recall import Recall
    from memoryos.updating.forgetter import Forgotten
    from memoryos.updating.rebuilding import RebuildCost, Rebuilt
    from memoryos.updating.tier_views import SegmentContent

__all__ = ["AsyncMemoryos"]

THREADS = 256
"""Maximum number of simultaneous calls. Most calls wait for an LLM, so anyio's default of 40 is too small."""
_limiter: RunVar[CapacityLimiter] = RunVar("memoryos_limiter")

Done = TypeVar("Done")


class AsyncMemoryos:
    """Offers the methods of ``Memory`` as coroutines, with the same arguments, return values and errors.

    Args:
        memory: The memory to wrap, or the id of a user. For a user id, a ``Memoryos`` object is created.
        **settings: Arguments of ``Memoryos``. Allowed only if ``memory`` is a user id.
    """

    def __init__(self, memory: Memory | str, **settings: Any) -> None:
        self.memory = memory if isinstance(memory, Memory) else Memoryos(memory, **settings)

    async def add_memory(
        self,
        user_input: str,
        agent_response: str = "",
        timestamp: datetime | str | None = None,
        meta_data: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Page:
        """Stores one exchange of user and assistant as a page, like ``Memoryos.add_memory``."""
        add = partial(self.memory.add_memory, idempotency_key=idempotency_key)
        return await _in_thread(add, user_input, agent_response, timestamp, meta_data)

    async def add_messages(
        self, messages: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[Page]:
        """Stores a list of OpenAI chat messages as pages, like ``Memoryos.add_messages``."""
        return await _in_thread(partial(self.memory.add_messages, messages, idempotency_key=idempotency_key))

    async def recall(
        self,
        query: str,
        *,
        max_pages: int | None = None,
        max_tokens: int | None = None,
        ranking: RankingWeights | None = None,
        near_misses: int = 0,
    ) -> Recall:
        """Returns the pages and facts that are relevant to a query, like ``Memoryos.recall``."""
        recall = partial(self.memory.recall, query, max_pages=max_pages, max_tokens=max_tokens)
        return await _in_thread(partial(recall, ranking=ranking, near_misses=near_misses))

    async def get_response(
        self,
        query: str,
        relationship_with_user: str = "friend",
        style_hint: str = "",
        user_conversation_meta_data: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Answer:
        """Answers a query, and stores the query and the answer, like ``Memoryos.get_response`` without ``stream``."""
        arguments = (query, relationship_with_user, style_hint, user_conversation_meta_data)
        return await _in_thread(lambda: self.memory.get_response(*arguments, idempotency_key=idempotency_key))

    async def stream_response(
        self,
        query: str,
        relationship_with_user: str = "friend",
        style_hint: str = "",
        user_conversation_meta_data: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> AsyncIterator[str]:
        """Yields the pieces of an answer as they arrive, like ``Memoryos.get_response`` with ``stream=True``."""
        arguments = (query, relationship_with_user, style_hint, user_conversation_meta_data)
        ask = partial(self.memory.get_response, stream=True, idempotency_key=idempotency_key)
        pieces = await _in_thread(lambda: ask(*arguments))
        while True:
            piece: str | None = await _in_thread(_next, pieces)
            if piece is None:
                return
            yield piece

    async def get_profile(self) -> Profile:
        """Returns the current profile of the user, like ``Memoryos.profile``."""
        return await _in_thread(lambda: self.memory.profile)

    async def knowledge(self, about: About | None = "user", *, history: bool = False) -> list[Knowledge]:
        """Returns facts, oldest first, like ``Memoryos.knowledge``."""
        return await _in_thread(partial(self.memory.knowledge, about, history=history))

    async def segments(self, *, archived: bool = False) -> list[Segment]:
        """Returns the segments of mid-term memory, like ``Memoryos.segments``."""
        return await _in_thread(partial(self.memory.segments, archived=archived))

    async def heat(self, *, archived: bool = False) -> list[tuple[Segment, float]]:
        """Returns the segments with their current heat, hottest first, like ``Memoryos.heat``."""
        return await _in_thread(partial(self.memory.heat, archived=archived))

    async def segment(self, segment_id: str) -> SegmentContent:
        """Returns one segment with its chains and pages, like ``Memoryos.segment``."""
        return await _in_thread(self.memory.segment, segment_id)

    async def page(self, page_id: str) -> Page:
        """Returns one page, like ``Memoryos.page``."""
        return await _in_thread(self.memory.page, page_id)

    async def search_pages(
        self, text: str, count: int, *, before_seq: int | None = None
    ) -> tuple[list[Page], int | None]:
        """Finds pages that contain an exact text, like ``Memoryos.search_pages``."""
        return await _in_thread(partial(self.memory.search_pages, text, count, before_seq=before_seq))

    async def days(self) -> list[tuple[date, int]]:
        """Returns each day that has pages, and the number of its pages, like ``Memoryos.days``."""
        return await _in_thread(self.memory.days)

    async def pages_of_day(self, day: date, count: int, *, after_seq: int = 0) -> list[Page]:
        """Returns pages of one day, like ``Memoryos.pages_of_day``."""
        return await _in_thread(partial(self.memory.pages_of_day, day, count, after_seq=after_seq))

    async def newest_pages(self, count: int, *, before_seq: int | None = None) -> list[Page]:
        """Returns pages, newest first, like ``Memoryos.newest_pages``."""
        return await _in_thread(partial(self.memory.newest_pages, count, before_seq=before_seq))

    async def get_user_profile_summary(self) -> str:
        """Returns the profile and the facts about the user as text, like ``Memoryos.get_user_profile_summary``."""
        return await _in_thread(self.memory.get_user_profile_summary)

    async def get_assistant_knowledge_summary(self) -> list[str]:
        """Returns the facts about the assistant, like ``Memoryos.get_assistant_knowledge_summary``."""
        return await _in_thread(self.memory.get_assistant_knowledge_summary)

    async def force_mid_term_analysis(self) -> int:
        """Extracts facts from every segment, like ``Memoryos.force_mid_term_analysis``."""
        return await _in_thread(self.memory.force_mid_term_analysis)

    async def get_memory_stats(self) -> dict[str, Any]:
        """Returns statistics of the memory, like ``Memoryos.get_memory_stats``."""
        return await _in_thread(self.memory.get_memory_stats)

    async def revision(self) -> int:
        """Returns the revision number of the memory, like ``Memoryos.revision``."""
        return await _in_thread(self.memory.revision)

    async def costs(self) -> list[Cost]:
        """Returns the costs of LLM calls for this memory, like ``Memoryos.costs``."""
        return await _in_thread(self.memory.costs)

    async def rebuild(self, analyst: AnalystKind | None = None, *, dry_run: bool = False) -> Rebuilt:
        """Derives all segments, facts and the profile again, like ``Memoryos.rebuild``."""
        return await _in_thread(partial(self.memory.rebuild, analyst, dry_run=dry_run))

    async def forget(self, **arguments: Any) -> Forgotten:
        """Permanently deletes pages or facts, like ``Memoryos.forget``."""
        return await _in_thread(partial(self.memory.forget, **arguments))

    async def correct(self, knowledge_id: str, text: str) -> Knowledge:
        """Replaces a fact by a text of the user, like ``Memoryos.correct``."""
        return await _in_thread(self.memory.correct, knowledge_id, text)

    async def history(self, knowledge_id: str) -> list[Knowledge]:
        """Returns all versions of a fact, oldest first, like ``Memoryos.history``."""
        return await _in_thread(self.memory.history, knowledge_id)

    async def profile_of(self, subject: str) -> Profile:
        """Returns the current profile of another person, like ``Memoryos.profile_of``."""
        return await _in_thread(lambda: self.memory.profile_of(subject))

    async def rebuild_cost(self) -> RebuildCost:
        """Estimates the LLM calls and tokens of a rebuild, like ``Memoryos.rebuild_cost``."""
        return await _in_thread(self.memory.rebuild_cost)

    async def profile_history(self) -> list[Profile]:
        """Returns every version of the profile, oldest first, like ``Memoryos.profile_history``."""
        return await _in_thread(self.memory.profile_history)

    async def flush(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  (a parameter of the blocking method)
        """Assigns all waiting pages to segments, and extracts facts, like ``Memoryos.flush``."""
        await _in_thread(self.memory.flush, timeout)

    async def embed(self, timeout: float = 0.2) -> bool:  # noqa: ASYNC109  (as above)
        """Computes the vectors of new pages, like ``Memoryos.embed``."""
        return await _in_thread(self.memory.embed, timeout)

    async def export(self, path: str | Path) -> int:
        """Writes the memory to a new file of JSON lines, like ``Memoryos.export``."""
        return await _in_thread(self.memory.export, path)

    async def load(self, path: str | Path) -> Loaded:
        """Imports a file into the memory, like ``Memoryos.load``."""
        return await _in_thread(self.memory.load, path)

    async def close(self) -> None:
        """Closes the memory, like ``Memoryos.close``."""
        await _in_thread(self.memory.close)

    async def __aenter__(self) -> AsyncMemoryos:  # noqa: PYI034
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def _in_thread(call: Callable[..., Done], *arguments: Any) -> Done:
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(THREADS)
        _limiter.set(limiter)
    return await run_sync(call, *arguments, limiter=limiter)


def _next(pieces: Iterator[str]) -> str | None:
    return next(pieces, None)
