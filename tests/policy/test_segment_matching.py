"""Segment matching (Eq. 2, 3), joined segments and the contract of a reading."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.errors import InvalidReplyError
from memoryos.model import Page
from memoryos.seams import Batch, Reading, Topic
from memoryos.updating.segment_matching import check_reading, create_segment, grow_segment, jaccard, match_segment, unit

AT = datetime(2026, 5, 1, tzinfo=timezone.utc)
words = st.frozensets(st.sampled_from("abcdefgh"))


def page(number: int) -> Page:
    return Page(f"p{number}", number, AT + timedelta(minutes=number), f"text {number}", "")


def batch(count: int = 3) -> Batch:
    return Batch(tuple(page(number) for number in range(count)), np.zeros((count, 4), np.float32))


GOOD = Reading((False, True, False), ("one", "two"), (Topic("t", frozenset({"k"}), ("p0", "p1", "p2")),))


@given(words, words)
def test_jaccard_is_symmetric_and_bounded(one: frozenset[str], other: frozenset[str]) -> None:
    assert jaccard(one, other) == jaccard(other, one)
    assert 0 <= jaccard(one, other) <= 1
    assert jaccard(one, one) == (1 if one else 0)


def test_a_topic_joins_the_best_segment_from_the_threshold_on() -> None:
    directions = np.eye(3, dtype=np.float32)
    topic = unit(np.array([0.6, 0.8, 0], np.float32)), frozenset({"a"})
    keywords = [frozenset({"a"}), frozenset({"b"}), frozenset({"a"})]
    assert match_segment(topic, directions, keywords, 0.6) == 0  # 0.6 + 1 beats 0.8 + 0 and 0 + 1
    assert match_segment(topic, directions, keywords, 1.7) is None
    assert match_segment(topic, directions[:0], [], 0.0) is None


def test_a_segment_grows_by_the_pages_that_join() -> None:
    topic = Topic("About bread.", frozenset({"bread"}), ("p0", "p1"))
    founded = create_segment("s", topic, [page(0), page(1)])
    assert (founded.length, founded.page_count, founded.visits) == (2, 2, 0)
    grown = grow_segment(founded, Topic("About rye.", frozenset({"rye"}), ("p9",)), [page(9)], cosine=0.5)
    assert (grown.length, grown.page_count) == (3, 3)
    assert grown.last_visited_at == page(9).at
    assert grown.created_at == page(0).at
    assert grown.keywords == {"bread", "rye"}
    assert grown.summary == "About rye. About bread."


def test_join_with_little_drift_keeps_the_summary() -> None:
    founded = create_segment("s", Topic("Old.", frozenset(), ("p0",)), [page(0)])
    assert grow_segment(founded, Topic("New.", frozenset(), ("p1",)), [page(1)], cosine=0.99).summary == "Old."


def test_older_page_does_not_reset_the_last_visit() -> None:
    founded = create_segment("s", Topic("Old.", frozenset(), ("p5",)), [page(5)])
    assert grow_segment(founded, Topic("New.", frozenset(), ("p1",)), [page(1)], 1.0).last_visited_at == page(5).at


def test_profiled_page_that_is_read_again_adds_nothing_to_the_length() -> None:
    founded = create_segment("s", Topic("t", frozenset(), ("p0", "p1")), [replace(page(0), profiled=True), page(1)])
    assert (founded.length, founded.page_count) == (1, 2)
    grown = grow_segment(founded, Topic("t", frozenset(), ("p2",)), [replace(page(2), profiled=True)], 1.0)
    assert (grown.length, grown.page_count) == (1, 3)


def test_valid_reading_passes() -> None:
    assert check_reading(batch(), GOOD) is None  # type: ignore[func-returns-value]


def test_any_number_of_topics_is_accepted() -> None:
    apart = replace(GOOD, topics=tuple(Topic("t", frozenset(), (f"p{number}",)) for number in range(3)))
    assert check_reading(batch(), apart) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, continues=(True,)),
        replace(GOOD, chain_summaries=("one",)),
        replace(GOOD, topics=()),
        replace(GOOD, topics=(Topic("t", frozenset(), ("p0", "p1")),)),
        replace(GOOD, topics=(Topic("t", frozenset(), ("p0", "p1", "p2", "p2")),)),
        replace(GOOD, topics=(Topic("t", frozenset(), ("p0", "p1", "invented")),)),
        replace(GOOD, topics=(*GOOD.topics, Topic("t", frozenset(), ("p0", "p1", "p2")))),
        replace(GOOD, topics=(*GOOD.topics, Topic("t", frozenset(), ()))),
    ],
)
def test_reading_with_missing_duplicate_or_unknown_pages_raises(bad: Reading) -> None:
    with pytest.raises(InvalidReplyError):
        check_reading(batch(), bad)
