"""Merging of lessons into profile and facts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memoryos.updating.lesson_merging import LessonFacts, LessonReader, check_lesson, merge_profile, over_capacity

from memoryos.current_facts import view_facts
from memoryos.errors import InvalidReplyError
from memoryos.model import Attribute, Knowledge, Origin, Page, Profile, Trait
from memoryos.seams import Fact, Lesson, Material

AT = datetime(2026, 5, 1, tzinfo=timezone.utc)
ORIGIN = Origin("scripted", "1")
PAGE = Page("p1", 1, AT, "I moved", "")
EARLIER = Page("p2", 2, AT - timedelta(days=900), "I moved", "")


def entry(knowledge_id: str, about: str = "user", stated_at: datetime = AT, **values: object) -> Knowledge:
    sources = ("p0",)
    return Knowledge(knowledge_id, about, knowledge_id, AT, None, None, None, sources, ORIGIN,  # type: ignore[arg-type]
        stated_at=stated_at, **values)  # type: ignore[arg-type]  # fmt: skip


def read(lesson: Lesson, *known: Knowledge) -> LessonFacts:
    return LessonReader("s", (PAGE, EARLIER), known, ORIGIN, AT).read(lesson)


def test_the_fact_stated_later_replaces_the_other() -> None:
    known = entry("old", stated_at=AT - timedelta(days=1))
    (added,) = read(Lesson(facts=(Fact("user", "Lives in Berlin", ("p1",), supersedes=("old",)),)), known).added
    assert added.replaces == ("old",)
    found = read(Lesson(facts=(Fact("user", "Lives in Berlin", ("p2",), supersedes=("old",)),)), known)
    assert (found.added[0].replaces, found.replaced) == ((), {"old": (found.added[0].knowledge_id,)})


def test_two_contradicting_facts_of_one_lesson_both_stay() -> None:
    facts = (Fact("user", "Lives in Rome", ("p1",)), Fact("user", "Lives in Oslo", ("p1",), supersedes=("#0",)))
    first, second = read(Lesson(facts=facts)).added
    assert second.replaces == (first.knowledge_id,)


def test_fact_superseded_by_a_stored_one_is_replaced_by_it() -> None:
    known = entry("now")
    found = read(Lesson(facts=(Fact("user", "Lives in Rome", ("p1",), superseded_by="now"),)), known)
    assert found.replaced == {"now": (found.added[0].knowledge_id,)}


def test_an_attribute_becomes_a_fact_with_a_slot() -> None:
    attributes = (
        Attribute("birth_year", "1990", ("p1",)),
        Attribute("favourite_colour", "blue", ("p1",)),
        Attribute("home", "Oslo", ("p1",)),
    )
    facts = (Fact("user", "Lives in Oslo", ("p1",), slot="home", value="Oslo"),)
    found = read(Lesson(attributes=attributes, facts=facts)).added
    assert [(each.text, each.slot, each.value) for each in found] == [
        ("Lives in Oslo", "home", "Oslo"),
        ("birth date: 1990", "birth_date", "1990"),
        ("favourite colour: blue", None, None),
    ]


def test_a_fact_is_stated_when_its_newest_page_was_said() -> None:
    (found,) = read(Lesson(facts=(Fact("user", "Likes tea", ("p2", "p1")), Fact("user", "likes tea.", ("p1",))))).added
    assert (found.stated_at, found.source_page_ids) == (AT, ("p1", "p2"))


@given(st.integers(0, 30), st.integers(1, 20), st.integers(0, 3))
def test_the_oldest_facts_without_a_slot_are_archived(count: int, capacity: int, slots: int) -> None:
    facts = [entry(f"k{number:03}", stated_at=AT + timedelta(days=number)) for number in range(count)]
    filled = [entry(f"s{number}", slot="allergy", value=f"nut {number}") for number in range(slots)]
    surplus = over_capacity([*filled, *facts], view_facts([*filled, *facts], AT).current, capacity)
    assert surplus == [each.knowledge_id for each in facts][: max(0, count + slots - capacity)]


def test_capacities_of_user_and_assistant_are_separate() -> None:
    facts = [entry("u1"), entry("u2", stated_at=AT + timedelta(1)), entry("a1", "assistant")]
    assert over_capacity(facts, facts, 1) == ["u1"]


def test_a_profile_is_merged_not_replaced() -> None:
    trait = Trait("interests", "music", "high", "r", ("p0",))
    known = Profile(3, (), (trait,), AT, ORIGIN)
    new = Trait("interests", "sport", "high", "r", ("p1",))
    merged = merge_profile(known, Lesson(traits=(new,)), AT, ORIGIN)
    assert merged is not None
    assert (merged.version, merged.traits, merged.attributes) == (4, (trait, new), ())


def test_a_lesson_without_traits_makes_no_new_version() -> None:
    assert merge_profile(Profile(), Lesson(attributes=(Attribute("home", "Rome", ("p1",)),)), AT, ORIGIN) is None


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
