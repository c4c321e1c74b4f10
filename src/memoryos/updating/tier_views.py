"""Read-only views: segments with their heat, and the history of a fact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.errors import NotFoundError
from memoryos.updating.heat import heat

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from memoryos.config import HeatWeights
    from memoryos.model import Chain, Knowledge, Page, Segment
    from memoryos.storage.store import Store

__all__ = ["SegmentContent", "fact_history", "read_segment", "sorted_by_heat"]


@dataclass(frozen=True, slots=True)
class SegmentContent:
    """A segment with its heat, its chains and its pages.

    Attributes:
        segment: The segment.
        heat: Current heat of the segment (Eq. 4).
        chains: The chains of the segment's pages. A chain may also contain pages of other segments.
        pages: The pages of the segment, oldest first.
    """

    segment: Segment
    heat: float
    chains: tuple[Chain, ...]
    pages: tuple[Page, ...]


def read_segment(store: Store, scope_id: str, segment_id: str, now: datetime, weights: HeatWeights) -> SegmentContent:
    """Returns one segment, active or archived, with its heat, chains and pages.

    Raises:
        NotFoundError: If the scope has no such segment.
    """
    segment = store.mid_term.get(scope_id, [segment_id]).get(segment_id)
    if segment is None:
        raise NotFoundError(f"this memory has no segment with the id {segment_id!r}; list the segments")
    pages = store.log.of_segment(scope_id, segment_id)
    chains = store.mid_term.chains(scope_id, {page.chain_id for page in pages if page.chain_id is not None})
    return SegmentContent(segment, heat(segment, now, weights), tuple(chains), tuple(pages))


def sorted_by_heat(segments: Iterable[Segment], now: datetime, weights: HeatWeights) -> list[tuple[Segment, float]]:
    """Returns (segment, heat) pairs, hottest first.

    Heat is a score of how often and how recently a segment was recalled.
    """
    return sorted(((each, heat(each, now, weights)) for each in segments), key=lambda pair: -pair[1])


def fact_history(facts: Iterable[Knowledge], knowledge_id: str) -> list[Knowledge]:
    """Returns all versions of a fact, oldest first.

    These are the newest version of the fact, and every fact that this version replaced directly or indirectly.

    Args:
        facts: All facts of the scope, including superseded and archived ones.
        knowledge_id: Id of the fact.

    Raises:
        NotFoundError: If ``facts`` does not contain the fact.
    """
    by_id = {each.knowledge_id: each for each in facts}
    if knowledge_id not in by_id:
        raise NotFoundError(f"this memory has no fact with the id {knowledge_id!r}; list the facts")
    newest = by_id[knowledge_id]
    while newest.superseded_by in by_id:
        newest = by_id[newest.superseded_by]
    found = [newest]
    for replacement in found:  # the loop appends to this list, because a replaced fact may have replaced others
        found += [each for each in by_id.values() if each.superseded_by == replacement.knowledge_id]
    return sorted(found, key=lambda each: each.knowledge_id)
