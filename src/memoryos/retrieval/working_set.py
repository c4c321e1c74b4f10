"""The working set of one scope (Denning 1970): keeps a searchable snapshot in memory and updates it from the store."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from memoryos.errors import DimensionMismatchError
from memoryos.language.passages import passage_texts
from memoryos.model import SIDES, Profile
from memoryos.retrieval.arrays import GrowingArray
from memoryos.retrieval.long_term_reader import LongTermReader
from memoryos.retrieval.meaning import MeaningIndex, directions
from memoryos.retrieval.prompt_lines import line_tokens, show_line
from memoryos.retrieval.question import index_terms
from memoryos.retrieval.segments import SegmentIndex
from memoryos.retrieval.snapshot import LongTermSnapshot, PassageTable, ScopeSnapshot, StoredVectors, VectorReader
from memoryos.retrieval.words import WordIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from memoryos.model import Page
    from memoryos.storage.scopes import ScopeState
    from memoryos.storage.store import Store
    from memoryos.storage.vector_table import VectorRows

__all__ = ["WorkingSet"]

_SLICE_PAGES = 1_000


class WorkingSet:
    """Produces snapshots of one scope.

    Each refresh appends the changes in the store to growing arrays and publishes a new snapshot, which shares these
    arrays. If a refresh fails at any point, the arrays are discarded, and the next refresh reads the whole scope.

    Args:
        store: The store.
        scope_id: The scope.
        model: Name of the embedder whose vectors are read.
        dimensions: Length of its vectors.
        max_bytes: Above this size, codes of the vectors replace the vectors in memory.
        lasting_facts_only: Whether snapshots contain only the lasting facts: those from segments that were hot.
    """

    def __init__(
        self,
        store: Store,
        scope_id: str,
        model: str,
        dimensions: int,
        max_bytes: int,
        *,
        lasting_facts_only: bool = False,
    ) -> None:
        self._lasting_facts_only = lasting_facts_only
        self._store = store
        self._scope_id = scope_id
        self._model = model
        self._dimensions = dimensions
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._builder: _SnapshotBuilder | None = None
        self._snapshot: ScopeSnapshot | None = None

    def refresh(self, now: datetime) -> ScopeSnapshot:
        """Reads the changes since the last refresh and returns the current snapshot. Cheap if nothing changed.

        Args:
            now: The current time, which determines the current facts.

        Raises:
            StoreError: If the store can't be read. The next call then reads the whole scope.
        """
        with self._lock:
            try:
                return self._refresh(now)
            except _LateVectorsError:
                return self._refresh(now)  # the failed builder is discarded, so this reads the whole scope in log order

    def _refresh(self, now: datetime) -> ScopeSnapshot:
        with self._store.snapshot(self._scope_id):
            state = self._store.scopes.state(self._scope_id)
            is_same = self._snapshot is not None and self._snapshot.revision == state.revision
            if is_same and self._snapshot is not None and self._snapshot.long_term.is_valid_at(now):
                return self._snapshot
            builder = self._take_builder(state)
            is_short = state.last_seq - builder.last_seq <= _SLICE_PAGES
            if is_short:
                builder.read(state, now)
        if not is_short:
            # One transaction for each slice: a long transaction would hold a database connection and block erasing.
            builder.read(state, now)
        builder.index_words()
        self._snapshot = builder.snapshot()
        self._builder = builder
        return self._snapshot

    def _take_builder(self, state: ScopeState) -> _SnapshotBuilder:
        """Returns the builder to continue with, or an empty one after a reset or a failed refresh.

        The working set holds no builder and no snapshot until the refresh has succeeded. So a failed refresh leaves
        nothing behind, and a full read does not need memory for two copies of the scope.
        """
        builder = self._builder
        self._builder = self._snapshot = None
        if builder is None or state.reset_revision > builder.revision:
            return _SnapshotBuilder(
                self._store,
                self._scope_id,
                self._model,
                self._dimensions,
                self._max_bytes,
                lasting_facts_only=self._lasting_facts_only,
            )
        return builder


class _SnapshotBuilder:
    """The growing arrays of one scope. Not thread-safe; useless after an exception."""

    def __init__(
        self,
        store: Store,
        scope_id: str,
        model: str,
        dimensions: int,
        max_bytes: int,
        *,
        lasting_facts_only: bool,
    ) -> None:
        self.revision = -1
        self._long_term_reader = LongTermReader(
            store, scope_id, model, dimensions, lasting_facts_only=lasting_facts_only
        )
        self._store = store
        self._scope_id = scope_id
        self._stored_vectors = StoredVectors(store.vectors, scope_id, model)
        self._model = model
        self._dimensions = dimensions
        self._max_bytes = max_bytes
        self._learned_revision = -1
        self._is_switching = False
        self._page_seqs: GrowingArray[np.int64] = GrowingArray(np.int64)
        self._page_segments: GrowingArray[np.int32] = GrowingArray(np.int32)
        self._page_embedded: GrowingArray[np.bool_] = GrowingArray(np.bool_)
        self._pages: GrowingArray[np.int32] = GrowingArray(np.int32)
        self._sides: GrowingArray[np.int8] = GrowingArray(np.int8)
        self._parts: GrowingArray[np.int32] = GrowingArray(np.int32)
        self._speakers: GrowingArray[np.int32] = GrowingArray(np.int32)
        self._seconds: GrowingArray[np.float64] = GrowingArray(np.float64)
        self._days: GrowingArray[np.int32] = GrowingArray(np.int32)
        self._tokens: GrowingArray[np.float32] = GrowingArray(np.float32)
        self._meaning = MeaningIndex(dimensions)
        self._words = WordIndex()
        self._unindexed: list[tuple[str, datetime]] = []
        self._speaker_codes: dict[str, int] = {}
        self._segments = SegmentIndex(dimensions)
        no_vectors = np.zeros((0, dimensions), np.float32)
        self._long_term = LongTermSnapshot(
            Profile(), (), (), WordIndex().snapshot(), no_vectors, datetime.min.replace(tzinfo=timezone.utc), None
        )

    @property
    def last_seq(self) -> int:
        """The seq of the newest page; 0 without pages."""
        return int(self._page_seqs.view[-1]) if len(self._page_seqs) else 0

    @property
    def _nbytes(self) -> int:
        """Estimated bytes of memory."""
        arrays = (
            self._page_seqs,
            self._page_segments,
            self._page_embedded,
            self._pages,
            self._sides,
            self._parts,
            self._speakers,
            self._seconds,
            self._days,
            self._tokens,
            self._words,
            self._meaning,
            self._segments,
        )
        return sum(each.nbytes for each in arrays)

    def snapshot(self) -> ScopeSnapshot:
        """Returns an immutable snapshot of the data read so far. It shares the arrays instead of copying them."""
        passages = self._passages()
        return ScopeSnapshot(
            revision=self.revision,
            passages=passages,
            speaker_names=tuple(self._speaker_codes),
            words=self._words.snapshot(),
            vectors=self._vectors(passages),
            page_segments=self._page_segments.snapshot(),
            segments=self._segments.snapshot(),
            long_term=self._long_term,
            is_switching=self._is_switching,
            nbytes=self._nbytes,
        )

    def read(self, state: ScopeState, now: datetime) -> None:
        """Reads the changes since the last call. Does not index the words of new pages: see ``index_words``.

        Args:
            state: The state of the scope after these changes.
            now: The current time.

        Raises:
            StoreError: If the store can't be read.
        """
        self._read_pages()
        self._read_vectors()
        self._read_segments()
        is_known = state.learned_revision == self._learned_revision and self._long_term.is_valid_at(now)
        if not (is_known and self._long_term.is_embedded):
            self._long_term = self._long_term_reader.read(state.revision, now)
        self.revision, self._learned_revision = state.revision, state.learned_revision

    def index_words(self) -> None:
        """Indexes the words of the pages that ``read`` added.

        This is a separate method, because indexing is slow and needs no database connection.
        """
        self._words.add(index_terms(text, at) for text, at in self._unindexed)
        self._unindexed = []

    def _passages(self) -> PassageTable:
        return PassageTable(
            page_seqs=self._page_seqs.snapshot(),
            pages=self._pages.snapshot(),
            sides=self._sides.snapshot(),
            parts=self._parts.snapshot(),
            speakers=self._speakers.snapshot(),
            seconds=self._seconds.snapshot(),
            days=self._days.snapshot(),
            tokens=self._tokens.snapshot(),
        )

    def _vectors(self, passages: PassageTable) -> VectorReader:
        return VectorReader(passages, self._meaning.snapshot(), self._stored_vectors)

    def _read_pages(self) -> None:
        pages = self._store.log.after(self._scope_id, self.last_seq)
        while batch := list(islice(pages, _SLICE_PAGES)):
            self.index_words()
            self._add_pages(batch)

    def _add_pages(self, pages: Sequence[Page]) -> None:
        first = len(self._page_seqs)
        self._page_seqs.extend([page.seq for page in pages])
        self._page_segments.extend([self._segment_number(page) for page in pages])
        self._page_embedded.extend(np.zeros(len(pages), np.bool_))
        indices: list[int] = []
        sides: list[int] = []
        parts: list[int] = []
        speakers: list[int] = []
        seconds: list[float] = []
        days: list[int] = []
        tokens: list[float] = []
        for index, page in enumerate(pages, first):
            at, day = page.at.timestamp(), page.day.toordinal()
            for side in page.speaking():
                name = page.speaker(side)
                texts = passage_texts(page.text(side))
                count = len(texts)
                indices += [index] * count
                sides += [SIDES.index(side)] * count
                parts += range(count)
                speakers += [self._speaker_code(name)] * count
                seconds += [at] * count
                days += [day] * count
                tokens += [line_tokens(show_line(name, text)) for text in texts]
                self._unindexed += [(text, page.local_at) for text in texts]
        self._pages.extend(indices)
        self._sides.extend(sides)
        self._parts.extend(parts)
        self._speakers.extend(speakers)
        self._seconds.extend(seconds)
        self._days.extend(days)
        self._tokens.extend(tokens)

    def _segment_number(self, page: Page) -> int:
        return -1 if page.segment_id is None else self._segments.number(page.segment_id)

    def _speaker_code(self, name: str) -> int:
        return self._speaker_codes.setdefault(name, len(self._speaker_codes))

    def _read_vectors(self) -> None:
        missing = np.flatnonzero(~self._page_embedded.view)
        if len(missing):
            first_seq = int(self._page_seqs.view[missing[0]])
            for found in self._store.vectors.of_pages(self._scope_id, self._model, first_seq):
                self._add_missing_vectors(found)
        is_complete = bool(self._page_embedded.view.all())
        self._is_switching = not is_complete and self._store.log.is_switching(self._scope_id, self._model)

    def _add_missing_vectors(self, found: VectorRows) -> None:
        """Adds the stored vectors of the pages that have no vectors in the arrays yet."""
        if found.matrix.shape[1] != self._dimensions:
            raise DimensionMismatchError(self._dimensions, found.matrix.shape[1])
        pages = np.searchsorted(self._page_seqs.view, found.seqs)
        is_missing = pages < len(self._page_seqs)
        is_missing[is_missing] = ~self._page_embedded.view[pages[is_missing]]
        if is_missing.any():
            self._add_vectors(found if is_missing.all() else found.where(is_missing))

    def _add_vectors(self, found: VectorRows) -> None:
        passages = self._passages().rows(found)
        if passages[0] <= self._meaning.last_passage:
            raise _LateVectorsError
        self._meaning.add(passages, found.matrix)
        pages, sums = directions(self._pages.view[passages], found.matrix)
        self._page_embedded.replace(pages, np.ones(len(pages), np.bool_))
        segments = self._page_segments.view[pages]
        if (segments >= 0).any():
            self._segments.add_pages(segments, sums)
        if self._meaning.is_exact and self._nbytes > self._max_bytes:
            self._meaning.shrink()

    def _read_segments(self) -> None:
        changes = self._store.mid_term.changes(self._scope_id, self.revision)
        self._segments.update(changes)
        unassigned = np.flatnonzero(self._page_segments.view == -1)
        if not changes or len(unassigned) == 0:
            return
        ids = [change.segment_id for change in changes]
        assigned = self._store.log.segments_of(self._scope_id, ids, int(self._page_seqs.view[unassigned[0]]))
        assigned = [each for each in assigned if each[0] <= self.last_seq]  # later pages are read by the next refresh
        pages = np.searchsorted(self._page_seqs.view, [seq for seq, _ in assigned])
        segments = np.array([self._segments.number(segment_id) for _, segment_id in assigned], np.int32)
        is_new = self._page_segments.view[pages] == -1
        self._assign(pages[is_new], segments[is_new])

    def _assign(self, pages: NDArray[np.int64], segments: NDArray[np.int32]) -> None:
        """Assigns pages to segments, and adds the vectors of the embedded pages to the sums of their segments."""
        self._page_segments.replace(pages, segments)
        is_embedded = self._page_embedded.view[pages]
        vectors = self._vectors(self._passages()).page_vectors(pages[is_embedded])
        self._segments.add_pages(segments[is_embedded], vectors)


class _LateVectorsError(Exception):
    """A page received its vectors after a later page in the log.

    The vectors in memory must be in log order, so the whole scope must be read again.
    """
