"""The consolidation step: the analyst (an LLM or local rules) groups pages into chains and segments.

A chain is a series of consecutive pages of one train of thought. A segment contains all pages of one topic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memoryos.errors import StoreConflictError
from memoryos.identifiers import new_id
from memoryos.model import Chain, Page, Segment
from memoryos.seams import Batch, Digest
from memoryos.storage.mid_term_table import Consolidation
from memoryos.updating.segment_matching import check_digest, create_segment, grow_segment, match_segment, unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from memoryos.retrieval.snapshot import ScopeSnapshot
    from memoryos.retrieval.working_sets import WorkingSets
    from memoryos.seams import Analyst
    from memoryos.storage.lease import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.usage_ledger import UsageLedger

__all__ = ["DIGEST", "Consolidator"]

DIGEST = "digest"
"""Name of this step in logs and in the usage ledger."""


class Consolidator:
    """Groups pages into chains and segments.

    The analyst returns a ``Digest``: the chains, their summaries and the topics of the pages. Each topic joins the most
    similar segment or becomes a new segment (Eq. 2 and 3 of Kang et al. 2025). All changes are committed in one
    transaction.

    Args:
        store: The store.
        analyst: Returns the digest of the pages.
        working_sets: Searchable copies of scopes in memory; they supply the vectors of pages and segments.
        ledger: Records token usage.
        similarity_threshold: Minimum similarity at which a topic joins a segment, θ of Eq. 3.
    """

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
        """Groups pages into chains and segments, with one call of the analyst.

        Args:
            lease: The lease on the scope.
            pages: Consecutive pages of the log.
            redo: Whether to replace the chains and segments that the fallback analyst assigned.

        Raises:
            AnalystError: If the analyst failed, or the chains and topics that it returned are invalid. Nothing was
                written.
            StoreConflictError: If another worker took the lease. Nothing was written.
        """
        snapshot = self._working_sets.get(lease.scope_id)
        batch = self._batch(lease.scope_id, pages, snapshot)
        digest = self._analyst.digest(batch, self._ledger.meter(lease.scope_id, DIGEST))
        check_digest(batch, digest)
        origin = digest.origin or self._analyst.origin
        provisional = origin != self._analyst.origin
        chain_of, chains = _chains(batch, digest)
        segments, segment_of = self._assign_segments(lease.scope_id, batch, digest, snapshot)
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

    def _assign_segments(
        self, scope_id: str, batch: Batch, digest: Digest, snapshot: ScopeSnapshot
    ) -> tuple[tuple[Segment, ...], Mapping[str, str]]:
        """Finds or creates the segment of each topic.

        Returns:
            The new and changed segments, and a dictionary from page id to segment id.
        """
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
                    raise StoreConflictError(
                        f"segment {segment_id} was forgotten while new pages were assigned to it; try again"
                    )
                segment = grow_segment(known, topic, pages, candidates.cosine_after(number, added))
            segments[segment.segment_id] = segment
            candidates.put(number, segment, added)
            segment_of |= {page.page_id: segment.segment_id for page in pages}
        return tuple(segments.values()), segment_of


class _SegmentCandidates:
    """The active segments that a topic of the batch may join. Updated after each topic."""

    def __init__(self, snapshot: ScopeSnapshot) -> None:
        active = np.flatnonzero(snapshot.segments.active)
        self.ids = [snapshot.segments.ids[number] for number in active]
        self.keywords = [snapshot.segments.keywords[number] for number in active]
        self._sums = snapshot.segments.sums[active]

    @property
    def directions(self) -> NDArray[np.float32]:
        """The vectors of the segments, ``float32[segments, d]``; each row is L2-normalised."""
        lengths = np.linalg.norm(self._sums, axis=1, keepdims=True)
        return np.asarray(self._sums / np.where(lengths > 0, lengths, 1), np.float32)

    def cosine_after(self, number: int, added: NDArray[np.float32]) -> float:
        """Returns the cosine between a segment's vector now and after adding page vectors.

        Args:
            number: Index of the segment.
            added: Sum of the page vectors to add, ``float32[d]``.
        """
        return float(unit(self._sums[number]) @ unit(self._sums[number] + added))

    def put(self, number: int | None, segment: Segment, added: NDArray[np.float32]) -> None:
        """Updates a candidate after a topic joined it, or appends a new candidate.

        Args:
            number: Index of the candidate; None for a new candidate.
            segment: The segment with the topic.
            added: Sum of the vectors of the topic's pages, ``float32[d]``.
        """
        if number is None:
            self.ids.append(segment.segment_id)
            self.keywords.append(segment.keywords)
            self._sums = np.vstack([self._sums, added])
        else:
            self.keywords[number] = segment.keywords
            self._sums[number] += added


def _chains(batch: Batch, digest: Digest) -> tuple[Mapping[str, str], tuple[Chain, ...]]:
    """Assigns the pages of a batch to chains.

    The first chain may continue the chain of the page before the batch.

    Returns:
        A dictionary from page id to chain id, and the chains.
    """
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
