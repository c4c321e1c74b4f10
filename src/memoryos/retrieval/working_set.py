"""The working set (Denning 1970): the searchable copy of one scope in numpy arrays, extended as pages arrive."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from memoryos.errors import DimensionMismatchError, StoreConflictError
from memoryos.language.text import search_terms
from memoryos.model import SIDES, Knowledge, Page, Profile
from memoryos.retrieval.arrays import GrowingArray
from memoryos.retrieval.meaning import MeaningIndex, best_cosines, directions
from memoryos.retrieval.question import index_terms
from memoryos.retrieval.ranking import Corpus
from memoryos.retrieval.recall import line_tokens, show_line
from memoryos.retrieval.segments import SegmentShelf
from memoryos.retrieval.words import WordIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from numpy.typing import NDArray

    from memoryos.retrieval.ranking import Cosines
    from memoryos.storage.scopes import ScopeState
    from memoryos.storage.store import Store
    from memoryos.storage.vectors import VectorRows

__all__ = ["WorkingSet"]

_SLICE_PAGES = 1_000


class WorkingSet:
    """The searchable copy of one scope. Hold ``lock`` while you use its arrays.

    ``refresh()`` reads what the store has got since: new pages, new vectors, new places of pages, new knowledge. The
    order of the log is the order of every array. Whatever interrupts a refresh, nobody sees a set that is half read: it
    is read anew before anybody holds the lock again.

    Attributes:
        profile: The current profile.
        knowledge: The current entries, oldest first.
        knowledge_words: Their words, in that order.
        knowledge_vectors: ``float32[entries, dimensions]``; zero rows for entries that are not embedded yet.
        segments: The segments, active and archived.
        is_switching: Whether pages still have vectors of an earlier embedder only; until none has, words rank alone.
    """

    def __init__(self, store: Store, scope_id: str, model: str, dimensions: int, max_bytes: int) -> None:
        self._lock = threading.RLock()
        self._is_whole = False
        self._store = store
        self._scope_id = scope_id
        self._model = model
        self._dimensions = dimensions
        self._max_bytes = max_bytes
        self._clear()

    def _clear(self) -> None:
        self._revision = -1
        self._learned_revision = -1
        self.is_switching = False
        self._page_seqs: GrowingArray[np.int64] = GrowingArray(np.int64)
        self._page_segments: GrowingArray[np.int32] = GrowingArray(np.int32)
        self._page_embedded: GrowingArray[np.bool_] = GrowingArray(np.bool_)
        self._pages: GrowingArray[np.int32] = GrowingArray(np.int32)
        self._sides: GrowingArray[np.int8] = GrowingArray(np.int8)
        self._speakers: GrowingArray[np.int32] = GrowingArray(np.int32)
        self._seconds: GrowingArray[np.float64] = GrowingArray(np.float64)
        self._tokens: GrowingArray[np.float32] = GrowingArray(np.float32)
        self._meaning = MeaningIndex(self._dimensions)
        self._words = WordIndex()
        self._unread: list[tuple[str, datetime]] = []
        self._speaker_codes: dict[str, int] = {}
        self.segments = SegmentShelf(self._dimensions)
        self.profile = Profile()
        self.knowledge: tuple[Knowledge, ...] = ()
        self.knowledge_words = WordIndex()
        self.knowledge_vectors: NDArray[np.float32] = np.zeros((0, self._dimensions), np.float32)

    @property
    def lock(self) -> AbstractContextManager[None]:
        """Guards everything here; whoever holds it finds the set whole.

        Raises:
            StoreError: At the entry, if the set has to be read anew and can't be.
        """
        return self._held_whole()

    @contextlib.contextmanager
    def _held_whole(self) -> Iterator[None]:
        with self._lock:
            if not self._is_whole:
                self.refresh()
            yield

    @property
    def nbytes(self) -> int:
        """Estimated bytes of memory that it holds."""
        arrays = (
            self._page_seqs,
            self._page_segments,
            self._page_embedded,
            self._pages,
            self._sides,
            self._speakers,
            self._seconds,
            self._tokens,
            self._words,
            self._meaning,
            self.segments,
        )
        return sum(each.nbytes for each in arrays)

    @property
    def is_exact(self) -> bool:
        """Whether it holds all vectors; else codes of them, and what has to be exact is looked up in the store."""
        return self._meaning.is_exact

    @property
    def last_seq(self) -> int:
        """Position of its newest page; 0 without pages."""
        return int(self._page_seqs.view[-1]) if len(self._page_seqs) else 0

    @property
    def speaker_names(self) -> tuple[str, ...]:
        """Everyone who speaks in the scope, by the numbers of ``Corpus.speakers``."""
        with self.lock:
            return tuple(self._speaker_codes)

    @property
    def tokens(self) -> NDArray[np.float32]:
        """``float32[n]``: estimated tokens of each utterance's line in a prompt."""
        return self._tokens.view

    @property
    def page_seqs(self) -> NDArray[np.int64]:
        """``int64[pages]``: position of each page in the log; ascending."""
        return self._page_seqs.view

    def corpus(self) -> Corpus:
        """Returns the utterances as arrays, without a copy: valid while ``lock`` is held."""
        page_segments = self._page_segments.view
        page_allowed = np.append(self.segments.active, True)[page_segments]  # -1 picks the appended True
        return Corpus(
            words=self._words,
            speakers=self._speakers.view,
            speaker_names=self.speaker_names,
            sides=self._sides.view,
            pages=self._pages.view,
            seconds=self._seconds.view,
            segments=page_segments[self._pages.view],
            allowed=page_allowed[self._pages.view],
        )

    def cosines(self, vector: NDArray[np.float32]) -> Cosines:
        """Returns how near each utterance is to ``float32[dimensions]``; an estimate unless ``is_exact``."""
        return self._meaning.cosines(vector, len(self._pages))

    def sharpened(self, cosines: Cosines, vector: NDArray[np.float32], indexes: NDArray[np.int64]) -> Cosines:
        """Returns the cosines with those of these utterances made exact, on their pages and on the pages beside them.

        Raises:
            StoreError: If their vectors can't be read.
        """
        values = cosines.values.copy()
        numbers = np.unique(self._pages.view[indexes][:, None] + np.array([-1, 0, 1], np.int32))
        numbers = numbers[(numbers >= 0) & (numbers < len(self.page_seqs))]
        for found in self._store.vectors.of_pages_at(self._scope_id, self._model, self.page_seqs[numbers].tolist()):
            owners = np.repeat(self._utterances_of(found), found.windows)
            said, best = best_cosines(owners, found.matrix, vector)
            values[said] = best
        return replace(cosines, values=values)

    def vectors_of(self, seqs: Sequence[int]) -> NDArray[np.float32]:
        """Returns ``float32[len(seqs), dimensions]``: the vector of each page; zero where it is not embedded yet.

        Raises:
            StoreConflictError: If a page was forgotten meanwhile.
            StoreError: If they are not in memory and can't be read.
        """
        numbers = np.searchsorted(self.page_seqs, seqs)
        there = numbers < len(self.page_seqs)
        there[there] = self.page_seqs[numbers[there]] == np.asarray(seqs)[there]
        if not there.all():
            raise StoreConflictError("a page was forgotten meanwhile")
        return self._page_vectors_at(numbers)

    def _page_vectors_at(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns ``float32[len(numbers), dimensions]``: the vector of each page; zero where it is not embedded yet."""
        vectors = np.zeros((len(numbers), self._dimensions), np.float32)
        for pages, rows in self._rows_of(numbers):
            found, summed = directions(pages, rows)
            there = np.isin(numbers, found)
            vectors[there] = summed[np.searchsorted(found, numbers[there])]
        return vectors

    def _rows_of(self, numbers: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
        """Yields the rows of these pages, and the page of each; ascending, no page twice."""
        if self.is_exact:
            wanted = np.unique(numbers).astype(np.int32)
            first = self._first_rows(wanted)
            counts = self._first_rows(wanted + 1) - first
            places = np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)
            if len(places):
                yield np.repeat(wanted, counts), self._meaning.rows[places]
            return
        seqs = np.unique(self.page_seqs[numbers]).tolist()
        for found in self._store.vectors.of_pages_at(self._scope_id, self._model, seqs):
            owners = np.repeat(self._utterances_of(found), found.windows)
            yield self._pages.view[owners], found.matrix

    def _first_rows(self, numbers: NDArray[np.int32]) -> NDArray[np.int64]:
        """Returns where the rows of each page begin."""
        utterances = self._pages.view.searchsorted(numbers).astype(np.int32)
        return self._meaning.owners.searchsorted(utterances)

    def refresh(self) -> None:
        """Reads what the store has got since the last refresh; cheap when nothing changed.

        Raises:
            StoreError: If the store can't be read; the next call reads everything anew.
        """
        with self._lock:
            with self._store.snapshot(self._scope_id):
                state = self._store.scopes.state(self._scope_id)
                if self._is_whole and state.revision == self._revision:
                    return
                is_usable = self._is_whole and state.reset_revision <= self._revision
                self._is_whole = False
                if not is_usable:
                    self._clear()
                is_short = state.last_seq - self.last_seq <= _SLICE_PAGES
                if is_short:
                    self._read(state)
            if not is_short:  # in a transaction a slice: others wait for connections, and erasing for readers
                self._read(state)
            self._read_words()
            self._revision, self._learned_revision = state.revision, state.learned_revision
            self._is_whole = True

    def _read(self, state: ScopeState) -> None:
        self._read_pages()
        try:
            self._read_vectors()
        except _OutOfOrderError:
            self._clear()
            self._read_pages()
            self._read_vectors()
        self._read_segments()
        if state.learned_revision != self._learned_revision or not self._knowledge_is_embedded():
            self._read_long_term()

    def _read_pages(self) -> None:
        pages = self._store.log.after(self._scope_id, self.last_seq)
        while part := list(islice(pages, _SLICE_PAGES)):
            self._read_words()
            self._add_pages(part)

    def _add_pages(self, pages: Sequence[Page]) -> None:
        number = len(self._page_seqs)
        self._page_seqs.extend([page.seq for page in pages])
        self._page_segments.extend([self._segment_number(page) for page in pages])
        self._page_embedded.extend(np.zeros(len(pages), np.bool_))
        said = [(number + place, page, side) for place, page in enumerate(pages) for side in page.speaking()]
        lines = [show_line(page.speaker(side), page.text(side)) for _, page, side in said]
        self._pages.extend([place for place, _, _ in said])
        self._sides.extend([SIDES.index(side) for _, _, side in said])
        self._speakers.extend([self._speaker_code(page.speaker(side)) for _, page, side in said])
        self._seconds.extend([page.at.timestamp() for _, page, _ in said])
        self._tokens.extend([line_tokens(line) for line in lines])
        self._unread += [(page.text(side), page.at) for _, page, side in said]

    def _read_words(self) -> None:
        """Indexes the words of the last pages, which takes longest and needs the store no more."""
        self._words.add(index_terms(text, at) for text, at in self._unread)
        self._unread = []

    def _segment_number(self, page: Page) -> int:
        return -1 if page.segment_id is None else self.segments.number(page.segment_id)

    def _speaker_code(self, name: str) -> int:
        return self._speaker_codes.setdefault(name, len(self._speaker_codes))

    def _read_vectors(self) -> None:
        missing = np.flatnonzero(~self._page_embedded.view)
        if len(missing):
            for found in self._store.vectors.of_pages(self._scope_id, self._model, int(self.page_seqs[missing[0]])):
                self._read_slice(found)
        is_behind = not self._page_embedded.view.all()
        self.is_switching = is_behind and self._store.log.is_switching(self._scope_id, self._model)

    def _read_slice(self, found: VectorRows) -> None:
        if found.matrix.shape[1] != self._dimensions:
            raise DimensionMismatchError(self._dimensions, found.matrix.shape[1])
        numbers = np.searchsorted(self.page_seqs, found.seqs)
        fresh = numbers < len(self.page_seqs)
        fresh[fresh] = ~self._page_embedded.view[numbers[fresh]]
        if not fresh.any():
            return
        self._add_vectors(found if fresh.all() else found.where(fresh))

    def _add_vectors(self, found: VectorRows) -> None:
        owners = np.repeat(self._utterances_of(found), found.windows)
        if owners[0] <= self._meaning.last_owner:
            raise _OutOfOrderError
        self._meaning.add(owners, found.matrix)
        pages = self._pages.view[owners]
        self._page_embedded.view[pages] = True
        if (self._page_segments.view[pages] >= 0).any():
            said, summed = directions(pages, found.matrix)
            self.segments.add_pages(self._page_segments.view[said], summed)
        if self.is_exact and self.nbytes > self._max_bytes:
            self._meaning.shrink()

    def _utterances_of(self, found: VectorRows) -> NDArray[np.int32]:
        """Returns ``int32[len(found.seqs)]``: the place of each utterance; all of its pages are here."""
        numbers = np.searchsorted(self.page_seqs, found.seqs)
        sides = np.fromiter((side == SIDES[1] for side in found.sides), np.int64, len(found.sides))
        first = int(self._pages.view.searchsorted(numbers[0]))
        keys = self._pages.view[first:].astype(np.int64) * len(SIDES) + self._sides.view[first:]
        return (first + np.searchsorted(keys, numbers * len(SIDES) + sides)).astype(np.int32)

    def _read_segments(self) -> None:
        changes = self._store.mid_term.changes(self._scope_id, self._revision)
        for change in changes:
            self.segments.describe(change.segment_id, change.keywords, archived=change.archived)
        unplaced = np.flatnonzero(self._page_segments.view == -1)
        if not changes or len(unplaced) == 0:
            return
        ids = [change.segment_id for change in changes]
        places = self._store.log.segments_of(self._scope_id, ids, int(self.page_seqs[unplaced[0]]))
        places = [each for each in places if each[0] <= self.last_seq]  # others came while this was read
        numbers = np.searchsorted(self.page_seqs, [seq for seq, _ in places])
        segments = np.array([self.segments.number(segment_id) for _, segment_id in places], np.int32)
        new = self._page_segments.view[numbers] == -1
        self._page_segments.view[numbers[new]] = segments[new]
        embedded = new & self._page_embedded.view[numbers]
        self.segments.add_pages(segments[embedded], self._page_vectors_at(numbers[embedded]))

    def _read_long_term(self) -> None:
        self.profile = self._store.long_term.profile(self._scope_id)
        self.knowledge = tuple(self._store.long_term.knowledge(self._scope_id))
        vectors = self._store.vectors.of_knowledge(self._scope_id, self._model)
        zero = np.zeros(self._dimensions, np.float32)
        rows = [vectors.get(entry.knowledge_id, zero) for entry in self.knowledge]
        self.knowledge_vectors = np.stack(rows) if rows else np.zeros((0, self._dimensions), np.float32)
        self.knowledge_words = WordIndex()
        self.knowledge_words.add(search_terms(entry.text) for entry in self.knowledge)

    def _knowledge_is_embedded(self) -> bool:
        return bool(self.knowledge_vectors.any(axis=1).all())


class _OutOfOrderError(Exception):
    """Vectors arrived for a page in front of embedded ones; the arrays must be read anew."""
