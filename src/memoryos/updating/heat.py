"""Heat of a segment (Eq. 4 of Kang et al. 2025), computed for a given time and never stored."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from memoryos.config import HeatWeights
    from memoryos.model import Segment

__all__ = ["coldest", "heat", "hot", "recency"]


def recency(last_visited_at: datetime, now: datetime, recency_seconds: float) -> float:
    """Returns R_recency = exp(-Δt / μ) of Eq. 4, in (0, 1]; a visit in the future is treated as a visit now."""
    elapsed_seconds = max(0.0, (now - last_visited_at).total_seconds())
    return math.exp(-elapsed_seconds / recency_seconds)


def heat(segment: Segment, now: datetime, weights: HeatWeights) -> float:
    """Returns α N_visit + β L_interaction + γ R_recency (Eq. 4)."""
    return (
        weights.visit_weight * segment.visits
        + weights.length_weight * segment.length
        + weights.recency_weight * recency(segment.last_visited_at, now, weights.recency_seconds)
    )


def hot(segments: Iterable[Segment], now: datetime, weights: HeatWeights, threshold: float) -> list[Segment]:
    """Returns the segments with heat > τ (``threshold``), hottest first, then older first (§3.3)."""
    warmth = [(-heat(segment, now, weights), segment.created_at, segment.segment_id, segment) for segment in segments]
    return [segment for negative, _, _, segment in sorted(warmth, key=lambda each: each[:3]) if -negative > threshold]


def coldest(segments: Iterable[Segment], now: datetime, weights: HeatWeights, count: int) -> list[Segment]:
    """Returns the ``count`` segments of lowest heat, coldest first, then older first (§3.3)."""
    ranked = sorted(segments, key=lambda each: (heat(each, now, weights), each.created_at, each.segment_id))
    return ranked[: max(0, count)]
