"""A snapshot of one scope: everything that a recall searches, as arrays that never change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from memoryos.errors import StoreConflictError, StoreUnreadableError
from memoryos.language.passages import MAX_EMBEDDED_PASSAGES
from memoryos.language.text import search_terms
from memoryos.model import SIDES
from memoryos.retrieval.arrays import concatenated_ranges, sorted_distinct
from memoryos.retrieval.meaning import directions, products
from memoryos.retrieval.ranking import Corpus
from memoryos.retrieval.words import WordIndex

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from memoryos.model import Knowledge, Profile
    from memoryos.retrieval.meaning import MeaningSnapshot
    from memoryos.retrieval.ranking import Cosines
    from memoryos.retrieval.segments import SegmentSnapshot
    from memoryos.retrieval.words import WordSnapshot
    from memoryos.storage.vector_table import VectorRows, VectorTable

__all__ = ["LongTermSnapshot", "PassageTable", "ScopeSnapshot", "StoredVectors", "VectorReader"]


@dataclass(frozen=True, slots=True)
class PassageTable:
    """The n passages of a scope as columns, in log order; the user's side of a page precedes the assistant's.

    A *row* is the number of a passage, a *page index* the number of a page in this table. A *seq* is the position of a
    page in the log, which is the only one of the three that is valid outside of a snapshot.

    Attributes:
        page_seqs: ``int64[pages]``: the seq of each page; ascending.
        pages: ``int32[n]``: the page index of each passage; ascending.
        sides: ``int8[n]``: index into ``SIDES``.
        parts: ``int32[n]``: the number of the passage in its utterance, from 0.
        speakers: ``int32[n]``: index into ``ScopeSnapshot.speaker_names``.
        seconds: ``float64[n]``: POSIX time of the page.
        days: ``int32[n]``: the day of the page in its sender's zone, as a proleptic Gregorian ordinal.
        tokens: ``float32[n]``: estimated tokens of the passage's line in a prompt.
    """

    page_seqs: NDArray[np.int64]
    pages: NDArray[np.int32]
    sides: NDArray[np.int8]
    parts: NDArray[np.int32]
    speakers: NDArray[np.int32]
    seconds: NDArray[np.float64]
    days: NDArray[np.int32]
    tokens: NDArray[np.float32]

    @property
    def last_seq(self) -> int:
        """The seq of the newest page; 0 without pages."""
        return int(self.page_seqs[-1]) if len(self.page_seqs) else 0

    def rows(self, found: VectorRows) -> NDArray[np.int32]:
        """Returns, for each stored vector, the row of its passage in this table.

        Args:
            found: n stored vectors in log order. All their pages are in this table.

        Returns:
            ``int32[n]``, in the order of the vectors.

        Raises:
            StoreUnreadableError: If an utterance does not have one vector for each of its first 64 passages.
        """
        pages = np.searchsorted(self.page_seqs, found.seqs)
        sides = np.fromiter((side == SIDES[1] for side in found.sides), np.int64, len(found.sides))
        first = int(self.pages.searchsorted(pages[0]))
        keys = self.pages[first:].astype(np.int64) * len(SIDES) + self.sides[first:]
        wanted = pages * len(SIDES) + sides
        starts = keys.searchsorted(wanted)
        counts = np.minimum(keys.searchsorted(wanted, side="right") - starts, MAX_EMBEDDED_PASSAGES)
        if not np.array_equal(counts, found.counts):
            seq = found.seqs[int(np.flatnonzero(counts != found.counts)[0])]
            raise StoreUnreadableError(
                f"the vectors of the page at log position {seq} do not match its passages; restore it from a backup"
            )
        return (first + concatenated_ranges(starts, counts)).astype(np.int32)


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """The vectors of one scope in the store.

    Attributes:
        table: The vector table of the store.
        scope_id: The scope.
        model: Name of the embedder that made the vectors.
    """

    table: VectorTable
    scope_id: str
    model: str

    def read(self, seqs: Sequence[int]) -> Iterator[VectorRows]:
        """Yields the vectors of the pages at some log positions. Skips forgotten pages and pages without vectors.

        Args:
            seqs: The log positions, ascending.

        Raises:
            StoreError: If the store can't be read.
        """
        return self.table.of_pages_at(self.scope_id, self.model, seqs)


@dataclass(frozen=True, slots=True)
class VectorReader:
    """Reads vectors of passages and pages from memory, or from the store if only codes of them are in memory.

    Attributes:
        passages: The passages.
        index: The vectors or codes in memory.
        stored: The vectors in the store.
    """

    passages: PassageTable
    index: MeaningSnapshot
    stored: StoredVectors

    @property
    def is_exact(self) -> bool:
        """Whether whole vectors are in memory; otherwise ``cosines`` are estimates."""
        return self.index.is_exact

    def cosines(self, query: NDArray[np.float32]) -> Cosines:
        """Returns the cosine of a query and each passage; an estimate unless ``is_exact``.

        Args:
            query: ``float32[dimensions]``, L2-normalised.
        """
        return self.index.cosines(query, len(self.passages.pages))

    def rescore(self, cosines: Cosines, query: NDArray[np.float32], rows: NDArray[np.int64]) -> Cosines:
        """Returns a copy of the cosines, in which some estimates are replaced by exact cosines.

        These are the cosines of all passages on the pages of ``rows`` and on the pages next to them.

        Args:
            cosines: Estimated cosines of the query and all passages.
            query: ``float32[dimensions]``, L2-normalised.
            rows: ``int64[k]``: rows of passages.

        Raises:
            StoreError: If the vectors can't be read.
        """
        values = cosines.values.copy()
        pages = (self.passages.pages[rows][:, None] + np.array([-1, 0, 1], np.int32)).ravel()
        pages = sorted_distinct(pages[(pages >= 0) & (pages < len(self.passages.page_seqs))])
        for found in self.stored.read(self.passages.page_seqs[pages].tolist()):
            values[self.passages.rows(found)] = products(found.matrix, query)
        return replace(cosines, values=values)

    def page_vectors(self, pages: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns ``float32[len(pages), dimensions]``: the vector of each page, by page index, in the given order.

        The vector of a page is the L2-normalised sum of its passages' vectors; zero before the page is embedded.

        Raises:
            StoreError: If the vectors are not in memory and can't be read.
        """
        vectors = np.zeros((len(pages), self.index.rows.shape[1]), np.float32)
        for owners, rows in self._vectors_by_page(sorted_distinct(pages)):
            found, sums = directions(owners, rows)
            is_found = np.isin(pages, found)
            vectors[is_found] = sums[np.searchsorted(found, pages[is_found])]
        return vectors

    def _vectors_by_page(self, pages: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
        """Yields the vectors of these pages in batches: the page index of each vector, and the vectors.

        Example:
            If page 4 has two vectors and page 7 has one, ``[4, 7]`` yields ``([4, 4, 7], float32[3, dimensions])``.

        Args:
            pages: ``int64[k]``: page indices, ascending, each once.
        """
        if not self.is_exact:
            for found in self.stored.read(self.passages.page_seqs[pages].tolist()):
                yield self.passages.pages[self.passages.rows(found)], found.matrix
            return
        first = self.passages.pages.searchsorted(pages.astype(np.int32))
        end = self.passages.pages.searchsorted((pages + 1).astype(np.int32))
        rows = self.index.rows_of(first.astype(np.int32), end.astype(np.int32))
        if len(rows):
            yield self.passages.pages[self.index.passages[rows]], self.index.rows[rows]


@dataclass(frozen=True, slots=True)
class LongTermSnapshot:
    """The long-term memory of a scope.

    Attributes:
        profile: The current profile.
        knowledge: The current entries, oldest first.
        history: All entries, including those that are not current, in the order in which they were stated.
        words: Word index of the entries, in the same order.
        vectors: ``float32[entries, dimensions]``: the vector of each entry; a row of zeros if the entry has none.
        read_at: The time for which the entries are current.
        next_change: The time at which other entries become current without new facts; None if never.
    """

    profile: Profile
    knowledge: tuple[Knowledge, ...]
    history: tuple[Knowledge, ...]
    words: WordSnapshot
    vectors: NDArray[np.float32]
    read_at: datetime
    next_change: datetime | None

    def is_valid_at(self, now: datetime) -> bool:
        """Returns whether the same entries are current at this time."""
        return self.read_at <= now and (self.next_change is None or now < self.next_change)

    def without_readings(self, reading_ids: Container[str | None]) -> LongTermSnapshot:
        """Returns a copy without the entries that these readings extracted. None stands for no reading."""
        kept = [
            number
            for number, each in enumerate(self.knowledge)
            if each.reading_id is None or each.reading_id not in reading_ids
        ]
        knowledge = tuple(self.knowledge[number] for number in kept)
        words = WordIndex()
        words.add(search_terms(each.text) for each in knowledge)
        history = tuple(each for each in self.history if each.reading_id is None or each.reading_id not in reading_ids)
        return replace(self, knowledge=knowledge, history=history, words=words.snapshot(), vectors=self.vectors[kept])

    @property
    def is_embedded(self) -> bool:
        """Whether each entry has a vector."""
        return bool(self.vectors.any(axis=1).all())


@dataclass(frozen=True, slots=True)
class ScopeSnapshot:
    """One scope at one revision. It never changes, so any number of threads can read it without a lock.

    Attributes:
        revision: Revision of the scope, as in ``ScopeState``.
        passages: The passages.
        speaker_names: All speakers of the scope.
        words: Word index of the passages.
        vectors: Vectors of the passages.
        page_segments: ``int32[pages]``: segment number of each page; -1 before the page is read.
        segments: The segments.
        long_term: Profile and knowledge.
        is_switching: Whether some pages only have vectors of an earlier embedder. While this is true, the ranking
            uses words instead of vectors.
        nbytes: Estimated bytes of memory.
    """

    revision: int
    passages: PassageTable
    speaker_names: tuple[str, ...]
    words: WordSnapshot
    vectors: VectorReader
    page_segments: NDArray[np.int32]
    segments: SegmentSnapshot
    long_term: LongTermSnapshot
    is_switching: bool
    nbytes: int

    def corpus(self) -> Corpus:
        """Returns the passages in the form that the ranking requires."""
        page_allowed = np.append(self.segments.active, True)[self.page_segments]  # -1 selects the appended True
        return Corpus(
            words=self.words,
            speakers=self.passages.speakers,
            speaker_names=self.speaker_names,
            sides=self.passages.sides,
            parts=self.passages.parts,
            seconds=self.passages.seconds,
            days=self.passages.days,
            segments=self.page_segments[self.passages.pages],
            allowed=page_allowed[self.passages.pages],
        )

    def page_vectors(self, seqs: Sequence[int]) -> NDArray[np.float32]:
        """Returns ``float32[len(seqs), dimensions]``: the vector of each page; zero before the page is embedded.

        Raises:
            StoreConflictError: If a page is not in the snapshot, because it was forgotten.
            StoreError: If the vectors are not in memory and can't be read.
        """
        known = self.passages.page_seqs
        pages = np.searchsorted(known, seqs)
        if (pages == len(known)).any() or (known[pages] != seqs).any():
            raise StoreConflictError("a page was forgotten during this operation; try again")
        return self.vectors.page_vectors(pages)
