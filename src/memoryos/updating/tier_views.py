"""Read-only views of the tiers: segments with their heat, and the history of a fact."""

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
    """A segment with its content.

    Attributes:
        segment: The segment.
        heat: Its current heat (Eq. 4).
        chains: The chains of its pages. A chain may also contain pages of other segments.
        pages: Its pages, oldest first.
    """

    segment: Segment
    heat: float
    chains: tuple[Chain, ...]
    pages: tuple[Page, ...]


def read_segment(store: Store, scope_id: str, segment_id: str, now: datetime, weights: HeatWeights) -> SegmentContent:
    """Returns one segment, active or archived, with its content.

    Raises:
        NotFoundError: If the scope has no such segment.
    """
    segment = store.mid_term.get(scope_id, [segment_id]).get(segment_id)
    if segment is None:
        raise NotFoundError(f"no segment {segment_id}")
    pages = store.log.of_segment(scope_id, segment_id)
    chains = store.mid_term.chains(scope_id, {page.chain_id for page in pages if page.chain_id is not None})
    return SegmentContent(segment, heat(segment, now, weights), tuple(chains), tuple(pages))


def sorted_by_heat(segments: Iterable[Segment], now: datetime, weights: HeatWeights) -> list[tuple[Segment, float]]:
    """Returns segments with their current heat (Eq. 4), hottest first."""
    return sorted(((each, heat(each, now, weights)) for each in segments), key=lambda pair: -pair[1])


def fact_history(facts: Iterable[Knowledge], knowledge_id: str) -> list[Knowledge]:
    """Returns a fact with all facts that it replaced and all that replaced it, oldest first.

    Args:
        facts: All facts of the scope, current or not.
        knowledge_id: The fact.

    Raises:
        NotFoundError: If ``facts`` does not contain the fact.
    """
    by_id = {each.knowledge_id: each for each in facts}
    if knowledge_id not in by_id:
        raise NotFoundError(f"no knowledge {knowledge_id}")
    newest = by_id[knowledge_id]
    while newest.superseded_by in by_id:
        newest = by_id[newest.superseded_by]
    found = [newest]
    for replacement in found:  # grows while it is read: each replaced fact may have replaced others
        found += [each for each in by_id.values() if each.superseded_by == replacement.knowledge_id]
    return sorted(found, key=lambda each: each.knowledge_id)
