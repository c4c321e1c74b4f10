"""Heat: a score of how often and how recently a segment was recalled (Eq. 4 of Kang et al. 2025).

Heat is computed for a given time and is never stored.
"""

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
    """Returns R_recency = exp(-Δt / μ) of Eq. 4, a number in (0, 1].

    A visit in the future counts as a visit now.

    Args:
        last_visited_at: Time of the last visit.
        now: Time for which to compute the value. Δt is the time since the last visit.
        recency_seconds: The time constant μ in seconds.
    """
    elapsed_seconds = max(0.0, (now - last_visited_at).total_seconds())
    return math.exp(-elapsed_seconds / recency_seconds)


def heat(segment: Segment, now: datetime, weights: HeatWeights) -> float:
    """Returns the heat of a segment: α N_visit + β L_interaction + γ R_recency (Eq. 4).

    N_visit is the number of recalls, and L_interaction is the number of pages from which no facts were extracted yet.
    The weights are α, β and γ.
    """
    return (
        weights.visit_weight * segment.visits
        + weights.length_weight * segment.length
        + weights.recency_weight * recency(segment.last_visited_at, now, weights.recency_seconds)
    )


def hot(segments: Iterable[Segment], now: datetime, weights: HeatWeights, threshold: float) -> list[Segment]:
    """Returns the segments with heat > ``threshold`` (τ), hottest first; if equal, older first."""
    warmth = [(-heat(segment, now, weights), segment.created_at, segment.segment_id, segment) for segment in segments]
    return [segment for negative, _, _, segment in sorted(warmth, key=lambda each: each[:3]) if -negative > threshold]


def coldest(segments: Iterable[Segment], now: datetime, weights: HeatWeights, count: int) -> list[Segment]:
    """Returns the ``count`` segments with the lowest heat, coldest first; if equal, older first."""
    ranked = sorted(segments, key=lambda each: (heat(each, now, weights), each.created_at, each.segment_id))
    return ranked[: max(0, count)]
