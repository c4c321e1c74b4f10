"""Segment matching: selects the segment that a topic joins (Eq. 2, 3) and computes the joined segment."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from memoryos.errors import InvalidReplyError
from memoryos.language.text import sentences
from memoryos.model import Page, Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from memoryos.seams import Batch, Digest, Topic

__all__ = ["check_digest", "create_segment", "grow_segment", "jaccard", "match_segment", "unit"]

MAX_TOPICS = 2
KEYWORDS_KEPT = 24
SUMMARY_CHARACTERS = 300
DRIFT_COSINE = 0.97
"""A join after which the cosine to the former segment vector is below this changes the segment's topic."""


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the vector L2-normalised; a zero vector stays zero."""
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Returns |A ∩ B| / |A ∪ B| in [0, 1]; 0 for two empty sets."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0


def match_segment(
    topic: tuple[NDArray[np.float32], frozenset[str]],
    directions: NDArray[np.float32],
    keywords: Sequence[frozenset[str]],
    threshold: float,
) -> int | None:
    """Returns the index of the segment with the highest F_score = cos(e_s, e_p) + Jaccard(K_s, K_p) ≥ θ (Eq. 2, 3).

    Args:
        topic: Mean of the e_p of the topic's pages as ``float32[d]``, and K_p. The mean is not normalised, so that its
            product with e_s is the mean of the pages' cosines. Eq. 2 scores single pages, and a normalised mean of
            many pages has a high cosine with every segment.
        directions: e_s of the candidates, ``float32[segments, d]``, rows L2-normalised.
        keywords: K_s of the candidates, in the same order.
        threshold: θ.

    Returns:
        The index; the lowest one of equal scores; None if no candidate reaches θ.
    """
    if len(keywords) == 0:
        return None
    vector, words = topic
    overlaps = np.fromiter((jaccard(words, each) for each in keywords), np.float32, len(keywords))
    scores = directions @ vector + overlaps
    best = int(np.argmax(scores))
    return best if scores[best] >= threshold else None


def create_segment(segment_id: str, topic: Topic, pages: Sequence[Page]) -> Segment:
    """Returns a new segment with the topic's pages."""
    times = [page.at for page in pages]
    return Segment(
        segment_id=segment_id,
        summary=topic.summary,
        keywords=frozenset(sorted(topic.keywords)[:KEYWORDS_KEPT]),
        visits=0,
        length=_unlearned(pages),
        page_count=len(pages),
        last_visited_at=max(times),
        created_at=min(times),
    )


def grow_segment(segment: Segment, topic: Topic, pages: Sequence[Page], cosine: float) -> Segment:
    """Returns the segment with a topic and the topic's pages added to it.

    Args:
        segment: The segment without the topic.
        topic: The topic to add.
        pages: The topic's pages. L_interaction grows by the number of unlearned pages.
        cosine: Cosine between the segment's old and new vector; below 0.97, the summary is updated.
    """
    return replace(
        segment,
        summary=_refreshed(segment.summary, topic.summary) if cosine < DRIFT_COSINE else segment.summary,
        keywords=_joined(segment.keywords, topic.keywords),
        length=segment.length + _unlearned(pages),
        page_count=segment.page_count + len(pages),
        last_visited_at=max(segment.last_visited_at, *(page.at for page in pages)),
        created_at=min(segment.created_at, *(page.at for page in pages)),
    )


def check_digest(batch: Batch, digest: Digest) -> None:
    """Checks a digest against the contract of ``seams.Digest``.

    Raises:
        InvalidReplyError: If a page is in no topic or in two, there are more than two topics, a page id is not in
            the batch, or the number of chain summaries is wrong.
    """
    if len(digest.continues) != len(batch.pages):
        raise InvalidReplyError(
            f"the digest has {len(digest.continues)} values of 'continues' for {len(batch.pages)} pages; "
            "one per page is required"
        )
    starts = sum(1 for index, linked in enumerate(digest.continues) if index == 0 or not linked)
    if len(digest.chain_summaries) != starts:
        raise InvalidReplyError(
            f"the digest has {len(digest.chain_summaries)} chain summaries for {starts} chains; "
            "one per chain is required"
        )
    if not 1 <= len(digest.topics) <= MAX_TOPICS:
        raise InvalidReplyError(f"the digest has {len(digest.topics)} topics; one or two are allowed")
    placed = [page_id for topic in digest.topics for page_id in topic.page_ids]
    if sorted(placed) != sorted(page.page_id for page in batch.pages):
        raise InvalidReplyError("the topics of the digest do not contain each page of the batch exactly once")
    if not all(topic.page_ids for topic in digest.topics):
        raise InvalidReplyError("a topic of the digest has no page")


def _unlearned(pages: Sequence[Page]) -> int:
    return sum(not page.learned for page in pages)


def _joined(old: frozenset[str], new: frozenset[str]) -> frozenset[str]:
    kept = [*sorted(old & new), *sorted(new - old, key=_hash), *sorted(old - new, key=_hash)]
    return frozenset(kept[:KEYWORDS_KEPT])


def _hash(word: str) -> int:
    """Returns a sort key that is the same on every machine and does not depend on the alphabet."""
    return zlib.crc32(word.encode("utf-8", "replace"))


def _refreshed(old: str, new: str) -> str:
    """Returns the new summary's sentences, then those of the old one, up to ``SUMMARY_CHARACTERS``."""
    kept = sentences(new)
    kept += [each for each in sentences(old) if each not in kept]
    summary = ""
    for sentence in kept:
        longer = f"{summary} {sentence}".strip()
        if summary and len(longer) > SUMMARY_CHARACTERS:
            break
        summary = longer
    return summary
