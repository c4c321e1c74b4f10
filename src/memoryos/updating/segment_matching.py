"""Segment matching: selects the segment that a topic joins, and adds the topic to the segment.

A segment contains the pages of one topic. The selection follows Eq. 2 and 3 of Kang et al. 2025.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from memoryos.errors import InvalidReplyError
from memoryos.language.text import is_storable, sentences
from memoryos.model import Page, Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from memoryos.seams import Batch, Reading, Topic

__all__ = ["check_reading", "create_segment", "grow_segment", "jaccard", "match_segment", "unit"]

KEYWORDS_KEPT = 24
SUMMARY_CHARACTERS = 300
DRIFT_COSINE = 0.97
"""Cosine between a segment's old and new vector below which the segment's summary is updated.

The vector changes when a topic joins the segment. A small cosine means that the segment's topic has changed.
"""


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scales a vector to length 1 (L2 norm). A zero vector is returned unchanged."""
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Returns the Jaccard similarity |A ∩ B| / |A ∪ B| of two sets, in [0, 1]; 0 for empty sets."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0


def match_segment(
    topic: tuple[NDArray[np.float32], frozenset[str]],
    directions: NDArray[np.float32],
    keywords: Sequence[frozenset[str]],
    threshold: float,
) -> int | None:
    """Returns the index of the segment that a topic joins: the segment with the highest F_score.

    F_score = cos(e_s, e_p) + Jaccard(K_s, K_p) compares a segment (s) and a page (p): e are vectors, and K are keyword
    sets (Eq. 2 and 3 of Kang et al. 2025). Only segments with F_score ≥ θ are considered.

    Args:
        topic: The mean of the vectors of the topic's pages, ``float32[d]``, and the topic's keywords. The mean is not
            normalised, so its product with e_s is the mean of the pages' cosines. Eq. 2 scores single pages; a
            normalised mean of many pages would have a high cosine with every segment.
        directions: The vectors e_s of the segments, ``float32[segments, d]``; each row is L2-normalised.
        keywords: The keywords K_s of the segments, in the same order.
        threshold: The minimum score θ.

    Returns:
        The index; of equal scores the lowest index. None if no segment reaches θ.
    """
    if len(keywords) == 0:
        return None
    vector, words = topic
    overlaps = np.fromiter((jaccard(words, each) for each in keywords), np.float32, len(keywords))
    scores = directions @ vector + overlaps
    best = int(np.argmax(scores))
    return best if scores[best] >= threshold else None


def create_segment(segment_id: str, topic: Topic, pages: Sequence[Page]) -> Segment:
    """Creates a segment from a topic and the topic's pages."""
    times = [page.at for page in pages]
    return Segment(
        segment_id=segment_id,
        summary=topic.summary,
        keywords=frozenset(sorted(topic.keywords)[:KEYWORDS_KEPT]),
        visits=0,
        length=_unprofiled(pages),
        page_count=len(pages),
        last_visited_at=max(times),
        created_at=min(times),
    )


def grow_segment(segment: Segment, topic: Topic, pages: Sequence[Page], cosine: float) -> Segment:
    """Returns the segment after a topic and the topic's pages were added to it.

    Args:
        segment: The segment before the addition.
        topic: The topic to add.
        pages: The topic's pages. The length of the segment (L_interaction) grows by the number of unprofiled pages.
        cosine: Cosine between the segment's vectors before and after the addition. Below 0.97, the summary is updated.
    """
    return replace(
        segment,
        summary=_refreshed(segment.summary, topic.summary)
        if cosine < DRIFT_COSINE or not segment.summary
        else segment.summary,
        keywords=_joined(segment.keywords, topic.keywords),
        length=segment.length + _unprofiled(pages),
        page_count=segment.page_count + len(pages),
        last_visited_at=max(segment.last_visited_at, *(page.at for page in pages)),
        created_at=min(segment.created_at, *(page.at for page in pages)),
    )


def check_reading(batch: Batch, reading: Reading) -> None:
    """Checks the chains and topics of a reading against the rules of ``seams.Reading``.

    Raises:
        InvalidReplyError: If a page of the batch is not in exactly one topic, if there is no topic, if a page id is not
            in the batch, or if the number of chain summaries is wrong.
    """
    if len(reading.continues) != len(batch.pages):
        raise InvalidReplyError(
            f"the reading has {len(reading.continues)} values of 'continues' for {len(batch.pages)} pages; "
            "it must have one value per page"
        )
    starts = sum(1 for index, linked in enumerate(reading.continues) if index == 0 or not linked)
    if len(reading.chain_summaries) != starts:
        raise InvalidReplyError(
            f"the reading has {len(reading.chain_summaries)} chain summaries for {starts} chains; "
            "it must have one summary per chain"
        )
    placed = [page_id for topic in reading.topics for page_id in topic.page_ids]
    if sorted(placed) != sorted(page.page_id for page in batch.pages):
        raise InvalidReplyError(
            "the topics of the reading have missing, repeated or unknown pages; each page must be in one topic"
        )
    if not all(topic.page_ids for topic in reading.topics):
        raise InvalidReplyError("a topic of the reading has no page")
    texts = (*reading.chain_summaries, *reading.dropped, *(topic.summary for topic in reading.topics))
    words = (word for topic in reading.topics for word in topic.keywords)
    if not all(isinstance(each, str) and is_storable(each) for each in (*texts, *words)):
        raise InvalidReplyError("a summary or a keyword of the reading is not text that can be stored")


def _unprofiled(pages: Sequence[Page]) -> int:
    return sum(not page.profiled for page in pages)


def _joined(old: frozenset[str], new: frozenset[str]) -> frozenset[str]:
    kept = [*sorted(old & new), *sorted(new - old, key=_hash), *sorted(old - new, key=_hash)]
    return frozenset(kept[:KEYWORDS_KEPT])


def _hash(word: str) -> int:
    """Returns a hash of a word, used as a sort key.

    The hash is the same on every machine and independent of alphabetical order.
    """
    return zlib.crc32(word.encode("utf-8", "replace"))


def _refreshed(old: str, new: str) -> str:
    """Returns the sentences of the new summary, followed by those of the old summary.

    The result ends with the last sentence that fits into ``SUMMARY_CHARACTERS``. The first sentence is always kept.
    """
    kept = sentences(new)
    kept += [each for each in sentences(old) if each not in kept]
    summary = ""
    for sentence in kept:
        longer = f"{summary} {sentence}".strip()
        if summary and len(longer) > SUMMARY_CHARACTERS:
            break
        summary = longer
    return summary
