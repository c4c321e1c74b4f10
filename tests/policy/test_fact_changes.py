"""Which facts are current after retractions, after forgetting, and whatever the order of the rows is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.current_facts import view_facts
from memoryos.model import Knowledge
from tests.policy.test_current_facts import NOW, current, day, fact, home, superseded

_days = st.integers(0, 4)
"""Few days, so that many facts are stated and become valid at the same time."""
_facts = st.builds(
    fact,
    name=st.uuids().map(str),
    text=st.sampled_from(["likes tea", "Likes tea.", "likes coffee", "home: Oslo"]),
    stated=_days,
    subject=st.sampled_from(["user", "user", "Ann"]),
    slot=st.sampled_from([None, "home", "home", "allergy"]),
    value=st.sampled_from([None, "Oslo", "oslo", "Paris"]),
    valid_from=st.none() | _days.map(day) | st.just(NOW + timedelta(days=1)),
    valid_until=st.none() | st.none() | _days.map(day) | st.just(NOW + timedelta(days=1)),
    archived_at=st.sampled_from([None, None, None, NOW]),
)


@st.composite
def _linked(draw: st.DrawFn) -> list[Knowledge]:
    facts = draw(st.lists(_facts, max_size=9, unique_by=lambda each: each.knowledge_id))
    ids = [*(each.knowledge_id for each in facts), "missing"]
    return [replace(each, replaces=tuple(draw(st.lists(st.sampled_from(ids), max_size=2)))) for each in facts]


def ids(facts: tuple[Knowledge, ...]) -> list[str]:
    return [each.knowledge_id for each in facts]


@given(_linked(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_and_of_their_lists_does_not_matter(facts: list[Knowledge], random: Any) -> None:
    expected = view_facts(facts, NOW)
    shuffled = [replace(each, replaces=(*reversed(each.replaces), *each.replaces[:1])) for each in facts]
    random.shuffle(shuffled)
    found = view_facts(iter(shuffled), NOW)
    assert ids(found.current) == ids(expected.current)
    assert [(each.knowledge_id, each.superseded_by, each.conflicts_with) for each in found.history] == [
        (each.knowledge_id, each.superseded_by, each.conflicts_with) for each in expected.history
    ]
    assert found.attributes() == expected.attributes()


@given(_linked())
def test_computed_fields_of_the_rows_are_ignored(facts: list[Knowledge]) -> None:
    view = view_facts(facts, NOW)
    assert view_facts(view.history, NOW) == view
    wrong = [replace(each, superseded_by="missing", conflicts_with=("missing",)) for each in facts]
    assert view_facts(wrong, NOW) == view


@given(_linked(), st.data())
def test_forgotten_facts_leave_no_trace(facts: list[Knowledge], data: st.DataObject) -> None:
    forgotten = data.draw(st.sets(st.sampled_from([each.knowledge_id for each in facts] or ["missing"])))
    remaining = [each for each in facts if each.knowledge_id not in forgotten]
    unlinked = [replace(each, replaces=tuple(set(each.replaces) - forgotten)) for each in remaining]
    found, expected = view_facts(remaining, NOW), view_facts(unlinked, NOW)
    assert ids(found.current) == ids(expected.current)
    assert [(each.superseded_by, each.conflicts_with) for each in found.history] == [
        (each.superseded_by, each.conflicts_with) for each in expected.history
    ]
    shown = {each for fact in found.history for each in (fact.superseded_by, *fact.conflicts_with)}
    assert not shown & forgotten


@given(_linked())
def test_facts_about_another_person_have_no_influence(facts: list[Knowledge]) -> None:
    of = {each.knowledge_id: each.subject for each in facts}
    facts = [
        replace(each, replaces=tuple(key for key in each.replaces if of.get(key) == each.subject)) for each in facts
    ]
    together = view_facts(facts, NOW).current
    for subject in ("user", "Ann"):
        alone = view_facts([each for each in facts if each.subject == subject], NOW).current
        assert [each for each in together if each.subject == subject] == [*alone]


def test_after_forgetting_the_replacing_fact_the_previous_one_is_current_again() -> None:
    rome, paris, oslo = (
        fact("rome"),
        fact("paris", stated=1, replaces=("rome",)),
        fact("oslo", stated=2, replaces=("paris",)),
    )
    assert current(rome, paris, oslo) == ["oslo"]
    assert current(rome, paris) == ["paris"]
    assert current(rome) == ["rome"]


def test_after_forgetting_the_newest_value_the_slot_has_the_previous_one() -> None:
    values = [home(name, name, number) for number, name in enumerate(("rome", "paris", "oslo"))]
    for count in (3, 2, 1):
        assert current(*values[:count]) == [values[count - 1].knowledge_id]
    assert superseded(*values) == {"rome": "oslo", "paris": "oslo", "oslo": None}
    assert current(values[0], values[2]) == ["oslo"]


def test_after_forgetting_a_retraction_the_value_is_back() -> None:
    nuts = fact("nuts", slot="allergy", value="nuts", stated=1)
    retracted = fact("gone", slot="allergy", value="nuts", stated=5, valid_until=day(5))
    assert current(nuts, retracted) == []
    assert current(nuts) == ["nuts"]


def test_after_forgetting_a_correction_the_wrong_fact_is_current_again() -> None:
    wrong, again = fact("wrong", "Lives in Rome", 1), fact("again", "lives in Rome", 2)
    right = fact("right", "Lives in Oslo", 3, replaces=("wrong", "again"))
    assert current(wrong, again, right) == ["right"]
    assert current(wrong, again) == ["again"]


@pytest.mark.parametrize(
    ("stated", "ended", "expected"), [(9, 9, []), (9, 5, []), (9, 151, []), (3, 3, ["oslo"]), (3, 9, ["oslo"])]
)
def test_a_retraction_ends_values_that_were_stated_before(stated: int, ended: int, expected: list[str]) -> None:
    oslo = home("oslo", "Oslo", 5)
    assert current(oslo, home("gone", "Oslo", stated, valid_until=day(ended))) == expected


def test_a_retraction_for_a_future_day_repeats_the_value_until_then() -> None:
    oslo, leaving = home("oslo", "Oslo", 5), home("leaving", "Oslo", 9, valid_until=NOW + timedelta(days=1))
    view = view_facts([oslo, leaving], NOW)
    assert [each.value for each in view.attributes()] == ["Oslo"]
    assert current(oslo, leaving, now=NOW + timedelta(days=1)) == []


def test_a_retraction_is_in_the_history_and_never_current() -> None:
    view = view_facts([home("oslo", "Oslo", 1), home("gone", None, 9, valid_until=day(9))], NOW)
    assert (ids(view.current), ids(view.history), view.attributes()) == ([], ["oslo", "gone"], ())
    assert [each.superseded_by for each in view.history] == ["gone", None]


def test_an_archived_or_replaced_retraction_retracts_nothing() -> None:
    oslo, gone = home("oslo", "Oslo", 1), replace(home("gone", "Oslo", 9, valid_until=day(9)), text="Left Oslo")
    assert current(oslo, gone) == []
    assert current(oslo, replace(gone, archived_at=NOW)) == ["oslo"]
    assert current(oslo, gone, fact("not gone", stated=10, replaces=("gone",))) == ["oslo", "not gone"]


def test_a_retraction_of_all_values_keeps_those_stated_later() -> None:
    none = fact("none", slot="allergy", value=None, stated=5, valid_until=day(5))
    values = [fact(name, slot="allergy", value=name, stated=stated) for name, stated in (("nuts", 1), ("cats", 9))]
    assert current(none, *values) == ["cats"]


def test_a_fact_that_ends_in_the_future_is_current_until_then() -> None:
    job = fact("job", slot="job", value="cook", stated=1, valid_until=NOW + timedelta(days=2))
    assert current(job) == ["job"]
    assert current(job, now=NOW + timedelta(days=2)) == []
    earlier = fact("nurse", slot="job", value="nurse", stated=0)
    assert current(earlier, job) == ["job"]


@pytest.mark.parametrize("slot", ["home", "name", "job"])
def test_values_of_one_time_conflict_until_a_later_statement(slot: str) -> None:
    one, other, third = (fact(name, slot=slot, value=name, stated=3) for name in ("one", "other", "third"))
    view = view_facts([one, other, third, fact("old", slot=slot, value="old", stated=1)], NOW)
    assert {each.knowledge_id: set(each.conflicts_with) for each in view.current} == {
        "one": {"other", "third"}, "other": {"one", "third"}, "third": {"one", "other"},
    }  # fmt: skip
    assert len(view.attributes()) == 3
    later = fact("later", slot=slot, value="later", stated=4)
    assert current(one, other, third, later) == ["later"]
    assert not view_facts([one, other, later], NOW).current[0].conflicts_with


def test_equal_values_of_one_time_do_not_conflict() -> None:
    view = view_facts([home("a", "Oslo", 3), home("b", "oslo", 3)], NOW)
    assert [each.conflicts_with for each in view.current] == [()]
    assert [each.value for each in view.attributes()] == ["oslo"]


def test_values_with_different_days_of_validity_do_not_conflict() -> None:
    assert current(home("a", "Oslo", 9, valid_from=day(2)), home("b", "Rome", 9, valid_from=day(3))) == ["b"]


def test_plain_facts_of_one_time_replace_in_both_directions_only_as_stated() -> None:
    assert current(fact("a", stated=1), fact("b", stated=1, replaces=("a",))) == ["b"]
    assert current(fact("a", stated=1, replaces=("b",)), fact("b", stated=1, replaces=("a",))) == []
