"""Tests how replies of an LLM are read: valid parts are used, invalid parts are dropped, and nothing is invented."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoryos.analysts.grouping import group_pages
from memoryos.analysts.llm_replies import EVIDENCE_KEPT, LONGEST_WORD, read_profiling, read_reading
from memoryos.analysts.prompts import profile as profile_prompt
from memoryos.analysts.prompts import read as read_prompt
from memoryos.analysts.prompts.shapes import LONGEST_LINE
from memoryos.analysts.traits import dimensions
from memoryos.errors import InvalidReplyError
from memoryos.model import Page, Profile, Trait
from memoryos.seams import Batch, Fact, Material, Profiling, Reading
from memoryos.slots import SLOTS
from tests.analysts.contracts import check_profiling, check_reading
from tests.analysts.test_prompts import AT, CHINESE, ENGLISH, batch, entry, pages, profile

Read = TypeVar("Read")

SAID = (*ENGLISH, ("We went sailing last week.", "Was the wind kind to you?"), ("I bake rye bread on Sundays.", ""))
KNOWN = (
    entry(1, "Lives in Ghent", "home", "Ghent"),
    entry(2, "Their sister Nora plays the violin"),
    entry(3, "Bakes rye bread on Sundays"),
)
BATCH = batch(pages(SAID), pages(SAID)[:1], known=KNOWN)
MATERIAL = Material(pages(SAID), KNOWN, profile("Ghent"))
SAID_AT = MATERIAL.pages[0].at
OPENNESS = next(each for each in dimensions() if each.name == "openness")


def fact_reply(**fields: Any) -> dict[str, Any]:
    """Returns a fact of a reply, with all fields."""
    empty = {"about": "user", "subject": "user", "kind": "fact", "status": "", "text": "Moved to Porto", "slot": ""}
    return {**empty, "value": "", "since": "", "until": "", "pages": [1], "replaces": [], **fields}


READ: dict[str, Any] = {
    "continues": True,
    "chains": [{"first_page": 1, "summary": "The user moved."}, {"first_page": 4, "summary": "They sail."}],
    "topics": [
        {"summary": "Moving to Porto.", "keywords": ["Porto", "dog"], "pages": [1, 2, 3]},
        {"summary": "Free time.", "keywords": ["sailing", "bread"], "pages": [5, 4]},
    ],
    "facts": [
        fact_reply(slot="home", value="Porto", since="2023-03", replaces=[1]),
        fact_reply(about="assistant", subject="assistant", text="Asked about the wind", pages=[4]),
    ],
}
PROFILE: dict[str, Any] = {
    "traits": [
        {"subject": "user", "trait": "openness", "level": "high", "reason": "Likes new places.", "pages": [1, 4]}
    ]
}


def read(reply: Any, said: Batch = BATCH) -> Reading:
    reading = read_reading(reply if isinstance(reply, str) else json.dumps(reply), said)
    check_reading(said, reading)
    for each in (*reading.chain_summaries, *(topic.summary for topic in reading.topics)):
        check_storable(each)
    for topic in reading.topics:
        for word in topic.keywords:
            assert word.strip()
            check_storable(word, LONGEST_WORD)
    for fact in reading.facts:
        for each in (fact.text, fact.subject, fact.value or ""):
            check_storable(each)
    return reading


def read_traits(reply: Any, material: Material = MATERIAL) -> tuple[Profiling, tuple[str, ...]]:
    profiling, dropped = read_profiling(reply if isinstance(reply, str) else json.dumps(reply), material)
    check_profiling(material, profiling)
    for trait in profiling.traits:
        check_storable(trait.reason)
        check_storable(trait.subject)
    return profiling, dropped


def read_fact(said: Batch = BATCH, /, **fields: Any) -> Fact:
    """Returns the fact of a reply with one fact."""
    (fact,) = read({**READ, "facts": [fact_reply(**fields)]}, said).facts
    return fact


def check_storable(text: str, longest: int = LONGEST_LINE) -> None:
    text.encode()
    assert "\0" not in text
    assert len(text) <= longest
    assert len(text.splitlines()) <= 1


def changed(reply: Mapping[str, Any], path: Sequence[Any], value: Any) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(reply))
    at: Any = copy
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return copy


def paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from paths(value, (*path, key))


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """The part of JSON schema that the prompts use."""
    kind = schema["type"]
    if kind == "object":
        fields = schema["properties"]
        return set(value) == set(fields) and all(fits(value[name], fields[name]) for name in fields)
    if kind == "array":
        return isinstance(value, list) and all(fits(each, schema["items"]) for each in value)
    is_right = type(value) is {"string": str, "integer": int, "boolean": bool}[kind]
    return is_right and value in schema.get("enum", [value])


def test_a_reading_is_read() -> None:
    assert fits(READ, read_prompt.SCHEMA.schema)
    reading = read(READ)
    assert reading.continues == (True, True, True, False, True)
    assert reading.chain_summaries == ("The user moved.", "They sail.")
    assert [(topic.summary, topic.keywords, topic.page_ids) for topic in reading.topics] == [
        ("Moving to Porto.", frozenset({"porto", "dog"}), ("p001", "p002", "p003")),
        ("Free time.", frozenset({"sailing", "bread"}), ("p004", "p005")),
    ]
    moved, asked = reading.facts
    assert (moved.slot, moved.value, moved.valid_from) == ("home", "Porto", datetime(2023, 3, 1, tzinfo=timezone.utc))
    assert (moved.replaces, moved.kind, moved.status, moved.valid_until) == (("k1",), "fact", None, None)
    assert (asked.about, asked.subject, asked.source_page_ids, asked.replaces) == (
        "assistant",
        "assistant",
        ("p004",),
        (),
    )
    assert reading.dropped == ()


def test_the_first_page_continues_nothing_where_nothing_was_before() -> None:
    assert read(READ, batch(pages(SAID), known=KNOWN)).continues[0] is False


def test_traits_are_read() -> None:
    assert fits(PROFILE, profile_prompt.SCHEMA.schema)
    profiling, dropped = read_traits(PROFILE)
    (trait,) = profiling.traits
    assert (trait.category, trait.dimension, trait.level, trait.subject) == (
        OPENNESS.category,
        "openness",
        "high",
        "user",
    )
    assert trait.evidence_page_ids == ("p000", "p001", "p004")
    assert dropped == ()


def test_evidence_adds_up_but_stays_bounded() -> None:
    seen = tuple(f"p{number:03}" for number in range(100, 100 + EVIDENCE_KEPT))
    earlier = Profile(1, (), (Trait(OPENNESS.category, "openness", "low", "Said so.", seen),))
    (trait,) = read_traits(PROFILE, Material(pages(SAID), (), earlier))[0].traits
    assert (trait.level, len(trait.evidence_page_ids)) == ("high", EVIDENCE_KEPT)
    other = Profile(1, (), (replace(earlier.traits[0], subject="Ann"),))
    (trait,) = read_traits(PROFILE, Material(pages(SAID), (), other))[0].traits
    assert trait.evidence_page_ids == ("p001", "p004"), "evidence of another person does not count"


# Slots, kinds and dates


@pytest.mark.parametrize(
    ("slot", "value", "expected"),
    [
        ("name", "Ann Lee", ("name", "Ann Lee")),
        ("home", "Porto", ("home", "Porto")),
        ("job", "nurse", ("job", "nurse")),
        ("Birth year", "1990", ("birth_date", "1990")),
        ("allergies", "peanuts", ("allergy", "peanuts")),
        ("", "ignored", (None, None)),
    ],
)
def test_a_slot_has_its_value(slot: str, value: str, expected: tuple[str | None, str | None]) -> None:
    fact = read_fact(slot=slot, value=value)
    assert (fact.slot, fact.value) == expected


@pytest.mark.parametrize(("slot", "value"), [("shoe size", "42"), ("home", ""), ("home", " \n")])
def test_an_unknown_slot_or_one_without_value_makes_a_plain_fact(slot: str, value: str) -> None:
    reading = read({**READ, "facts": [fact_reply(slot=slot, value=value)]})
    assert [(fact.text, fact.slot, fact.value) for fact in reading.facts] == [("Moved to Porto", None, None)]
    assert reading.dropped == ("facts: unknown slot, or a slot without value (1)",)


@pytest.mark.parametrize("slot", SLOTS)
def test_every_slot_can_be_retracted_without_a_value(slot: str) -> None:
    fact = read_fact(slot=slot, until="2023-05-08")
    assert (fact.slot, fact.value, fact.valid_until) == (slot, None, SAID_AT)


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("2023-05-08", SAID_AT),
        ("2023-05", SAID_AT),
        ("2023", SAID_AT),
        ("2023-05-07", datetime(2023, 5, 8, tzinfo=timezone.utc)),
        ("2023-04", datetime(2023, 5, 1, tzinfo=timezone.utc)),
        ("2022-12", datetime(2023, 1, 1, tzinfo=timezone.utc)),
        ("2022", datetime(2023, 1, 1, tzinfo=timezone.utc)),
        ("2023-05-09", datetime(2023, 5, 10, tzinfo=timezone.utc)),
        ("2024", datetime(2025, 1, 1, tzinfo=timezone.utc)),
    ],
)
def test_a_fact_ends_with_the_stated_period_or_when_it_was_said(until: str, expected: datetime) -> None:
    assert read_fact(until=until).valid_until == expected


@pytest.mark.parametrize(
    "date", ["last spring", "2023-13", "0000", "2023-02-30", "99999", "9999-12-31", "2023-03-01T10:00", "二〇二三"]
)
def test_a_date_that_is_none_is_left_out(date: str) -> None:
    fact = read_fact(since=date, until=date)
    assert fact.valid_from is None
    assert fact.valid_until is None


@pytest.mark.parametrize("kind", ["plan", "decision", "promise"])
@pytest.mark.parametrize("status", ["open", "paused", "done", "dropped", "Open"])
def test_a_plan_decision_or_promise_has_a_status(kind: str, status: str) -> None:
    fact = read_fact(kind=kind, status=status)
    assert (fact.kind, fact.status) == (kind, status.lower())


@pytest.mark.parametrize("kind", ["fact", "preference", "event", "relation", "advice"])
def test_other_kinds_have_no_status(kind: str) -> None:
    fact = read_fact(kind=kind, status="open")
    assert (fact.kind, fact.status) == (kind, None)


def test_a_fact_of_an_unknown_kind_is_a_plain_fact() -> None:
    reading = read({**READ, "facts": [fact_reply(kind="rumour"), fact_reply(kind="", text="Sails")]})
    assert [fact.kind for fact in reading.facts] == ["fact", "fact"]
    assert reading.dropped == ("facts: unknown kind (1)",)


# References


def test_a_fact_replaces_the_shown_facts_by_their_numbers() -> None:
    assert read_fact(replaces=[3, 1]).replaces == ("k1", "k3")
    reading = read({**READ, "facts": [fact_reply(replaces=[0, 2, 4, -1])]})
    assert reading.facts[0].replaces == ("k2",)
    assert reading.dropped == ("replaces: a number that was not shown (1)",)


def test_a_fact_that_was_stated_later_is_not_replaced() -> None:
    later = replace(KNOWN[2], stated_at=AT + timedelta(days=1))
    reading = read({**READ, "facts": [fact_reply(replaces=[2, 3])]}, replace(BATCH, related=(KNOWN[1], later)))
    assert reading.facts[0].replaces == ("k2",)
    assert reading.dropped == ("replaces: a fact that was stated later (1)",)


def test_unknown_page_numbers_are_dropped_and_the_others_used() -> None:
    reading = read({**READ, "facts": [fact_reply(pages=[99, 2, 0, 2]), fact_reply(text="Sails", pages=[99])]})
    assert [(fact.text, fact.source_page_ids) for fact in reading.facts] == [("Moved to Porto", ("p002",))]
    assert reading.dropped == (
        "facts: a number that was not shown (2)",
        "facts: no text or page, or too long a name (1)",
    )


def test_a_fact_that_a_reply_repeats_is_read_once_with_all_sources() -> None:
    again = fact_reply(text="MOVED to Porto!", pages=[3, 2], replaces=[2])
    reading = read({**READ, "facts": [fact_reply(replaces=[3]), again, fact_reply(subject="Ann")]})
    assert [(fact.subject, fact.source_page_ids, fact.replaces) for fact in reading.facts] == [
        ("user", ("p001", "p002", "p003"), ("k3", "k2")),
        ("Ann", ("p001",), ()),
    ]
    assert len(read({**READ, "facts": [fact_reply(), fact_reply(until="2023-05-01")]}).facts) == 2
    assert len(read({**READ, "facts": [fact_reply(), fact_reply(text="Moved to Porto, not")]}).facts) == 2


def test_a_known_fact_may_be_repeated() -> None:
    assert read_fact(text="Bakes rye bread on Sundays").text == "Bakes rye bread on Sundays"


def test_pages_are_named_by_their_ids_only() -> None:
    odd = (Page("b", 7, AT, "I sail.", ""), Page("a", 8, AT, "I bake.", ""))
    reply = {**READ, "topics": [{"summary": "x", "keywords": [], "pages": [2, 1]}], "facts": [fact_reply(pages=[2])]}
    reading = read(reply, batch(odd))
    assert reading.topics[0].page_ids == ("b", "a")
    assert reading.facts[0].source_page_ids == ("a",)


# Several speakers

TWO = (Page("p1", 1, AT, "I sail.", "I bake.", "Ann", "Bob"), Page("p2", 2, AT, "I dance.", "I sing.", "Carl", "Bob"))


@pytest.mark.parametrize(
    ("names", "subject", "numbers", "expected"),
    [
        (("ann", None), "user", [1], "user"),
        (("ann", None), "Ann", [1], "user"),
        (("ann", None), "USER", [2], "Carl"),
        (("ann", None), "carl", [2], "carl"),
        (("ann", None), "user", [1, 2], "user"),
        (("ann", None), "Nora", [1], "Nora"),
        (("ann", None), "Bob", [1], "assistant"),
        (("ann", "Tom"), "assistant", [1], "Bob"),
        (("ann", "Tom"), "Bob", [1], "Bob"),
        (("ann", "Tom"), "Tom", [1], "assistant"),
        ((None, None), "Carl", [2], "user"),
        ((None, None), "", [2], "user"),
    ],
)
def test_a_subject_is_a_side_or_a_name(
    names: tuple[str | None, str | None], subject: str, numbers: list[int], expected: str
) -> None:
    said = batch(TWO, names=names)
    reply = {**READ, "chains": [], "topics": [], "facts": [fact_reply(subject=subject, pages=numbers)]}
    assert read(reply, said).facts[0].subject == expected
    material = Material(TWO, (), Profile(), *names)
    trait = {**PROFILE["traits"][0], "subject": subject, "pages": numbers}
    assert read_traits({"traits": [trait]}, material)[0].traits[0].subject == expected


def test_a_name_that_is_too_long_is_dropped() -> None:
    reading = read({**READ, "facts": [fact_reply(subject="x" * (LONGEST_WORD + 1)), fact_reply(subject="Ann")]})
    assert [fact.subject for fact in reading.facts] == ["Ann"]


# Invalid chains and topics


@pytest.mark.parametrize(
    ("chains", "continues", "summaries"),
    [
        ([(2, "a"), (4, "b")], (True, True, True, False, True), ("a", "b")),
        ([(4, "b"), (1, "a")], (True, True, True, False, True), ("a", "b")),
        ([(1, "a"), (4, "")], (True, True, True, True, True), ("a",)),
        ([(1, "a"), (4, "\0\x1b\ud800")], (True, True, True, True, True), ("a",)),
        ([(1, "a"), (1, "b"), (9, "c"), (0, "d"), (-1, "e"), (10**30, "f")], (True, True, True, True, True), ("a",)),
        ([(1, "a"), (True, "b"), (2.5, "c"), (3, None), (4, 4)], (True, True, True, True, True), ("a",)),
    ],
)
def test_invalid_chains_join_the_chain_before(
    chains: list[tuple[Any, Any]], continues: tuple[bool, ...], summaries: tuple[str, ...]
) -> None:
    reading = read({**READ, "chains": [{"first_page": number, "summary": text} for number, text in chains]})
    assert (reading.continues, reading.chain_summaries) == (continues, summaries)
    assert bool(reading.dropped) == (chains[0] != (4, "b"))


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        ([[1, 2], [4]], [[1, 2, 3], [4, 5]]),
        ([[3], [5]], [[1, 2, 3, 4], [5]]),
        ([[1, 2, 3], [3, 4, 5]], [[1, 2, 3], [4, 5]]),
        ([[1, 2, 3, 9, 0], [4, 5]], [[1, 2, 3], [4, 5]]),
        ([[1], [], [2, 3, 4, 5]], [[1], [2, 3, 4, 5]]),
        ([[1], [1], [2, 3, 4, 5]], [[1], [2, 3, 4, 5]]),
        ([[1], [99], [2, 3, 4, 5]], [[1], [2, 3, 4, 5]]),
        ([[2], "123", [True]], [[1, 2, 3, 4, 5]]),
        ([[1], [2], [3], [4], [5]], [[1], [2], [3], [4], [5]]),
    ],
)
def test_a_page_without_a_topic_joins_that_of_its_neighbour(topics: list[Any], expected: list[list[int]]) -> None:
    reply = {**READ, "topics": [{"summary": "x", "keywords": [], "pages": numbers} for numbers in topics]}
    reading = read(reply)
    assert [topic.page_ids for topic in reading.topics] == [
        tuple(f"p{number:03}" for number in numbers) for numbers in expected
    ]
    assert bool(reading.dropped) == (topics != expected)


@pytest.mark.parametrize("missing", [["chains"], ["topics"], ["chains", "topics"]])
@pytest.mark.parametrize("value", [None, [], "x", [{"summary": ""}]])
def test_missing_chains_or_topics_are_those_of_the_rules(missing: list[str], value: Any) -> None:
    reading, rules = read({**READ, **dict.fromkeys(missing, value)}), group_pages(BATCH)
    expected = read(READ)
    chains = rules if "chains" in missing else expected
    assert (reading.continues, reading.chain_summaries) == (chains.continues, chains.chain_summaries)
    assert reading.topics == (rules if "topics" in missing else expected).topics
    assert reading.facts == expected.facts


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["traits", 0, "trait"], "kindness to dragons"),
        (["traits", 0, "level"], "very high"),
        (["traits", 0, "level"], "\ud800"),
        (["traits", 0, "reason"], " "),
        (["traits", 0, "pages"], []),
        (["traits", 0, "pages"], [6]),
        (["traits", 0, "pages"], [10**400]),
        (["traits", 0, "pages"], [True]),
        (["traits", 0, "subject"], "x" * 81),
        (["traits", 0], None),
    ],
)
def test_an_invalid_trait_is_dropped(path: list[Any], value: Any) -> None:
    second = {**PROFILE["traits"][0], "trait": "neuroticism", "level": "low"}
    profiling, dropped = read_traits(changed({"traits": [PROFILE["traits"][0], second]}, path, value))
    assert [(trait.dimension, trait.level) for trait in profiling.traits] == [("neuroticism", "low")]
    assert dropped


def test_no_trait_is_a_valid_reply() -> None:
    assert read_traits({"traits": []}) == (Profiling(), ())


def test_fields_that_a_weak_model_leaves_out_are_empty() -> None:
    reading = read({"facts": [{"text": "Sails", "pages": [4]}], "topics": [{"summary": "x", "pages": [1]}]})
    assert reading.facts == (Fact("user", "Sails", ("p004",), subject="user"),)
    assert reading.topics[0].keywords == frozenset()
    nulls = dict.fromkeys(fact_reply()) | {"text": "Sails", "pages": [4], "replaces": []}
    assert read({"facts": [nulls]}).facts == reading.facts


# Replies without a usable part


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"error": {"message": "overloaded"}},
        {"chains": [], "topics": [], "facts": []},
        {"reading": READ},
        {"facts": [fact_reply(pages=[99])], "topics": [{"summary": "x", "pages": [99]}]},
        {"traits": None},
        {"traits": {}},
    ],
)
def test_a_reply_with_nothing_usable_is_refused(reply: dict[str, Any]) -> None:
    for run in (read, read_traits):
        with pytest.raises(InvalidReplyError):
            run(reply)


@pytest.mark.parametrize("wrapped", ["```json\n{}\n```", "Here it is: {}", "\ufeff{} Anything else?", "[{}]"])
def test_talk_around_the_object_is_passed_over(wrapped: str) -> None:
    assert read(wrapped.replace("{}", json.dumps(READ))) == read(READ)


@pytest.mark.parametrize("reply", [json.dumps(READ), json.dumps(PROFILE)])
def test_a_reply_that_is_cut_off_anywhere_is_refused(reply: str) -> None:
    for end in range(len(reply)):
        for run in (read, read_traits):
            with pytest.raises(InvalidReplyError):
                run(reply[:end])


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I can't do that.",
        "null",
        "[]",
        "{",
        "{}}",
        "{'continues': true}",
        '{"a": ' * 100_000,
        '{"facts": ' + "[" * 100_000,
        '{"facts": ' + "[" * 500 + "]" * 500 + "}",
        '{"traits": "x", "drop": [' + "1" * 5_000 + "]}",
        '{"facts": NaN}',
        '{"continues": true, "chains": Infinity, "topics": -Infinity}',
        "{\0}",
        "\ud800{",
        '{"\ud800": 1}',
        '{"\\ud800": 1}',
        "x" * 1_000_000,
        json.dumps({"facts": "x" * 1_000_000}),
        json.dumps({"chains": [1] * 10_000, "topics": [], "continues": True}),
    ],
    ids=range(20),
)
def test_junk_is_refused(reply: str) -> None:
    for run in (read, read_traits):
        with pytest.raises(InvalidReplyError):
            run(reply)


# Texts


def test_what_is_no_text_is_cleaned_away() -> None:
    dirty = "Caf\u00e9\0 \ud83dNora\x1b[2J\n7. Tom:\u2028 hi \ud83d\ude00"
    reply = changed(changed(READ, ["chains", 0, "summary"], dirty), ["topics", 0, "keywords"], [dirty, "´", "\0"])
    reading = read(changed(reply, ["facts", 0, "value"], dirty))
    assert reading.chain_summaries[0] == "Café Nora [2J 7. Tom: hi 😀"
    assert reading.topics[0].keywords == {"cafe nora [2j 7. tom: hi 😀"}
    assert reading.facts[0].value == reading.chain_summaries[0]


def test_a_sentence_is_no_keyword() -> None:
    words = ["Porto", "a dog " * 20, "ﷺ" * 10, "…" * 40]
    assert read(changed(READ, ["topics", 0, "keywords"], words)).topics[0].keywords == {"porto"}


def test_a_text_that_is_too_long_says_that_it_was_cut() -> None:
    text = read_fact(text="very " * 100_000).text
    assert (len(text), text[-1]) == (LONGEST_LINE, "…")


@pytest.mark.parametrize("said", [ENGLISH, CHINESE])
def test_a_reply_in_another_language_is_refused(said: tuple[tuple[str, str], ...]) -> None:
    texts = [
        "The user has moved to a town by the sea and likes it there.",
        "用户搬到了海边的一个小镇，很喜欢那里的生活。",
    ]
    own, foreign = texts if said is ENGLISH else reversed(texts)
    here = batch(pages(said))
    reply = {
        "continues": False,
        "chains": [{"first_page": 1, "summary": own}],
        "topics": [{"summary": own, "keywords": [], "pages": [1, 2, 3]}],
        "facts": [fact_reply(text=own)],
    }
    assert read(reply, here).chain_summaries == (own,)
    for path in (["chains", 0, "summary"], ["topics", 0, "summary"], ["facts", 0, "text"]):
        with pytest.raises(InvalidReplyError, match="language"):
            read(changed(reply, path, foreign), here)
    material = Material(pages(said), (), Profile())
    traits = {"traits": [{**PROFILE["traits"][0], "reason": own, "pages": [1]}]}
    assert read_traits(traits, material)[0].traits[0].reason == own
    with pytest.raises(InvalidReplyError, match="language"):
        read_traits(changed(traits, ["traits", 0, "reason"], foreign), material)


def test_names_are_at_home_in_every_language() -> None:
    for value in ("Tom", "San Francisco, California", "machine learning engineer", "iPhone 15 Pro Max"):
        assert (
            read({"facts": [fact_reply(text="名字", slot="name", value=value)]}, batch(pages(CHINESE))).facts[0].value
            == value
        )


words = st.sampled_from(["Tom moved.", "They sail.", "Nora plays the violin", "Bread", "Porto", "2023", "É", "猫"])
numbers = st.integers(1, 8)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    said = pages([draw(st.sampled_from(SAID)) for _ in range(draw(numbers))])
    known = [
        entry(n, draw(words), *draw(st.sampled_from([(None, None), ("home", "Oslo")])))
        for n in range(draw(st.integers(0, 5)))
    ]
    return batch(said, draw(st.sampled_from([(), said[:1]])), known=known)


@st.composite
def read_replies(draw: st.DrawFn) -> tuple[Batch, dict[str, Any]]:
    said = draw(batches())
    count, shown = len(said.pages), len(said.slots) + len(said.related)
    firsts = [1, *sorted(draw(st.sets(st.integers(2, max(2, count)), max_size=count - 1)) if count > 1 else ())]
    of_page = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    parts = [[n for n, part in enumerate(of_page, 1) if part == each] for each in sorted({*of_page})]
    parts = [draw(st.permutations(part)) for part in parts]
    some = st.lists(st.integers(1, count), min_size=1, max_size=4)
    fact = st.fixed_dictionaries(
        {
            "about": st.sampled_from(["user", "assistant"]),
            "subject": st.sampled_from(["user", "assistant", "Nora"]),
            "kind": st.sampled_from(read_prompt.KINDS),
            "status": st.sampled_from(["", *read_prompt.STATUSES]),
            "text": words,
            "slot": st.sampled_from(["", *SLOTS]),
            "value": words,
            "since": st.sampled_from(["", "2023", "2023-05-31", "soon"]),
            "until": st.sampled_from(["", "2023", "2023-05-31", "soon"]),
            "pages": some,
            "replaces": st.lists(st.integers(1, shown), max_size=3) if shown else st.just([]),
        }
    )
    return said, {
        "continues": draw(st.booleans()),
        "chains": [{"first_page": first, "summary": draw(words)} for first in firsts],
        "topics": [
            {"summary": draw(words), "keywords": draw(st.lists(words, max_size=20)), "pages": part} for part in parts
        ],
        "facts": draw(st.lists(fact, max_size=5)),
    }


@settings(max_examples=80)
@given(read_replies())
def test_every_reply_by_the_schema_and_the_rules_becomes_a_reading(case: tuple[Batch, dict[str, Any]]) -> None:
    said, reply = case
    assert fits(reply, read_prompt.SCHEMA.schema)
    reading = read(reply, said)
    assert len(reading.chain_summaries) == len(reply["chains"])
    assert len(reading.topics) == len(reply["topics"])
    assert reading.dropped == ()
    assert {fact.text for fact in reading.facts} == {fact["text"] for fact in reply["facts"]}
    named = {f"p{number:03}" for fact in reply["facts"] for number in fact["pages"]}
    assert {page_id for fact in reading.facts for page_id in fact.source_page_ids} == named


trait_replies = st.lists(
    st.fixed_dictionaries(
        {
            "subject": st.sampled_from(["user", "assistant", "Nora"]),
            "trait": st.sampled_from([each.name for each in dimensions()]),
            "level": st.sampled_from(profile_prompt.LEVELS),
            "reason": words,
            "pages": st.lists(st.integers(1, len(SAID)), min_size=1, max_size=4),
        }
    ),
    max_size=3,
    unique_by=lambda each: (each["subject"], each["trait"]),
)


@settings(max_examples=80)
@given(trait_replies)
def test_every_reply_by_the_schema_and_the_rules_becomes_a_profiling(reply: list[dict[str, Any]]) -> None:
    assert fits({"traits": reply}, profile_prompt.SCHEMA.schema)
    profiling, dropped = read_traits({"traits": reply})
    assert len(profiling.traits) == len(reply)
    assert dropped == ()


SECRET = "Zanzibar"
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 1, 99, 10**30, True, "1", "2", "true", "0x1", "1_0", " 1 ", "１"]),
    st.floats(),
    st.text(st.characters(), max_size=5),
    st.sampled_from(["\ud800", "\0", "\udfff\ud800", f"{SECRET} \u2028", "high", "user", SECRET * 300]),
)
junk = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([SECRET, "pages", "summary", "\ud800"]), inner)
    ),
    max_leaves=6,
)


def attempt(read: Callable[[Any], Read], reply: Any) -> Read | str:
    """Returns what was read, or all that a log would show of the refusal."""
    try:
        return read(reply)
    except InvalidReplyError as error:
        return "".join(traceback.format_exception(error))


@settings(max_examples=150)
@given(st.sampled_from(list(paths(READ))), junk, st.booleans())
def test_a_reading_with_junk_anywhere_is_refused_or_keeps_the_contract(path: Any, value: Any, escapes: bool) -> None:
    reading = attempt(read, json.dumps(changed(READ, path, value), ensure_ascii=escapes))
    shown = reading if isinstance(reading, str) else " ".join(reading.dropped)
    assert SECRET not in shown


@settings(max_examples=100)
@given(st.sampled_from(list(paths(PROFILE))), junk, st.booleans())
def test_traits_with_junk_anywhere_are_refused_or_keep_the_contract(path: Any, value: Any, escapes: bool) -> None:
    found = attempt(read_traits, json.dumps(changed(PROFILE, path, value), ensure_ascii=escapes))
    shown = found if isinstance(found, str) else " ".join(found[1])
    assert SECRET not in shown


@settings(max_examples=100)
@given(st.one_of(st.text(st.characters(), max_size=40), junk.map(json.dumps), st.text('{}[]",:1tn \\u', max_size=30)))
def test_any_text_at_all_is_refused(reply: str) -> None:
    for run in (read, read_traits):
        with pytest.raises(InvalidReplyError):
            run(reply)


def test_the_reasons_quote_nothing() -> None:
    wrong = [SECRET, {SECRET: SECRET}, [SECRET], {"pages": SECRET}]
    found = [attempt(read, changed(READ, path, value)) for path in paths(READ) for value in wrong]
    reasons = [each if isinstance(each, str) else " ".join(each.dropped) for each in found]
    assert len([each for each in reasons if each]) > len(reasons) / 2
    assert not [each for each in reasons if SECRET in each]
