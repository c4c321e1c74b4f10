"""Means and paired differences with 95% bootstrap intervals over groups of questions that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["clustered_interval"]

RESAMPLES = 2000


def clustered_interval(values: NDArray[np.float64], clusters: Sequence[str]) -> dict[str, float]:
    """Returns the mean of the values and its 95% interval.

    Whole clusters are drawn, because questions of one session depend on the same memories and are not independent.

    Args:
        values: ``float64[questions]``: scores, or differences of two scores of the same question.
        clusters: The cluster of each question.
    """
    _, membership = np.unique(np.array(clusters), return_inverse=True)
    sums = np.bincount(membership, weights=values)
    sizes = np.bincount(membership)
    drawn = np.random.default_rng(0).integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high), "questions": len(values)}
