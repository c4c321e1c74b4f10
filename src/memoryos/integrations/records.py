"""Records: values that a program stores under keys, for example items of a LangGraph store.

A record is stored as a page. The page's metadata contains the key and the value, and the page's text can be searched.
No facts are derived from records. The newest page with a key is the current version of the record. A new version is
written before the old version is forgotten. A crash between these two steps therefore loses no data.
"""

from __future__ import annotations

import heapq
import threading
from typing import TYPE_CHECKING

from memoryos.config import RankingWeights
from memoryos.errors import NotFoundError
from memoryos.inputs import read_query
from memoryos.models.query_cache import QueryCache
from memoryos.retrieval.retriever import Retriever

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from memoryos.memory import Memory
    from memoryos.model import Page
    from memoryos.modules import Modules
    from memoryos.retrieval.recall import RecalledPage

__all__ = ["RANKING", "PageSearch", "RecordCollection", "merged"]

RANKING = RankingWeights(previous=0, following=0, speaker=0, session=0, time=0)
"""Ranking weights for records. Only meaning and the words that a record shares with the query count.

The other ranking signals (neighbouring pages, speaker, session and time) say nothing about the relevance of a record.
"""
PAGES_PER_READ = 200
MAX_OUTDATED_PAGES = 64
"""Outdated versions are forgotten in groups of this size, because each deletion rewrites parts of the database."""


class PageSearch:
    """Searches all pages of a memory, including those of the short-term window.

    An ordinary recall returns the pages of the short-term window separately, whether they match the query or not.

    If the same query is used for several memories, its vector is computed only once.

    Args:
        modules: The parts of the memory engine, for example its store and its embedder.
    """

    def __init__(self, modules: Modules) -> None:
        self._modules = modules
        embedder = QueryCache(modules.embedder)
        self._retriever = Retriever(modules.store, embedder, modules.working_sets, modules.config)

    def find(
        self, memory: Memory, query: str, max_pages: int, ranking: RankingWeights | None
    ) -> tuple[RecalledPage, ...]:
        """Returns the best pages of a memory for a query, best first.

        Args:
            memory: The memory to search. It must belong to the same engine.
            query: The query.
            max_pages: Maximum number of pages.
            ranking: Ranking weights for this search only. If None, the weights in the engine's settings are used, and
                the search increases the heat of the segments that it finds.

        Raises:
            InputError: If the query is empty.
            EmbeddingError: If the embedder failed.
            StoreError: If the store can't be read.
        """
        modules = self._modules
        scope_id = modules.scopes.find(memory.scope)
        if scope_id is None:
            return ()
        modules.worker.note_foreground_activity()
        pages = self._retriever.recall(
            scope_id,
            read_query(query),
            now=modules.clock(),
            max_pages=max_pages,
            ranking=ranking,
            short_term_capacity=0,
        ).pages
        visited = {each.page.segment_id for each in pages if each.page.segment_id is not None}
        if visited and ranking is None:
            modules.updater.note_visits(scope_id, visited)
        return pages


