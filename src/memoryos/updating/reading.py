"""The reading step: an analyst reads new pages in the order of the log (§3.2 of Kang et al. 2025).

A reading assigns the pages to chains and segments and extracts facts. All this is committed in one transaction.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from memoryos.current_facts import view_facts
from memoryos.errors import StoreConflictError
from memoryos.identifiers import new_id
from memoryos.model import ABOUT, Chain
from memoryos.seams import Batch
from memoryos.storage.mid_term_table import Consolidation
from memoryos.storage.reading_table import NewReading, ReadingRow
from memoryos.updating.related_facts import related_facts, slot_facts
from memoryos.updating.segment_matching import check_reading, create_segment, grow_segment, match_segment, unit
from memoryos.updating.stated_facts import FactReader, check_facts, over_capacity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from memoryos.model import Page, Segment
    from memoryos.retrieval.snapshot import LongTermSnapshot, ScopeSnapshot
    from memoryos.retrieval.working_sets import WorkingSets
    from memoryos.seams import Analyst, Reading
    from memoryos.storage.lease import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.usage_ledger import UsageLedger

__all__ = ["READ", "Reader"]

READ = "read"
"""Name of this step in logs and in the usage ledger."""
PAGES_SHOWN_BEFORE = 2
"""Maximum number of pages that the analyst is shown before the pages that it reads."""


class Reader:
    """Reads batches of pages with an analyst, and stores the result.

    Each topic of a reading joins the most similar segment or becomes a new segment (Eq. 2 and 3 of Kang et al. 2025).

    Args:
        store: The store.
        analyst: Reads the pages.
        working_sets: Searchable copies of scopes in memory; they supply vectors and the current facts.
        ledger: Records token usage.
        similarity_threshold: Minimum similarity at which a topic joins a segment, θ of Eq. 3.
        capacity: Maximum number of current facts about the user, and the same number about the assistant.
        clock: Returns the current time (aware, UTC).
    """

    def __init__(
        self,
        store: Store,
        analyst: Analyst,
        working_sets: WorkingSets,
        ledger: UsageLedger,
        *,
        similarity_threshold: float,
        capacity: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._analyst = analyst
        self._working_sets = working_sets
        self._ledger = ledger
        self._similarity_threshold = similarity_threshold
        self._capacity = capacity
        self._clock = clock

    def read(self, lease: Lease, pages: Sequence[Page], *, redo: bool = False) -> None:
        """Reads pages with one call of the analyst, and stores their chains, segments and facts.

        Args:
            lease: The lease on the scope.
            pages: Neighbouring pages, in the order of the log; at most ``seams.MAX_BATCH_PAGES``.
            redo: Whether to replace readings of the fallback analyst. The pages must be all pages of these readings.

        Raises:
            AnalystError: If the analyst failed, or its reading is invalid. Nothing was written.
            StoreConflictError: If another worker took the lease. Nothing was written.
        """
        scope_id = lease.scope_id
        snapshot = self._working_sets.get(scope_id)
        known = snapshot.long_term
        if redo:
            known = known.without_readings({page.reading_id for page in pages})
        batch = self._batch(scope_id, pages, snapshot, known)
        reading = self._analyst.read(batch, self._ledger.meter(scope_id, READ))
        check_reading(batch, reading)
        check_facts(batch, reading.facts)
        now = self._clock()
        row = ReadingRow(
            reading_id=new_id(),
            shown_from_seq=min(page.seq for page in (*batch.before, *batch.pages)),
            first_seq=batch.pages[0].seq,
            last_seq=batch.pages[-1].seq,
            origin=reading.origin or self._analyst.origin,
            provisional=reading.origin not in {None, self._analyst.origin},
            dropped=reading.dropped,
            recorded_at=now,
        )
        facts = FactReader(scope_id, row.reading_id, batch, row.origin, now)
        if reading.facts:
            facts.read(reading.facts, self._store.forgetting.refusals(scope_id))
        chain_of, chains = _chains(batch, reading)
        segments, segment_of = self._assign_segments(scope_id, batch, reading, snapshot)
        archived = self._surplus(facts, known, now)
        new = NewReading(
            row=row,
            consolidation=Consolidation(chains, segments, chain_of, segment_of),
            facts=tuple(facts.added.values()),
            replaced=facts.replaced,
            archived=archived,
            redone=redo,
        )
        self._store.readings.add(lease, new)

    def _batch(self, scope_id: str, pages: Sequence[Page], snapshot: ScopeSnapshot, known: LongTermSnapshot) -> Batch:
        before = tuple(self._store.log.newest_before(scope_id, pages[0].seq, PAGES_SHOWN_BEFORE)[::-1])
        chain = None
        if before and before[-1].chain_id is not None:
            chain = self._store.mid_term.chain(scope_id, before[-1].chain_id)
        user_name, assistant_name = self._store.log.first_names(scope_id)
        vectors = snapshot.page_vectors([page.seq for page in pages])
        return Batch(
            pages=tuple(pages),
            vectors=vectors,
            before=before,
            before_vector=snapshot.page_vectors([before[-1].seq])[0] if before else None,
            before_summary="" if chain is None else chain.summary,
            user_name=user_name,
            assistant_name=assistant_name,
            slots=slot_facts(known),
            related=related_facts(known, pages, vectors),
        )

    def _surplus(self, facts: FactReader, known: LongTermSnapshot, now: datetime) -> tuple[str, ...]:
        """Returns the ids of the stored facts to archive, because there are more than the capacity after the reading.

        Facts of the reading itself that exceed the capacity are marked as archived in ``facts.added``.
        """
        current = (each for each in known.history if each.archived_at is None and each.superseded_by is None)
        both = (*current, *facts.added.values())
        if not facts.added or max(sum(each.about == about for each in both) for about in ABOUT) <= self._capacity:
            return ()
        added = facts.added
        stored = [each for each in known.history if each.knowledge_id not in added]
        merged = [*stored, *added.values()]
        surplus = over_capacity(merged, view_facts(merged, now).current, self._capacity)
        for each in added.keys() & {*surplus}:
            added[each] = replace(added[each], archived_at=now)
        return tuple(each for each in surplus if each not in added)

    def _assign_segments(
        self, scope_id: str, batch: Batch, reading: Reading, snapshot: ScopeSnapshot
    ) -> tuple[tuple[Segment, ...], Mapping[str, str]]:
        """Finds or creates the segment of each topic.

        Returns:
            The new and changed segments, and a dictionary from page id to segment id.
        """
        candidates = _SegmentCandidates(snapshot)
        vector_of = dict(zip((page.page_id for page in batch.pages), batch.vectors, strict=True))
        segment_of: dict[str, str] = {}
        segments: dict[str, Segment] = {}
        for topic in reading.topics:
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


def _chains(batch: Batch, reading: Reading) -> tuple[Mapping[str, str], tuple[Chain, ...]]:
    """Assigns the pages of a batch to chains.

    The first chain may continue the chain of the page before the batch.

    Returns:
        A dictionary from page id to chain id, and the chains.
    """
    chains: list[Chain] = []
    chain_of: dict[str, str] = {}
    summaries = iter(reading.chain_summaries)
    for index, (page, continues) in enumerate(zip(batch.pages, reading.continues, strict=True)):
        if index == 0:
            inherited = batch.before[-1].chain_id if batch.before and continues else None
            chains.append(Chain(inherited or new_id(), next(summaries)))
        elif not continues:
            chains.append(Chain(new_id(), next(summaries)))
        chain_of[page.page_id] = chains[-1].chain_id
    return chain_of, tuple(chains)
