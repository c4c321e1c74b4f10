"""The step that consolidates: one digest of the due pages becomes chains and segments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memoryos.errors import StoreConflictError
from memoryos.identifiers import new_id
from memoryos.model import Chain, Page, Segment
from memoryos.seams import Batch, Digest
from memoryos.storage.mid_term import Consolidation
from memoryos.updating.segment_matching import check_digest, create_segment, grow_segment, match_segment, unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from memoryos.retrieval.snapshot import ScopeSnapshot
    from memoryos.retrieval.working_sets import WorkingSets
    from memoryos.seams import Analyst
    from memoryos.storage.scopes import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.usage_ledger import UsageLedger

__all__ = ["DIGEST", "Consolidator"]

DIGEST = "digest"
"""What the ledger and the log call this step."""


class Consolidator:
    """Has the analyst digest a batch, places its topics (Eq. 2, 3), commits the whole."""

    def __init__(
        self,
        store: Store,
        analyst: Analyst,
        working_sets: WorkingSets,
        ledger: UsageLedger,
        *,
        similarity_threshold: float,
    ) -> None:
        self._store = store
        self._analyst = analyst
        self._working_sets = working_sets
        self._similarity_threshold = similarity_threshold
        self._ledger = ledger

    def consolidate(self, lease: Lease, pages: Sequence[Page], *, redo: bool = False) -> None:
        """Consolidates these pages with one call of the analyst.

        Args:
            lease: The right to do so.
            pages: Neighbours in the log.
            redo: Whether they have places already, given by a stand-in, that are to be given anew.

        Raises:
            AnalystError: If the analyst failed or broke its contract; nothing is written then.
            StoreConflictError: If the lease was lost meanwhile; nothing is written then.
        """
        snapshot = self._working_sets.get(lease.scope_id)
        batch = self._batch(lease.scope_id, pages, snapshot)
        digest = self._analyst.digest(batch, self._ledger.meter(lease.scope_id, DIGEST))
        check_digest(batch, digest)
        origin = digest.origin or self._analyst.origin
        provisional = origin != self._analyst.origin
        chain_of, chains = _chains(batch, digest)
        segments, segment_of = self._place(lease.scope_id, batch, digest, snapshot)
        change = Consolidation(chains, segments, chain_of, segment_of, origin, provisional, redo)
        self._store.mid_term.apply(lease, change)

    def _batch(self, scope_id: str, pages: Sequence[Page], snapshot: ScopeSnapshot) -> Batch:
        before = pages[0].seq - 1
        previous = self._store.log.at(scope_id, [before]).get(before)
        chain = None
        if previous is not None and previous.chain_id is not None:
            chain = self._store.mid_term.chain(scope_id, previous.chain_id)
        vectors = snapshot.page_vectors([page.seq for page in pages])
        previous_vector = None if previous is None else snapshot.page_vectors([previous.seq])[0]
        return Batch(
            pages=tuple(pages),
            vectors=vectors,
            previous=previous,
            previous_vector=previous_vector,
            previous_summary="" if chain is None else chain.summary,
        )

    def _place(
        self, scope_id: str, batch: Batch, digest: Digest, snapshot: ScopeSnapshot
    ) -> tuple[tuple[Segment, ...], Mapping[str, str]]:
        candidates = _SegmentCandidates(snapshot)
        vector_of = dict(zip((page.page_id for page in batch.pages), batch.vectors, strict=True))
        segment_of: dict[str, str] = {}
        segments: dict[str, Segment] = {}
        for topic in digest.topics:
            pages = [page for page in batch.pages if page.page_id in topic.page_ids]
            added = np.asarray(np.sum([vector_of[page.page_id] for page in pages], axis=0), np.float32)
            number = match_segment(
                (added / np.float32(len(pages)), topic.keywords),
                candidates.directions,
                candidates.keywords,
                self._similarity_threshold,
            )
            if number is None:
                segment = create_segment(new_id(), topic, pages)
            else:
                segment_id = candidates.ids[number]
                known = segments.get(segment_id) or self._store.mid_term.get(scope_id, [segment_id]).get(segment_id)
                if known is None:
                    raise StoreConflictError(f"segment {segment_id} was forgotten meanwhile")
                segment = grow_segment(known, topic, pages, candidates.turn(number, added))
            segments[segment.segment_id] = segment
            candidates.put(number, segment, added)
            segment_of |= {page.page_id: segment.segment_id for page in pages}
        return tuple(segments.values()), segment_of


class _SegmentCandidates:
    """The active segments as candidates for the topics of one batch, including the changes by earlier topics."""

    def __init__(self, snapshot: ScopeSnapshot) -> None:
        active = np.flatnonzero(snapshot.segments.active)
        self.ids = [snapshot.segments.ids[number] for number in active]
        self.keywords = [snapshot.segments.keywords[number] for number in active]
        self._sums = snapshot.segments.sums[active]

    @property
    def directions(self) -> NDArray[np.float32]:
        lengths = np.linalg.norm(self._sums, axis=1, keepdims=True)
        return np.asarray(self._sums / np.where(lengths > 0, lengths, 1), np.float32)

    def turn(self, number: int, added: NDArray[np.float32]) -> float:
        return float(unit(self._sums[number]) @ unit(self._sums[number] + added))

    def put(self, number: int | None, segment: Segment, added: NDArray[np.float32]) -> None:
        if number is None:
            self.ids.append(segment.segment_id)
            self.keywords.append(segment.keywords)
            self._sums = np.vstack([self._sums, added])
        else:
            self.keywords[number] = segment.keywords
            self._sums[number] += added


def _chains(batch: Batch, digest: Digest) -> tuple[Mapping[str, str], tuple[Chain, ...]]:
    chains: list[Chain] = []
    chain_of: dict[str, str] = {}
    summaries = iter(digest.chain_summaries)
    for index, (page, continues) in enumerate(zip(batch.pages, digest.continues, strict=True)):
        if index == 0:
            inherited = batch.previous.chain_id if batch.previous is not None and continues else None
            chains.append(Chain(inherited or new_id(), next(summaries)))
        elif not continues:
            chains.append(Chain(new_id(), next(summaries)))
        chain_of[page.page_id] = chains[-1].chain_id
    return chain_of, tuple(chains)
