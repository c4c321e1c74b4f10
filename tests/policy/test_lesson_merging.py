"""Merging of lessons into profile and knowledge."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.errors import InvalidReplyError
from memoryos.model import Attribute, Knowledge, Origin, Page, Profile, Trait
from memoryos.seams import Fact, Lesson, Material
from memoryos.updating.lesson_merging import NewKnowledge, check_lesson, merge_knowledge, merge_profile

AT = datetime(2026, 5, 1, tzinfo=timezone.utc)
ORIGIN = Origin("scripted", "1")
PAGE = Page("p1", 1, AT, "I moved", "")


def entry(knowledge_id: str, about: str = "user") -> Knowledge:
    return Knowledge(knowledge_id, about, knowledge_id, AT, None, None, None, ("p0",), ORIGIN)  # type: ignore[arg-type]


def make_entries() -> object:
    numbers = count()
    return lambda fact: replace(entry(f"n{next(numbers):03}", fact.about), text=fact.text)


def merge(current: list[Knowledge], facts: list[Fact], capacity: int = 100) -> NewKnowledge:
    return merge_knowledge(current, facts, make_entries(), capacity)  # type: ignore[arg-type]


def test_a_contradiction_supersedes_and_keeps_the_older_entry() -> None:
    new = merge([entry("old")], [Fact("user", "Lives in Berlin", ("p1",), supersedes=("old",))])
    assert new.superseded == {"old": "n000"}
    assert new.archived == ()


def test_two_contradicting_facts_of_one_lesson_both_stay() -> None:
    facts = [Fact("user", "Lives in Rome", ("p1",)), Fact("user", "Lives in Oslo", ("p1",), supersedes=("#0",))]
    added = merge([], facts).added
    assert [each.superseded_by for each in added] == ["n001", None]


def test_fact_superseded_by_a_stored_one_goes_into_history() -> None:
    new = merge([entry("now")], [Fact("user", "Lives in Rome", ("p1",), superseded_by="now")])
    assert new.added[0].superseded_by == "now"
    assert new.superseded == {}


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 20))
def test_queue_archives_its_oldest_entries(stored: int, learned: int, capacity: int) -> None:
    current = [entry(f"k{number:03}") for number in range(stored)]
    new = merge(current, [Fact("user", f"fact {number}", ("p1",)) for number in range(learned)], capacity)
    ids = [each.knowledge_id for each in [*current, *new.added]]
    assert len(new.added) == learned
    assert list(new.archived) == ids[: max(0, stored + learned - capacity)]


def test_queues_of_user_and_assistant_are_separate() -> None:
    current = [entry("u1"), entry("a1", "assistant")]
    assert merge(current, [Fact("user", "x", ("p1",))], capacity=1).archived == ("u1",)


def test_a_profile_is_merged_not_replaced() -> None:
    known = Profile(3, (Attribute("name", "Tom", ("p0",)),), (), AT, ORIGIN)
    merged = merge_profile(known, Lesson(attributes=(Attribute("home", "Berlin", ("p1",)),)), AT, ORIGIN)
    assert merged is not None
    assert merged.version == 4
    assert (merged.attribute("name"), merged.attribute("home")) == ("Tom", "Berlin")


def test_an_attribute_from_older_pages_does_not_replace_a_newer_one() -> None:
    known = Profile(1, (Attribute("home", "Berlin", ("p9",)),), (), AT, ORIGIN)
    assert merge_profile(known, Lesson(attributes=(Attribute("home", "Rome", ("p2",)),)), AT, ORIGIN) is None


def test_an_empty_lesson_makes_no_new_version() -> None:
    assert merge_profile(Profile(), Lesson(), AT, ORIGIN) is None


@pytest.mark.parametrize(
    "lesson",
    [
        Lesson(facts=(Fact("user", "x", ()),)),
        Lesson(facts=(Fact("user", " ", ("p1",)),)),
        Lesson(facts=(Fact("user", "x", ("invented",)),)),
        Lesson(facts=(Fact("user", "x", ("p1",), supersedes=("invented",)),)),
        Lesson(facts=(Fact("user", "x", ("p1",), supersedes=("#0",)),)),
        Lesson(facts=(Fact("user", "x", ("p1",), superseded_by="invented"),)),
        Lesson(attributes=(Attribute("home", "Rome", ("invented",)),)),
        Lesson(traits=(Trait("interests", "music", "high", "r", ()),)),
    ],
)
def test_lesson_with_missing_or_unknown_sources_raises(lesson: Lesson) -> None:
    with pytest.raises(InvalidReplyError):
        check_lesson(Material((PAGE,), Profile(), ()), lesson)
