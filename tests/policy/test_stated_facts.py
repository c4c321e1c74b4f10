"""The facts of a reading: their checks, their conversion, replacements and capacities."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.current_facts import view_facts
from memoryos.errors import InvalidReplyError
from memoryos.model import CORRECTION, Knowledge, Origin, Page
from memoryos.seams import Batch, Fact
from memoryos.updating.stated_facts import FactReader, check_facts, over_capacity

AT = datetime(2026, 5, 1, tzinfo=timezone.utc)
ORIGIN = Origin("scripted", "1")
PAGE = Page("p1", 1, AT, "I moved", "")
EARLIER = Page("p2", 2, AT - timedelta(days=900), "I moved", "")


def entry(knowledge_id: str, about: str = "user", stated_at: datetime = AT, **values: object) -> Knowledge:
    sources = ("p0",)
    return Knowledge(knowledge_id, about, knowledge_id, AT, None, None, None, sources, ORIGIN,  # type: ignore[arg-type]
        stated_at=stated_at, **values)  # type: ignore[arg-type]  # fmt: skip


def batch(*known: Knowledge) -> Batch:
    slots = tuple(each for each in known if each.slot is not None)
    related = tuple(each for each in known if each.slot is None)
    return Batch((PAGE, EARLIER), np.zeros((2, 4), np.float32), slots=slots, related=related)


def read(*facts: Fact, known: tuple[Knowledge, ...] = (), refused: frozenset[str] = frozenset()) -> FactReader:
    reader = FactReader("s", "r1", batch(*known), ORIGIN, AT)
    reader.read(facts, refused)
    return reader


def added(*facts: Fact, **given_: frozenset[str]) -> list[Knowledge]:
    return list(read(*facts, **given_).added.values())  # type: ignore[arg-type]


@pytest.mark.parametrize("slot", [None, "home"])
def test_the_fact_stated_later_replaces_the_other(slot: str | None) -> None:
    known = entry("old", stated_at=AT - timedelta(days=1), slot=slot, value=slot and "Bonn")
    (later,) = read(Fact("user", "Lives in Berlin", ("p1",), replaces=("old",)), known=(known,)).added.values()
    assert later.replaces == ("old",)
    found = read(Fact("user", "Lives in Berlin", ("p2",), replaces=("old",)), known=(known,))
    (earlier,) = found.added.values()
    assert (earlier.replaces, found.replaced) == ((), {"old": (earlier.knowledge_id,)})


def test_fact_can_replace_an_earlier_fact_of_the_same_reading() -> None:
    first, second = added(Fact("user", "Lives in Rome", ("p1",)), Fact("user", "Lives in Oslo", ("p1",), replaces=("#0",)))  # fmt: skip
    assert (first.replaces, second.replaces) == ((), (first.knowledge_id,))
    assert [each.text for each in view_facts([first, second], AT).current] == ["Lives in Oslo"]


def test_earlier_page_of_the_same_reading_does_not_replace_a_later_statement() -> None:
    first, second = added(Fact("user", "Lives in Rome", ("p1",)), Fact("user", "Lives in Oslo", ("p2",), replaces=("#0",)))  # fmt: skip
    assert (first.replaces, second.replaces) == ((second.knowledge_id,), ())


def test_fact_is_stored_with_all_fields_and_its_reading() -> None:
    fact = Fact(
        "user", "Ann will move to Oslo", ("p1",), AT, subject="Ann", slot="home", value="Oslo", kind="plan",
        status="open", valid_until=AT + timedelta(days=9),
    )  # fmt: skip
    (found,) = added(fact)
    assert replace(found, knowledge_id="k") == Knowledge(
        "k", "user", "Ann will move to Oslo", AT, AT, None, None, ("p1",), ORIGIN, subject="Ann", kind="plan",
        status="open", slot="home", value="Oslo", stated_at=AT, valid_until=AT + timedelta(days=9), reading_id="r1",
    )  # fmt: skip


def test_fact_without_a_subject_describes_its_side() -> None:
    found = added(Fact("user", "Likes tea", ("p1",)), Fact("assistant", "Recommended tea", ("p1",)))
    assert [each.subject for each in found] == ["user", "assistant"]


def test_a_fact_is_stated_when_its_newest_page_was_said() -> None:
    (found,) = added(Fact("user", "Likes tea", ("p2", "p1")), Fact("user", "likes tea.", ("p1",)))
    assert (found.stated_at, found.source_page_ids) == (AT, ("p1", "p2"))


def test_repeated_reading_gives_the_same_ids() -> None:
    facts = (Fact("user", "Likes tea", ("p1",)), Fact("user", "Likes rye", ("p1",)))
    assert [each.knowledge_id for each in added(*facts)] == [each.knowledge_id for each in added(*facts)]
    assert len({each.knowledge_id for each in added(*facts)}) == 2


def test_refused_facts_are_left_out_with_their_replacements() -> None:
    known = entry("old", stated_at=AT - timedelta(days=1))
    facts = (
        Fact("user", "Likes tea", ("p1",)),
        Fact("user", "Lives there", ("p1",), slot="home", value="Oslo", replaces=("old",)),
        Fact("user", "Likes rye", ("p1",), replaces=("#0",)),
    )
    found = read(*facts, known=(known,), refused=frozenset({"Likes tea", "home: Oslo"}))
    assert [(each.text, each.replaces) for each in found.added.values()] == [("Likes rye", ())]
    assert found.replaced == {}


@given(st.integers(0, 30), st.integers(1, 20), st.integers(0, 3))
def test_the_oldest_facts_without_a_slot_are_archived(count: int, capacity: int, slots: int) -> None:
    facts = [entry(f"k{number:03}", stated_at=AT + timedelta(days=number)) for number in range(count)]
    filled = [entry(f"s{number}", slot="allergy", value=f"nut {number}") for number in range(slots)]
    surplus = over_capacity([*filled, *facts], view_facts([*filled, *facts], AT).current, capacity)
    assert surplus == [each.knowledge_id for each in facts][: max(0, count + slots - capacity)]


def test_capacities_of_user_and_assistant_are_separate() -> None:
    facts = [entry("u1"), entry("u2", stated_at=AT + timedelta(1)), entry("a1", "assistant")]
    assert over_capacity(facts, facts, 1) == ["u1"]


def test_corrections_by_a_user_are_not_archived() -> None:
    facts = [replace(entry("u1"), origin=CORRECTION), entry("u2", stated_at=AT + timedelta(1))]
    assert over_capacity(facts, facts, 1) == ["u2"]


def test_fact_is_archived_with_its_repetitions() -> None:
    repeated = [replace(entry(f"u{number}"), text="Likes tea") for number in (1, 2)]
    facts = [*repeated, entry("u3", stated_at=AT + timedelta(1))]
    assert over_capacity(facts, view_facts(facts, AT).current, 1) == ["u1", "u2"]


@pytest.mark.parametrize(
    "fact",
    [
        Fact("user", "x", ()),
        Fact("user", " ", ("p1",)),
        Fact("user", "x", ("invented",)),
        Fact("user", "x", ("p1",), slot="invented", value="x"),
        Fact("user", "x", ("p1",), replaces=("invented",)),
        Fact("user", "x", ("p1",), replaces=("#1",)),
        Fact("user", "x", ("p1",), replaces=("#2",)),
    ],
)
def test_fact_with_missing_or_unknown_references_raises(fact: Fact) -> None:
    with pytest.raises(InvalidReplyError, match="fact 1 of the analyst"):
        check_facts(batch(), [Fact("user", "y", ("p1",)), fact])


def test_valid_references_pass() -> None:
    known = (entry("k1"), entry("k2", slot="home", value="Oslo"))
    facts = [Fact("user", "x", ("p1", "p2")), Fact("user", "y", ("p1",), replaces=("k1", "k2", "#0"))]
    assert check_facts(batch(*known), facts) is None  # type: ignore[func-returns-value]