class RecordCollection:
    """The records in one memory. The newest page with a key is the current version of the key's record.

    Args:
        memory: The memory in which the records are stored.
        search: Searches the pages of ``memory``.
        key_of: Returns the key of a page; None for a page that is not a record.
        max_outdated_pages: Number of outdated versions after which ``put`` forgets them.
        ranking: Ranking weights for ``ranked``; None for the weights in the engine's settings.
        lease_timeout_seconds: Maximum time that ``ranked`` waits for another worker to release the memory's lease.
    """

    def __init__(
        self,
        memory: Memory,
        search: PageSearch,
        key_of: Callable[[Page], str | None],
        *,
        max_outdated_pages: int = MAX_OUTDATED_PAGES,
        ranking: RankingWeights | None = RANKING,
        lease_timeout_seconds: float = 30.0,
    ) -> None:
        self.memory = memory
        self._search = search
        self._ranking = ranking
        self._key_of = key_of
        self._lease_timeout_seconds = lease_timeout_seconds
        self._is_model_loaded = False
        self._max_outdated_pages = max_outdated_pages
        self._lock = threading.Lock()
        self._page_ids: dict[str, str] = {}
        self._outdated: dict[str, str] = {}
        self._last_seq = 0

    def page(self, key: str) -> Page | None:
        """Returns the newest page with a key; None if no page has the key."""
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
        """Yields the newest page with each key. These pages are sorted from newest to oldest."""
        seen: set[str] = set()
        before_seq: int | None = None
        while pages := self.memory.newest_pages(PAGES_PER_READ, before_seq=before_seq):
            for page in pages:
                before_seq, key = page.seq, self._key_of(page)
                if key is not None and key not in seen:
                    seen.add(key)
                    yield page

    def put(
        self, text: str, metadata: Mapping[str, Any], *, at: datetime | None = None, by_assistant: bool = False
    ) -> Page:
        """Writes a new version of a record, and returns its page. The page is on disk when this method returns.

        Args:
            text: The text that is searched.
            metadata: Contains the key and the value of the record.
            at: Time of the record; default: now.
            by_assistant: Whether the text is from the assistant. If false, the text is from the user.

        Raises:
            InputError: If text or metadata can't be stored. Nothing was changed.
            StoreError: If the page could not be written.
        """
        user_text, assistant_text = ("", text) if by_assistant else (text, "")
        page = self.memory.add_memory(user_text, assistant_text, at, metadata)
        with self._lock:
            self._read_new_pages()
            is_full = len(self._outdated) >= self._max_outdated_pages
        if is_full:
            self.forget_outdated()
        return page

    def remove(self, keys: Iterable[str]) -> bool:
        """Permanently forgets all versions of the records with these keys.

        Returns:
            Whether at least one of the records existed.
        """
        unique_keys = set(keys)
        with self._lock:
            self._read_new_pages()
            removed = {key: self._page_ids[key] for key in unique_keys if key in self._page_ids}
        if removed:
            self._forget(removed.values())
        with self._lock:
            for key in [key for key, page_id in removed.items() if self._page_ids.get(key) == page_id]:
                del self._page_ids[key]
        return bool(removed)

    def forget_outdated(self) -> None:
        """Permanently forgets all outdated versions of records."""
        with self._lock:
            self._read_new_pages()
        self._forget(())

    def ranked(self, query: str, count: int, accepts: Callable[[RecalledPage], bool]) -> list[RecalledPage]:
        """Returns the records that match a query, best first.

        Before the search, the vectors of new pages are computed, so that these pages are found by meaning, too.

        Args:
            query: The query.
            count: Maximum number of records.
            accepts: Returns whether a record may be in the result.

        Raises:
            EmbeddingError: If the embedder failed.
            StoreError: If the store can't be read.
        """
        max_pages = count
        if not self._is_model_loaded:  # loads the model before the lease is taken
            self.memory.modules.embedder.embed([query])
            self._is_model_loaded = True
        self.memory.embed(self._lease_timeout_seconds)
        while True:
            found = self._search.find(self.memory, query, max_pages, self._ranking)
            with self._lock:
                self._read_new_pages()
                current = set(self._page_ids.values())
            good = [each for each in found if each.page.page_id in current and accepts(each)]
            if len(good) >= count or len(found) < max_pages:
                return good[:count]
            max_pages *= 8

    def _newest(self, key: str) -> str | None:
        with self._lock:
            self._read_new_pages()
            return self._page_ids.get(key)

    def _read_new_pages(self) -> None:
        """Reads the pages that any process has added since the last call. The caller must hold ``self._lock``."""
        added: list[Page] = []
        before_seq: int | None = None
        while pages := self.memory.newest_pages(1 if before_seq is None else PAGES_PER_READ, before_seq=before_seq):
            added += [page for page in pages if page.seq > self._last_seq]
            before_seq = pages[-1].seq
            if before_seq <= self._last_seq + 1:
                break
        for page in reversed(added):
            self._last_seq = page.seq
            key = self._key_of(page)
            if key is None:
                continue
            replaced = self._page_ids.get(key)
            if replaced is not None:
                self._outdated[replaced] = key
            self._page_ids[key] = page.page_id

    def _forget(self, page_ids: Iterable[str]) -> None:
        with self._lock:
            outdated = list(self._outdated)
        if forgotten := [*page_ids, *outdated]:
            self.memory.forget(page_ids=forgotten)
        with self._lock:
            for page_id in outdated:
                self._outdated.pop(page_id, None)


def merged(rankings: Iterable[Sequence[RecalledPage]]) -> Iterator[RecalledPage]:
    """Merges several rankings of pages into one, best pages first.

    The order within each ranking is kept. Each step compares the next page of every ranking, and yields the page with
    the highest cosine.
    """
    heads = [(-pages[0].cosine, number, 0, pages) for number, pages in enumerate(rankings) if pages]
    heapq.heapify(heads)
    while heads:
        _, number, place, pages = heapq.heappop(heads)
        yield pages[place]
        if place + 1 < len(pages):
            heapq.heappush(heads, (-pages[place + 1].cosine, number, place + 1, pages))
