"""Eq. 4: heat falls with time, rises with visits and pages, and is never stored."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from memoryos.config import HeatWeights
from memoryos.model import Segment
from memoryos.updating.heat import coldest, heat, hot, recency

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
WEIGHTS = HeatWeights()
times = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(lambda at: at.replace(tzinfo=timezone.utc))  # noqa: DTZ001
segments = st.builds(
    Segment,
    segment_id=st.uuids().map(str),
    summary=st.just("s"),
    keywords=st.just(frozenset()),
    visits=st.integers(0, 100),
    length=st.integers(0, 100),
    page_count=st.integers(1, 100),
    last_visited_at=times,
    created_at=times,
)


def segment(**values: object) -> Segment:
    fields: dict[str, object] = {
        "segment_id": "s", "summary": "", "keywords": frozenset(), "visits": 0, "length": 0, "page_count": 1,
        "last_visited_at": NOW, "created_at": NOW,
    }  # fmt: skip
    return Segment(**(fields | values))  # type: ignore[arg-type]


def test_heat_is_the_sum_of_eq_4() -> None:
    week = 604_800.0
    cold = segment(visits=3, length=2, last_visited_at=NOW - timedelta(seconds=week))
    weights = HeatWeights(visit_weight=2, length_weight=3, recency_weight=5, recency_seconds=1e6)
    assert heat(cold, NOW, weights) == 2 * 3 + 3 * 2 + 5 * math.exp(-week / 1e6)


@given(segments, times, st.integers(0, 10**9))
def test_heat_never_rises_without_visits(one: Segment, now: datetime, seconds: int) -> None:
    assert heat(one, now + timedelta(seconds=seconds), WEIGHTS) <= heat(one, now, WEIGHTS)


@given(segments, times, st.integers(1, 50))
def test_heat_rises_with_visits(one: Segment, now: datetime, more: int) -> None:
    visited = segment(**{name: getattr(one, name) for name in one.__slots__} | {"visits": one.visits + more})
    assert heat(visited, now, WEIGHTS) > heat(one, now, WEIGHTS)


@given(times, times)
def test_a_visit_in_the_future_is_a_visit_now(visited: datetime, now: datetime) -> None:
    assert 0 <= recency(visited, now, 1e7) <= 1
    if visited >= now:
        assert recency(visited, now, 1e7) == 1


def test_heat_does_not_depend_on_the_time_zone() -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    assert heat(segment(last_visited_at=tokyo), NOW, WEIGHTS) == heat(segment(), NOW, WEIGHTS)


@given(st.lists(segments, max_size=20), times)
def test_every_hot_segment_is_found_and_no_cold_one(many: list[Segment], now: datetime) -> None:
    found = hot(many, now, WEIGHTS, 5.0)
    assert {id(each) for each in found} == {id(each) for each in many if heat(each, now, WEIGHTS) > 5.0}
    assert [heat(each, now, WEIGHTS) for each in found] == sorted(
        (heat(each, now, WEIGHTS) for each in found), reverse=True
    )


def test_segment_with_heat_equal_to_the_threshold_is_not_hot() -> None:
    assert hot([segment(visits=4)], NOW, WEIGHTS, 5.0) == []
    assert len(hot([segment(visits=5)], NOW, WEIGHTS, 5.0)) == 1


@given(st.lists(segments, max_size=20), times, st.integers(0, 25))
def test_the_coldest_are_no_hotter_than_the_rest(many: list[Segment], now: datetime, count: int) -> None:
    cold = coldest(many, now, WEIGHTS, count)
    rest = [each for each in many if id(each) not in {id(one) for one in cold}]
    assert len(cold) == min(count, len(many))
    if cold and rest:
        assert max(heat(each, now, WEIGHTS) for each in cold) <= min(heat(each, now, WEIGHTS) for each in rest)
