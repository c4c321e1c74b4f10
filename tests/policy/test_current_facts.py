"""Which facts are current: a pure function of the facts and the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.current_facts import fact_id, next_change, repetitions_of, view_facts
from memoryos.identifiers import derived_id
from memoryos.language.word_sequence import word_sequence
from memoryos.model import Knowledge, Origin
from memoryos.slots import slot_named
from tests.waiting import cpu_seconds

NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)


def day(number: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(days=number)


def fact(name: str, text: str = "", stated: int = 0, **values: Any) -> Knowledge:
    fields: dict[str, Any] = {
        "knowledge_id": name, "about": "user", "text": text or name, "recorded_at": NOW, "valid_from": None,
        "superseded_by": None, "archived_at": None, "source_page_ids": (f"page of day {stated:04}",),
        "origin": Origin("scripted", "1"), "stated_at": day(stated),
    }  # fmt: skip
    return Knowledge(**(fields | values))


def home(name: str, value: str | None, stated: int, **values: Any) -> Knowledge:
    return fact(name, f"home: {value}", stated, slot="home", value=value, **values)


def current(*facts: Knowledge, now: datetime = NOW) -> list[str]:
    return [each.knowledge_id for each in view_facts(facts, now).current]


def superseded(*facts: Knowledge) -> dict[str, str | None]:
    return {each.knowledge_id: each.superseded_by for each in view_facts(facts, NOW).history}


_days = st.integers(0, 300)
_facts = st.builds(
    fact,
    name=st.uuids().map(str),
    text=st.sampled_from(["likes tea", "Likes tea.", "likes coffee", "home: Oslo"]),
    stated=_days,
    slot=st.sampled_from([None, "home", "allergy"]),
    value=st.sampled_from([None, "Oslo", "oslo", "Paris"]),
    valid_from=st.none() | _days.map(day),
    valid_until=st.none() | _days.map(day),
    archived_at=st.sampled_from([None, None, None, NOW]),
)


@st.composite
def _linked(draw: st.DrawFn) -> list[Knowledge]:
    facts = draw(st.lists(_facts, max_size=8, unique_by=lambda each: each.knowledge_id))
    ids = [each.knowledge_id for each in facts]
    chosen = st.lists(st.sampled_from(ids), max_size=2) if ids else st.just([])
    return [replace(each, replaces=tuple(draw(chosen))) for each in facts]


@given(_linked(), st.randoms(use_true_random=False))
def test_the_order_of_storing_does_not_matter(facts: list[Knowledge], random: Any) -> None:
    shuffled = random.sample(facts, len(facts))
    recorded = [replace(each, recorded_at=NOW + timedelta(days=place)) for place, each in enumerate(shuffled)]
    expected = view_facts(facts, NOW)
    found = view_facts(recorded, NOW)
    assert [each.knowledge_id for each in found.current] == [each.knowledge_id for each in expected.current]
    assert [replace(each, recorded_at=NOW) for each in found.history] == list(expected.history)
    assert found.attributes() == expected.attributes()


@given(_linked())
def test_every_fact_is_in_the_history_and_what_is_not_current_has_a_reason(facts: list[Knowledge]) -> None:
    view = view_facts(facts, NOW)
    assert {each.knowledge_id for each in view.history} == {each.knowledge_id for each in facts}
    shown = {each.knowledge_id for each in view.current}
    for each in view.history:
        has_ended = each.valid_until is not None and each.valid_until <= NOW
        assert (each.knowledge_id in shown) == (
            each.superseded_by is None and each.archived_at is None and not has_ended
        )


@given(_linked())
def test_a_subject_has_one_home_unless_values_conflict(facts: list[Knowledge]) -> None:
    homes = [
        each
        for each in view_facts(facts, NOW).current
        if each.slot == "home"
        and each.value is not None
        and not (each.valid_from is not None and each.valid_from > NOW)
    ]
    assert len(homes) <= 1 or all(each.conflicts_with for each in homes)


@given(_linked(), st.integers(1, 400))
def test_the_view_changes_only_at_the_announced_time(facts: list[Knowledge], days: int) -> None:
    change = next_change(facts, NOW)
    later = NOW + timedelta(days=days)
    if change is None or later < change:
        assert view_facts(facts, later) == view_facts(facts, NOW)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I prefer tea over coffee.", "I prefer coffee over tea."),
        ("Ann is coming.", "Ann is not coming."),
        ("Room 204", "Room 304"),
        ("5 mg", "5.5 mg"),
        ("-5 degrees", "5 degrees"),
        ("Uses C", "Uses C++"),
        ("10 €", "10 $"),
        ("año", "ano"),
    ],
)
def test_order_numbers_and_negation_count(one: str, other: str) -> None:
    assert word_sequence(one) != word_sequence(other)
    assert current(fact("a", one), fact("b", other, 1)) == ["a", "b"]


def test_a_repetition_is_shown_once_with_all_sources() -> None:
    (shown,) = view_facts([fact("a", "Likes tea", 1), fact("b", "likes tea!", 2)], NOW).current
    assert (shown.knowledge_id, shown.source_page_ids) == ("b", ("page of day 0001", "page of day 0002"))
    assert [each.knowledge_id for each in repetitions_of([fact("a", "Likes tea"), fact("b", "likes tea!")], ["b"])] == [
        "a",
        "b",
    ]


def test_replaced_fact_stays_replaced_when_it_is_read_again() -> None:
    older, newer = fact("a", "has a dog", 1), fact("b", "has a cat", 3, replaces=("a",))
    assert current(older, newer, fact("again", "Has a dog.", 2)) == ["b"]
    assert current(older, newer, fact("again", "Has a dog.", 4)) == ["b", "again"]
    assert superseded(older, newer)["a"] == "b"


def test_an_archived_fact_still_replaces() -> None:
    assert current(fact("a"), fact("b", stated=1, replaces=("a",), archived_at=NOW)) == []


def test_the_value_stated_last_wins_in_any_order() -> None:
    assert current(home("oslo", "Oslo", 60), home("paris", "Paris", 1)) == ["oslo"]
    assert superseded(home("oslo", "Oslo", 60), home("paris", "Paris", 1))["paris"] == "oslo"


def test_a_value_stated_earlier_does_not_replace_a_later_one() -> None:
    assert current(home("oslo", "Oslo", 1), home("paris", "Paris", 9, valid_from=day(-4000))) == ["oslo"]


def test_values_of_the_same_time_conflict() -> None:
    view = view_facts([home("oslo", "Oslo", 5), home("paris", "Paris", 5), home("rome", "Rome", 1)], NOW)
    assert {each.knowledge_id: each.conflicts_with for each in view.current} == {
        "oslo": ("paris",),
        "paris": ("oslo",),
    }


def test_a_retraction_removes_the_value() -> None:
    oslo = home("oslo", "Oslo", 1)
    assert current(oslo, home("gone", "Oslo", 9, valid_until=day(9))) == []
    assert current(oslo, home("gone", None, 9, valid_until=day(9))) == []
    assert current(oslo, home("gone", "Paris", 9, valid_until=day(9))) == ["oslo"]
    assert current(oslo, home("gone", "Oslo", 9, valid_until=day(9)), home("back", "Oslo", 20)) == ["back"]
    assert superseded(oslo, home("gone", "Oslo", 9, valid_until=day(9)))["oslo"] == "gone"


def test_a_move_in_one_sentence_keeps_the_new_home() -> None:
    left = home("left", "Oslo", 9, valid_until=day(9))
    assert current(home("oslo", "Oslo", 1), left, home("paris", "Paris", 9)) == ["paris"]


def test_a_fact_about_the_future_fills_the_slot_on_its_day() -> None:
    facts = [home("oslo", "Oslo", 1), home("paris", "Paris", 9, valid_from=NOW + timedelta(days=3))]
    assert [each.value for each in view_facts(facts, NOW).attributes()] == ["Oslo"]
    assert current(*facts) == ["oslo", "paris"]
    assert current(*facts, now=NOW + timedelta(days=3)) == ["paris"]
    assert next_change(facts, NOW) == NOW + timedelta(days=3)


def test_a_multi_valued_slot_keeps_all_values() -> None:
    nuts = fact("nuts", slot="allergy", value="nuts", stated=1)
    cats = fact("cats", slot="allergy", value="cats", stated=2)
    assert current(nuts, cats) == ["nuts", "cats"]
    assert current(nuts, cats, fact("no", slot="allergy", value="Nuts", stated=3, valid_until=day(3))) == ["cats"]
    assert current(nuts, cats, fact("none", slot="allergy", value=None, stated=3, valid_until=day(3))) == []


def test_slots_belong_to_a_subject() -> None:
    view = view_facts([home("mine", "Oslo", 1), home("hers", "Rome", 9, subject="Ann")], NOW)
    assert [each.knowledge_id for each in view.current] == ["mine", "hers"]
    assert [(each.name, each.value) for each in view.attributes()] == [("home", "Oslo")]


def test_ids_depend_on_what_they_identify() -> None:
    one = fact_id("s", "p", "user", None, "Likes tea.")
    assert one == fact_id("s", "p", "user", None, "likes tea")
    assert len({one, *(fact_id(*parts) for parts in [("t", "p", "user", None, "likes tea"),
        ("s", "q", "user", None, "likes tea"), ("s", "p", "Ann", None, "likes tea"),
        ("s", "p", "user", "diet", "likes tea"), ("s", "p", "user", None, "likes no tea")])}) == 6  # fmt: skip
    assert one[14] == "8"
    assert one[19] in "89ab"
    assert derived_id("a", "b") != derived_id("ab")


def test_attributes_of_other_names_fill_slots() -> None:
    assert (slot_named("birth_year"), slot_named("home"), slot_named("favourite_colour")) == (
        "birth_date",
        "home",
        None,
    )


@pytest.mark.parametrize("kind", ["plain", "one slot", "retractions", "repetitions"])
def test_time_grows_linearly_with_facts(kind: str) -> None:
    def facts(count: int) -> list[Knowledge]:
        def fact(number: int) -> Knowledge:
            slot, value, until, text = None, None, None, f"likes thing {number}"
            replaces: tuple[str, ...] = ()
            if kind == "one slot":
                slot, value = "home", f"town {number}"
            elif kind == "retractions":
                slot, value = "pet", f"pet {number}" if number % 2 else None
                until = None if number % 2 else NOW - timedelta(days=1)
            elif kind == "repetitions":
                text, replaces = "likes tea", (f"k{number - 1}",)
            return Knowledge(
                f"k{number}", "user", text, NOW, None, None, None, ("p",), Origin("x", "1"), slot=slot, value=value,
                valid_until=until, replaces=replaces,
            )  # fmt: skip

        return [fact(number) for number in range(count)]

    small, large = facts(1_000), facts(8_000)
    # Quadratic time would be 64 times as long.
    assert cpu_seconds(lambda: view_facts(large, NOW)) < 25 * cpu_seconds(lambda: view_facts(small, NOW))
