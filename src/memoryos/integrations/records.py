"""Records: values that a program keeps under keys, in the page log, where no analyst reads them.

A record is a page whose metadata holds the key and the value; its text is what is found by meaning. The newest page of
a key counts, so that a crash between the writing of a new version and the forgetting of the old one loses neither.
"""

from __future__ import annotations

import heapq
import threading
from typing import TYPE_CHECKING

from memoryos.config import RankingWeights
from memoryos.engine import MemoryEngine
from memoryos.errors import NotFoundError
from memoryos.models.once_a_query import OnceAQuery
from memoryos.updating.filing import FilingAnalyst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from memoryos.memory import Memoryos
    from memoryos.model import Page
    from memoryos.retrieval.recall import RecalledPage

__all__ = ["RANKING", "Shelf", "merged", "open_records"]

RANKING = RankingWeights(previous=0, following=0, speaker=0, session=0, time=0)
"""Records are no conversation: who stands next to whom says nothing of either."""
SLICE = 200
OUTDATED_AT_ONCE = 64
"""So many old versions are forgotten together: to forget rewrites the file, so that no byte is left."""


def open_records(engine: MemoryEngine) -> MemoryEngine:
    """Returns an engine for records over the same store: the same embedder and clock, no window, no analyst.

    The caller closes it, before the other one.
    """
    settings = engine.config.with_(
        short_term_capacity=0, mid_term_capacity=1_000_000, mid_term_similarity_threshold=0.0, keep_archived_days=None
    )
    return MemoryEngine(settings, embedder=OnceAQuery(engine.embedder), analyst=FilingAnalyst(), clock=engine.clock)


class Shelf:
    """The newest page of each key of one memory.

    Args:
        memory: The memory.
        key_of: Returns the key of a page; None for a page that is no record.
        outdated_at_once: From so many old versions on a write forgets them.
        reader: Another view of the same memory, to recall from; default: the memory itself.
        ranking: What signals count in ``ranked``; None for the settings of the reader.
        patience_seconds: How long ``ranked`` waits for a worker that is busy with the memory.
    """

    def __init__(
        self,
        memory: Memoryos,
        key_of: Callable[[Page], str | None],
        *,
        outdated_at_once: int = OUTDATED_AT_ONCE,
        reader: Memoryos | None = None,
        ranking: RankingWeights | None = RANKING,
        patience_seconds: float = 30.0,
    ) -> None:
        self.memory = memory
        self._reader = reader or memory
        self._ranking = ranking
        self._key_of = key_of
        self._patience_seconds = patience_seconds
        self._is_warm = False
        self._outdated_at_once = outdated_at_once
        self._lock = threading.Lock()
        self._page_ids: dict[str, str] = {}
        self._outdated: dict[str, str] = {}
        self._last_seq = 0

    def page(self, key: str) -> Page | None:
        """Returns the newest page of a key as the store has it now; None if there is none."""
        page_id = self._newest(key)
        if page_id is None:
            return None
        try:
            return self.memory.page(page_id)
        except NotFoundError:
            with self._lock:
                if self._page_ids.get(key) == page_id:
                    del self._page_ids[key]
            return None

    def newest(self) -> Iterator[Page]:
        """Yields the newest page of each key, the newest first, as the store has them now."""
        seen: set[str] = set()
        before_seq: int | None = None
        while pages := self.memory.newest_pages(SLICE, before_seq=before_seq):
            for page in pages:
                before_seq, key = page.seq, self._key_of(page)
                if key is not None and key not in seen:
                    seen.add(key)
                    yield page

    def put(
        self, text: str, metadata: Mapping[str, Any], *, at: datetime | None = None, by_assistant: bool = False
    ) -> Page:
        """Writes a new version of the key that the metadata names; it is on disk when this returns.

        Args:
            text: What is found by meaning; what the user said, or the assistant.
            metadata: Key and value.
            at: When it was said; default: now.
            by_assistant: Whether the assistant said it.

        Raises:
            InputError: If text or metadata can't be stored; nothing was changed.
            StoreError: If it could not be written.
        """
        user_text, assistant_text = ("", text) if by_assistant else (text, "")
        page = self.memory.add_memory(user_text, assistant_text, at, metadata)
        with self._lock:
            self._catch_up()
            is_enough = len(self._outdated) >= self._outdated_at_once
        if is_enough:
            self.forget_outdated()
        return page

    def remove(self, keys: Iterable[str]) -> bool:
        """Forgets every version of these keys for good; returns whether there was any."""
        wanted = set(keys)
        with self._lock:
            self._catch_up()
            gone = {key: self._page_ids[key] for key in wanted if key in self._page_ids}
        if gone:
            self._forget(gone.values())
        with self._lock:
            for key in [key for key, page_id in gone.items() if self._page_ids.get(key) == page_id]:
                del self._page_ids[key]
        return bool(gone)

    def forget_outdated(self) -> None:
        """Forgets every version that a newer one has taken the place of."""
        with self._lock:
            self._catch_up()
        self._forget(())

    def ranked(self, query: str, count: int, accepts: Callable[[RecalledPage], bool]) -> list[RecalledPage]:
        """Returns the best newest pages for a query that are accepted, best first; at most ``count``.

        What was just written is embedded before, so that it is found by meaning too.

        Raises:
            EmbeddingError: If the embedder failed.
            StoreError: If the store can't be read.
        """
        asked = count
        if not self._is_warm:
            self.memory.engine.embedder.embed([query])
            self._is_warm = True
        self.memory.embed(self._patience_seconds)
        while True:
            found = self._reader.recall(query, max_pages=asked, ranking=self._ranking).pages
            with self._lock:
                self._catch_up()
                current = set(self._page_ids.values())
            good = [each for each in found if each.page.page_id in current and accepts(each)]
            if len(good) >= count or len(found) < asked:
                return good[:count]
            asked *= 8

    def _newest(self, key: str) -> str | None:
        with self._lock:
            self._catch_up()
            return self._page_ids.get(key)

    def _catch_up(self) -> None:
        """Reads what this and other processes have added; the caller holds the lock."""
        fresh: list[Page] = []
        before_seq: int | None = None
        while pages := self.memory.newest_pages(1 if before_seq is None else SLICE, before_seq=before_seq):
            fresh += [page for page in pages if page.seq > self._last_seq]
            before_seq = pages[-1].seq
            if before_seq <= self._last_seq + 1:
                break
        for page in reversed(fresh):
            self._last_seq = page.seq
            key = self._key_of(page)
            if key is None:
                continue
            older = self._page_ids.get(key)
            if older is not None:
                self._outdated[older] = key
            self._page_ids[key] = page.page_id

    def _forget(self, page_ids: Iterable[str]) -> None:
        with self._lock:
            outdated = list(self._outdated)
        if gone := [*page_ids, *outdated]:
            self.memory.forget(page_ids=gone)
        with self._lock:
            for page_id in outdated:
                self._outdated.pop(page_id, None)


def merged(found: Iterable[Sequence[RecalledPage]]) -> Iterator[RecalledPage]:
    """Yields the pages of several memories, best first: each keeps its order, and cosines decide between them."""
    heads = [(-pages[0].cosine, number, 0, pages) for number, pages in enumerate(found) if pages]
    heapq.heapify(heads)
    while heads:
        _, number, place, pages = heapq.heappop(heads)
        yield pages[place]
        if place + 1 < len(pages):
            heapq.heappush(heads, (-pages[place + 1].cosine, number, place + 1, pages))
