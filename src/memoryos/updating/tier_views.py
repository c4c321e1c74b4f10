"""Read-only views: segments with their heat, and the history of a fact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.errors import NotFoundError
from memoryos.slots import SINGLE_VALUED
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
    """Returns all versions of a fact, in the order in which they were stated.

    These are the fact, the facts that replaced it or now fill its slot, and every fact that one of these replaced,
    directly or indirectly. Two facts that fill the same single-valued slot of a subject are versions of each other.

    Args:
        facts: All facts of the scope, including those that are not current.
        knowledge_id: Id of the fact.

    Raises:
        NotFoundError: If ``facts`` does not contain the fact.
    """
    by_id = {each.knowledge_id: each for each in facts}
    if knowledge_id not in by_id:
        raise NotFoundError(f"this memory has no fact with the id {knowledge_id!r}; list the facts")
    linked: dict[object, list[object]] = {}
    for each in by_id.values():
        for older in {*each.replaces} & by_id.keys():
            linked.setdefault(older, []).append(each.knowledge_id)
            linked.setdefault(each.knowledge_id, []).append(older)
        if each.superseded_by in by_id:
            linked.setdefault(each.superseded_by, []).append(each.knowledge_id)
            linked.setdefault(each.knowledge_id, []).append(each.superseded_by)
        if each.slot in SINGLE_VALUED:
            slot = (each.subject, each.slot)
            linked.setdefault(slot, []).append(each.knowledge_id)
            linked.setdefault(each.knowledge_id, []).append(slot)
    found: set[object] = {knowledge_id}
    pending: list[object] = [knowledge_id]
    while pending:
        new = [each for each in linked.get(pending.pop(), ()) if each not in found]
        found.update(new)
        pending += new
    return [each for each in by_id.values() if each.knowledge_id in found]
