"""Replies of an LLM: what keeps the contract is read, whatever else comes is refused, and nothing is made up."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoryos.analysts.llm_replies import (
    EVIDENCE_KEPT,
    LONGEST_WORD,
    RELATED_SHOWN,
    read_digest,
    read_lesson,
    related_knowledge,
)
from memoryos.analysts.prompts import digest, learn
from memoryos.analysts.prompts.shapes import LONGEST_LINE
from memoryos.analysts.traits import dimensions
from memoryos.errors import InvalidReplyError
from memoryos.model import Page, Profile, Trait
from memoryos.seams import Batch, Digest, Lesson, Material
from memoryos.updating.lesson_merging import check_lesson
from memoryos.updating.segment_matching import check_digest
from tests.analysts.test_prompts import CHINESE, ENGLISH, batch, entry, pages, profile

Read = TypeVar("Read")

SAID = (*ENGLISH, ("We went sailing last week.", "Was the wind kind to you?"), ("I bake rye bread on Sundays.", ""))
FACTS = ("Lives in Porto with a dog", "Their sister Nora plays the violin", "Bakes rye bread on Sundays")
KNOWN = tuple(entry(number, text, f"p{number:03}") for number, text in enumerate(FACTS, 2))
MATERIAL = Material(pages(SAID), profile("Ghent"), KNOWN)
RELATED = related_knowledge(MATERIAL)
OPENNESS = next(each for each in dimensions() if each.name == "openness")

DIGEST: dict[str, Any] = {
    "continues": True,
    "chains": [{"first_page": 1, "summary": "The user moved."}, {"first_page": 4, "summary": "They sail."}],
    "topics": [
        {"summary": "Moving to Porto.", "keywords": ["Porto", "dog"], "pages": [1, 2, 3]},
        {"summary": "Free time.", "keywords": ["sailing", "bread"], "pages": [5, 4]},
    ],
}
LESSON: dict[str, Any] = {
    "attributes": [{"name": "Home town", "value": "Porto", "pages": [1]}],
    "traits": [{"trait": "openness", "level": "high", "reason": "Likes new places.", "pages": [1, 4]}],
    "knowledge": [
        {"about": "user", "text": "Moved to Porto", "since": "2023-03", "pages": [1], "replaces": []},
        {"about": "assistant", "text": "Asked about the wind", "since": "", "pages": [4], "replaces": [1]},
    ],
    "drop": [3],
}


def read_d(reply: Any, said: Batch | None = None) -> Digest:
    text = reply if isinstance(reply, str) else json.dumps(reply)
    said = said or batch(pages(SAID), pages(SAID)[0])
    read = read_digest(text, said)
    check_digest(said, read)
    for each in (*read.chain_summaries, *(topic.summary for topic in read.topics)):
        assert each.strip()
        check_storable(each)
    for topic in read.topics:
        for word in topic.keywords:
            assert word.strip()
            check_storable(word, LONGEST_WORD)
    return read


def read_l(reply: Any, material: Material = MATERIAL) -> Lesson:
    text = reply if isinstance(reply, str) else json.dumps(reply)
    read = read_lesson(text, material, related_knowledge(material))
    check_lesson(material, read)
    for attribute in read.attributes:
        assert attribute.name.strip()
        assert attribute.value.strip()
        check_storable(attribute.name, LONGEST_WORD)
        check_storable(attribute.value)
    for trait in read.traits:
        check_storable(trait.reason)
    for fact in read.facts:
        check_storable(fact.text)
    return read


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


def test_a_digest_is_read() -> None:
    assert fits(DIGEST, digest.SCHEMA.schema)
    read = read_d(DIGEST)
    assert read.continues == (True, True, True, False, True)
    assert read.chain_summaries == ("The user moved.", "They sail.")
    assert [(topic.summary, topic.keywords, topic.page_ids) for topic in read.topics] == [
        ("Moving to Porto.", frozenset({"porto", "dog"}), ("p001", "p002", "p003")),
        ("Free time.", frozenset({"sailing", "bread"}), ("p004", "p005")),
    ]


def test_the_first_page_continues_nothing_where_nothing_was_before() -> None:
    assert read_d(DIGEST, batch(pages(SAID))).continues[0] is False


def test_a_lesson_is_read() -> None:
    assert fits(LESSON, learn.SCHEMA.schema)
    read = read_l(LESSON)
    assert [(each.name, each.value, each.source_page_ids) for each in read.attributes] == [
        ("home_town", "Porto", ("p001",))
    ]
    assert [(each.category, each.dimension, each.level) for each in read.traits] == [
        (OPENNESS.category, "openness", "high")
    ]
    assert read.traits[0].evidence_page_ids == ("p000", "p001", "p004")
    moved, asked = read.facts
    assert (moved.text, moved.valid_from, moved.supersedes) == ("Moved to Porto", datetime(2023, 3, 1, tzinfo=timezone.utc), ())  # fmt: skip
    assert (asked.about, asked.source_page_ids, asked.supersedes) == ("assistant", ("p004",), ("k2",))
    assert read.dropped == ("k4",)


def test_a_fact_from_older_pages_goes_into_history_itself() -> None:
    reply = changed(LESSON, ["knowledge", 0, "replaces"], [2])
    fact = read_l(reply).facts[0]
    assert (fact.supersedes, fact.superseded_by) == ((), "k3")
    fact = read_l(changed(reply, ["drop"], [2])).facts[0]
    assert (fact.supersedes, fact.superseded_by) == (("k3",), None), "what is dropped replaces nothing"


def test_what_is_known_word_for_word_is_left_out_unless_it_is_dropped() -> None:
    reply = changed(LESSON, ["knowledge", 0, "text"], "BAKES  rye bread on\nSundays")
    assert [fact.text for fact in read_l(changed(reply, ["drop"], [])).facts] == ["Asked about the wind"]
    assert [fact.text for fact in read_l(reply).facts] == ["BAKES rye bread on Sundays", "Asked about the wind"]
    twice = changed(LESSON, ["knowledge", 1, "text"], "moved to porto")
    assert [fact.text for fact in read_l(twice).facts] == ["Moved to Porto"]


def test_evidence_adds_up_but_stays_bounded() -> None:
    seen = tuple(f"p{number:03}" for number in range(100, 100 + EVIDENCE_KEPT))
    earlier = Profile(1, (), (Trait(OPENNESS.category, "openness", "low", "Said so.", seen),))
    trait = read_l(LESSON, Material(pages(SAID), earlier, KNOWN)).traits[0]
    assert (trait.level, len(trait.evidence_page_ids)) == ("high", EVIDENCE_KEPT)


def test_what_is_related_shares_words_and_keeps_its_order() -> None:
    many = tuple(entry(number, f"Owns a garden and {number} cats") for number in range(30))
    material = Material(pages(SAID), Profile(), (*many, entry(99, "Their sister Nora"), entry(100, "Unrelated opera")))
    related = related_knowledge(material)
    assert len(related) == RELATED_SHOWN
    assert [each.knowledge_id for each in related][-1] == "k99"
    assert related == sorted(related, key=lambda each: int(each.knowledge_id[1:]))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["chains"], []),
        (["chains", 0, "first_page"], 2),
        (["chains", 0, "first_page"], 0),
        (["chains", 1, "first_page"], 1),
        (["chains", 1, "first_page"], 6),
        (["chains", 1, "first_page"], -1),
        (["chains", 1, "first_page"], 10**30),
        (["chains", 1, "first_page"], True),
        (["chains", 1, "first_page"], 1.5),
        (["chains", 1, "summary"], ""),
        (["chains", 1, "summary"], " \n\u200a"),
        (["chains", 1, "summary"], "\0\x1b\ud800"),
        (["chains", 1, "summary"], None),
        (["chains", 1, "summary"], 3),
        (["topics"], []),
        (["topics", 0, "pages"], [1, 2]),
        (["topics", 0, "pages"], [1, 2, 3, 3]),
        (["topics", 0, "pages"], [1, 2, 3, 4]),
        (["topics", 0, "pages"], [1, 2, 3, 6]),
        (["topics", 0, "pages"], [True, 2, 3]),
        (["topics", 0, "pages"], [1, 2, 3, 0]),
        (["topics", 0, "pages"], [1, 2, float("nan")]),
        (["topics", 0, "pages"], [1, 2, float("inf")]),
        (["topics", 0, "pages"], "123"),
        (["topics", 0, "keywords"], "Porto"),
        (["topics"], [{"summary": "x", "keywords": [], "pages": [number]} for number in range(1, 6)]),
        (["topics", 1], {"summary": "x", "keywords": [], "pages": []}),
        (["continues"], None),
        (["continues"], "perhaps"),
    ],
)
def test_a_digest_that_breaks_the_contract_is_refused(path: list[Any], value: Any) -> None:
    with pytest.raises(InvalidReplyError):
        read_digest(json.dumps(changed(DIGEST, path, value)), batch(pages(SAID)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["attributes", 0, "pages"], []),
        (["attributes", 0, "pages"], [6]),
        (["attributes", 0, "pages"], [0]),
        (["attributes", 0, "pages"], [-1]),
        (["attributes", 0, "pages"], [True]),
        (["attributes", 0, "name"], "?! _"),
        (["attributes", 0, "name"], "x" * 81),
        (["attributes", 0, "value"], "\ud800"),
        (["traits", 0, "trait"], "kindness to dragons"),
        (["traits", 0, "level"], "very high"),
        (["traits", 0, "level"], "\ud800"),
        (["traits", 0, "reason"], " "),
        (["traits", 0, "pages"], []),
        (["traits", 0, "pages"], [10**400]),
        (["knowledge", 0, "about"], "dog"),
        (["knowledge", 0, "text"], ""),
        (["knowledge", 0, "pages"], []),
        (["knowledge", 0, "pages"], [1, 9]),
        (["knowledge", 0, "replaces"], [4]),
        (["knowledge", 0, "replaces"], [False]),
        (["knowledge", 0, "replaces"], "1"),
        (["drop"], [0]),
        (["drop"], [4]),
        (["drop"], ["k2"]),
        (["knowledge"], None),
        (["knowledge"], {}),
    ],
)
def test_a_lesson_that_breaks_the_contract_is_refused(path: list[Any], value: Any) -> None:
    with pytest.raises(InvalidReplyError):
        read_lesson(json.dumps(changed(LESSON, path, value)), MATERIAL, RELATED)


@pytest.mark.parametrize(
    "since", ["last spring", "2023-13", "0000", "2023-02-30", "99999", "2023-03-01T10:00", "二〇二三"]
)
def test_a_date_that_is_none_is_left_out(since: str) -> None:
    assert read_l(changed(LESSON, ["knowledge", 0, "since"], since)).facts[0].valid_from is None


@pytest.mark.parametrize("reply", [{}, {"error": {"message": "overloaded"}}, {"attributes": []}, {"lesson": LESSON}])
def test_what_says_nothing_of_knowledge_is_no_empty_lesson(reply: dict[str, Any]) -> None:
    with pytest.raises(InvalidReplyError):
        read_l(reply)


def test_fields_that_a_weak_model_leaves_out_are_empty() -> None:
    assert read_l({"knowledge": []}) == Lesson()
    assert len(read_l({"knowledge": [{"about": "user", "text": "Sails", "pages": [4]}]}).facts) == 1


@pytest.mark.parametrize("wrapped", ["```json\n{}\n```", "Here it is: {}", "\ufeff{} Anything else?", "[{}]"])
def test_talk_around_the_object_is_passed_over(wrapped: str) -> None:
    assert read_d(wrapped.replace("{}", json.dumps(DIGEST))) == read_d(DIGEST)


@pytest.mark.parametrize("reply", [json.dumps(DIGEST), json.dumps(LESSON)])
def test_a_reply_that_is_cut_off_anywhere_is_refused(reply: str) -> None:
    for end in range(len(reply)):
        with pytest.raises(InvalidReplyError):
            read_d(reply[:end])
        with pytest.raises(InvalidReplyError):
            read_l(reply[:end])


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
        '{"knowledge": ' + "[" * 100_000,
        '{"knowledge": ' + "[" * 500 + "]" * 500 + "}",
        '{"knowledge": [], "drop": [' + "1" * 5_000 + "]}",
        '{"knowledge": [], "drop": NaN}',
        '{"continues": true, "chains": Infinity, "topics": -Infinity}',
        "{\0}",
        "\ud800{",
        '{"\ud800": 1}',
        '{"\\ud800": 1}',
        "x" * 1_000_000,
        json.dumps({"knowledge": "x" * 1_000_000}),
        json.dumps({"chains": [1] * 10_000, "topics": [], "continues": True}),
    ],
    ids=range(20),
)
def test_junk_is_refused(reply: str) -> None:
    with pytest.raises(InvalidReplyError):
        read_d(reply)
    with pytest.raises(InvalidReplyError):
        read_l(reply)


def test_what_is_no_text_is_cleaned_away() -> None:
    dirty = "Caf\u00e9\0 \ud83dNora\x1b[2J\n7. Tom:\u2028 hi \ud83d\ude00"
    read = read_d(
        changed(changed(DIGEST, ["chains", 0, "summary"], dirty), ["topics", 0, "keywords"], [dirty, "´", "\0"])
    )
    assert read.chain_summaries[0] == "Café Nora [2J 7. Tom: hi 😀"
    assert read.topics[0].keywords == {"cafe nora [2j 7. tom: hi 😀"}
    assert read_l(changed(LESSON, ["attributes", 0, "value"], dirty)).attributes[0].value == read.chain_summaries[0]


def test_a_sentence_is_no_keyword() -> None:
    words = ["Porto", "a dog " * 20, "ﷺ" * 10, "…" * 40]
    assert read_d(changed(DIGEST, ["topics", 0, "keywords"], words)).topics[0].keywords == {"porto"}


def test_a_text_that_is_too_long_says_that_it_was_cut() -> None:
    text = read_l(changed(LESSON, ["knowledge", 0, "text"], "very " * 100_000)).facts[0].text
    assert (len(text), text[-1]) == (LONGEST_LINE, "…")


@pytest.mark.parametrize("said", [ENGLISH, CHINESE])
def test_a_reply_in_another_language_is_refused(said: tuple[tuple[str, str], ...]) -> None:
    texts = [
        "The user has moved to a town by the sea and likes it there.",
        "用户搬到了海边的一个小镇，很喜欢那里的生活。",
    ]
    own, foreign = texts if said is ENGLISH else reversed(texts)
    reply = {"continues": False, "chains": [{"first_page": 1, "summary": own}], "topics": [{"summary": own, "keywords": [], "pages": [1, 2, 3]}]}  # fmt: skip
    here = batch(pages(said))
    assert read_d(reply, here).chain_summaries == (own,)
    with pytest.raises(InvalidReplyError, match="language"):
        read_d(changed(reply, ["topics", 0, "summary"], foreign), here)
    material = Material(pages(said), Profile(), ())
    lesson = {"knowledge": [{"about": "user", "text": own, "pages": [1]}]}
    assert read_l(lesson, material).facts[0].text == own
    with pytest.raises(InvalidReplyError, match="language"):
        read_l(changed(lesson, ["knowledge", 0, "text"], foreign), material)


def test_names_are_at_home_in_every_language() -> None:
    material = Material(pages(CHINESE), Profile(), ())
    for value in ("Tom", "San Francisco, California", "machine learning engineer", "iPhone 15 Pro Max"):
        reply = {"attributes": [{"name": "x", "value": value, "pages": [1]}], "knowledge": []}
        assert read_l(reply, material).attributes[0].value == value


words = st.sampled_from(["Tom moved.", "They sail.", "Nora plays the violin", "Bread", "Porto", "2023", "É", "猫"])
numbers = st.integers(1, 8)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    said = pages([draw(st.sampled_from(SAID)) for _ in range(draw(numbers))])
    return batch(said, draw(st.sampled_from([None, said[0]])))


@st.composite
def digest_replies(draw: st.DrawFn) -> tuple[Batch, dict[str, Any]]:
    said = draw(batches())
    count = len(said.pages)
    firsts = [1, *sorted(draw(st.sets(st.integers(2, max(2, count)), max_size=count - 1)) if count > 1 else ())]
    of_page = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    parts = [[n for n, first in enumerate(of_page, 1) if first is one] for one in (True, False)]
    parts = [draw(st.permutations(part)) for part in parts if part]
    return said, {
        "continues": draw(st.booleans()),
        "chains": [{"first_page": first, "summary": draw(words)} for first in firsts],
        "topics": [
            {"summary": draw(words), "keywords": draw(st.lists(words, max_size=20)), "pages": part} for part in parts
        ],
    }


@st.composite
def lesson_replies(draw: st.DrawFn) -> tuple[Material, dict[str, Any]]:
    said = draw(batches()).pages
    known = tuple(
        entry(n, draw(words), draw(st.sampled_from(["p000", "p002", "p009"]))) for n in range(draw(st.integers(0, 20)))
    )
    material = Material(said, draw(st.sampled_from([Profile(), profile("Ghent")])), known)
    shown = len(related_knowledge(material))
    some = st.lists(st.integers(1, len(said)), min_size=1, max_size=4)
    olds = st.lists(st.integers(1, shown), max_size=3) if shown else st.just([])
    names = st.sampled_from([each.name for each in dimensions()])
    attribute = st.fixed_dictionaries({"name": words.filter(lambda each: each != "猫"), "value": words, "pages": some})
    trait = st.fixed_dictionaries(
        {"trait": names, "level": st.sampled_from(["high", "medium", "low"]), "reason": words, "pages": some}
    )
    fact = st.fixed_dictionaries(
        {
            "about": st.sampled_from(["user", "assistant"]),
            "text": words,
            "since": st.sampled_from(["", "2023", "2023-05-31", "soon"]),
            "pages": some,
            "replaces": olds,
        }
    )
    return material, {
        "attributes": draw(st.lists(attribute, max_size=3)),
        "traits": draw(st.lists(trait, max_size=3)),
        "knowledge": draw(st.lists(fact, max_size=5)),
        "drop": draw(olds),
    }  # fmt: skip


@settings(max_examples=80)
@given(digest_replies())
def test_every_reply_by_the_schema_and_the_rules_becomes_a_digest(case: tuple[Batch, dict[str, Any]]) -> None:
    said, reply = case
    assert fits(reply, digest.SCHEMA.schema)
    read = read_d(reply, said)
    assert sum(map(len, (topic.page_ids for topic in read.topics))) == len(said.pages)
    assert len(read.chain_summaries) == len(reply["chains"])


@settings(max_examples=80)
@given(lesson_replies())
def test_every_reply_by_the_schema_and_the_rules_becomes_a_lesson(case: tuple[Material, dict[str, Any]]) -> None:
    material, reply = case
    assert fits(reply, learn.SCHEMA.schema)
    read = read_l(reply, material)
    assert len(read.traits) == len(reply["traits"])
    related = related_knowledge(material)
    assert set(read.dropped) == {related[number - 1].knowledge_id for number in reply["drop"]}
    shown = {page.page_id for page in material.pages}
    assert all(set(fact.source_page_ids) <= shown for fact in read.facts)


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


@settings(max_examples=100)
@given(st.sampled_from(list(paths(DIGEST))), junk, st.booleans())
def test_a_digest_with_junk_anywhere_is_refused_or_keeps_the_contract(path: Any, value: Any, escapes: bool) -> None:
    read = attempt(read_d, json.dumps(changed(DIGEST, path, value), ensure_ascii=escapes))
    if isinstance(read, str):
        assert SECRET not in read
    else:
        assert sorted(each for topic in read.topics for each in topic.page_ids) == [f"p{n:03}" for n in range(1, 6)]


@settings(max_examples=100)
@given(st.sampled_from(list(paths(LESSON))), junk, st.booleans())
def test_a_lesson_with_junk_anywhere_is_refused_or_keeps_the_contract(path: Any, value: Any, escapes: bool) -> None:
    read = attempt(read_l, json.dumps(changed(LESSON, path, value), ensure_ascii=escapes))
    if isinstance(read, str):
        assert SECRET not in read
    else:
        named = {*read.dropped, *(each for fact in read.facts for each in fact.supersedes)}
        assert named <= {entry.knowledge_id for entry in RELATED}


@settings(max_examples=100)
@given(st.one_of(st.text(st.characters(), max_size=40), junk.map(json.dumps), st.text('{}[]",:1tn \\u', max_size=30)))
def test_any_text_at_all_is_refused(reply: str) -> None:
    for read in (read_d, read_l):
        with pytest.raises(InvalidReplyError):
            read(reply)


def test_the_reason_of_a_refusal_quotes_nothing() -> None:
    wrong = [SECRET, {SECRET: SECRET}, [SECRET], {"pages": SECRET}]
    refused = [attempt(read_l, changed(LESSON, path, value)) for path in paths(LESSON) for value in wrong]
    reasons = [each for each in refused if isinstance(each, str)]
    assert len(reasons) > len(refused) / 2
    assert not [each for each in reasons if SECRET in each]


def test_pages_are_named_by_their_ids_only() -> None:
    odd = (Page("b", 7, MATERIAL.pages[0].at, "I sail.", ""), Page("a", 8, MATERIAL.pages[0].at, "I bake.", ""))
    reply = {"continues": False, "chains": [{"first_page": 1, "summary": "x"}], "topics": [{"summary": "x", "keywords": [], "pages": [2, 1]}]}  # fmt: skip
    assert read_d(reply, batch(odd)).topics[0].page_ids == ("b", "a")
    lesson = {"knowledge": [{"about": "user", "text": "Sails", "pages": [2]}]}
    assert read_l(lesson, Material(odd, Profile(), ())).facts[0].source_page_ids == ("a",)
