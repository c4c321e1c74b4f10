"""Migration of a store of an earlier release to facts: nothing is lost."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from memoryos.engine import MemoryEngine
from memoryos.memory import Memory
from memoryos.model import Knowledge
from memoryos.slots import slot_named
from memoryos.storage.knowledge_conversion import convert_knowledge
from tests.conftest import EngineMaker
from tests.storage.old_stores import ANN, EXPORT, TOM, in_transaction, old_rows, rows_of

USERS = {TOM: "tom", ANN: "ann"}
WRONG = ("Plays the violin on Mondays", "Werkt als verpleegkundige", "job: verpleegkundige")
"""The texts that the user corrected."""
FORGOTTEN = ("The codeword is Zuvalka", "Promised to keep a codeword", "Is allergic to nuts and cats")


@pytest.fixture
def migrated(make_engine: EngineMaker, old_store: str) -> MemoryEngine:
    return make_engine(database_url=old_store, short_term_capacity=1, mid_term_heat_threshold=0.0)


def is_current(row: dict[str, Any]) -> bool:
    return row["superseded_by"] is None and row["archived_at"] is None


def moment(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=microseconds)


def test_the_old_store_has_all_kinds_of_rows() -> None:
    rows = old_rows("knowledge", TOM)
    assert {row["origin"]["analyst"] for row in rows} == {"local", "llm/scripted", "user"}
    assert {is_current(row) for row in rows} == {True, False}
    assert any(row["archived_at"] for row in rows)
    assert {row["about"] for row in rows} == {"user", "assistant"}
    assert [row["origin"]["analyst"] for row in old_rows("knowledge", ANN) if not row["source_page_ids"]] == ["shared"]
    assert {row["kind"] for row in old_rows("tombstones")} == {"page", "text"}
    attributes = old_rows("profiles", TOM)[-1]["body"]["attributes"]
    assert {slot_named(each["name"]) is None for each in attributes} == {True, False}
    names = [slot_named(each["name"]) for each in attributes]
    assert (names.count("birth_date"), names.count("allergy")) == (2, 2)
    assert old_rows("profiles", TOM)[-1]["origin"]["analyst"] == "user"
    assert all(row["body"]["traits"] for row in old_rows("profiles", TOM)[-3:])


def check_pages(memory: Memory, scope_id: str) -> None:
    found = [(page.page_id, page.seq, page.at, page.user_text, page.assistant_text) for page in memory.pages()]
    assert found == [
        (row["page_id"], row["seq"], moment(row["at"]), row["user_text"], row["assistant_text"])
        for row in old_rows("pages", scope_id)
    ]
    segments = {each.segment_id: each.page_count for each in memory.segments()}
    assert segments == {row["segment_id"]: row["page_count"] for row in old_rows("segments", scope_id)}


def check_facts(memory: Memory, scope_id: str) -> None:
    history = {each.knowledge_id: each for each in memory.knowledge(None, history=True)}
    current = {each.knowledge_id for each in memory.knowledge(None)}
    rows = old_rows("knowledge", scope_id)
    for row in rows:
        fact = history[row["knowledge_id"]]
        assert (fact.text, fact.about, fact.subject) == (row["text"], row["about"], row["about"])
        assert (fact.recorded_at, [*fact.source_page_ids]) == (moment(row["recorded_at"]), row["source_page_ids"])
        assert (fact.origin.analyst, fact.origin.version) == (row["origin"]["analyst"], row["origin"]["version"])
        assert (fact.superseded_by, fact.archived_at is None) == (row["superseded_by"], row["archived_at"] is None)
        assert (fact.valid_from is None) == (row["valid_from"] is None)
        assert (fact.knowledge_id in current) == is_current(row)
    attributes = {(each["name"], each["value"]) for each in old_rows("profiles", scope_id)[-1]["body"]["attributes"]}
    assert len(history) == len(rows) + len(attributes)


def check_attributes(memory: Memory, scope_id: str) -> None:
    versions = old_rows("profiles", scope_id)
    slots = {(each.name, each.value, each.source_page_ids) for each in memory.profile.attributes}
    plain = {(each.text, each.source_page_ids) for each in memory.knowledge(None) if each.slot is None}
    for each in versions[-1]["body"]["attributes"]:
        sources = tuple(each["source_page_ids"])
        is_slot = (slot_named(each["name"]), each["value"], sources) in slots
        assert is_slot or (f"{each['name'].replace('_', ' ')}: {each['value']}", sources) in plain
    assert {each.dimension for each in memory.profile.traits} == {
        each["dimension"] for each in versions[-1]["body"]["traits"]
    }
    found = [[(each.name, each.value) for each in version.attributes] for version in memory.profile_history()]
    assert found == [[(each["name"], each["value"]) for each in row["body"]["attributes"]] for row in versions]


def test_pages_facts_and_attributes_are_kept(migrated: MemoryEngine) -> None:
    for scope_id, user in USERS.items():
        memory = migrated.memory(user, "helper")
        check_pages(memory, scope_id)
        check_facts(memory, scope_id)
        check_attributes(memory, scope_id)


def test_slots_of_the_old_store(migrated: MemoryEngine) -> None:
    memory = migrated.memory("tom", "helper")
    assert {(each.name, each.value) for each in memory.profile.attributes} == {
        ("name", "Tom"),
        ("birth_date", "1990-05-03"),
        ("home", "Hà Nội"),
        ("allergy", "nuts"),
        ("allergy", "nuts and cats"),
        ("language", "Dutch and English"),
    }
    texts = {each.text for each in memory.knowledge()}
    assert {"birth year: 1990", "favourite colour: green"} < texts
    facts = [each for each in memory.knowledge() if each.slot is not None]
    assert {each.origin.analyst for each in facts} == {"local", "llm/scripted"}, "a correction learned no attribute"
    assert not any(each.conflicts_with for each in memory.knowledge(None))


def test_history_of_a_correction_contains_the_wrong_version(migrated: MemoryEngine) -> None:
    memory = migrated.memory("tom", "helper")
    (right,) = (each for each in memory.knowledge() if each.text == "Plays the cello on Fridays")
    assert [each.text for each in memory.history(right.knowledge_id)] == [WRONG[0], right.text]
    assert right.stated_at == right.recorded_at
    home = next(each for each in memory.knowledge() if each.text == "Sống ở Hà Nội")
    assert len(memory.history(home.knowledge_id)) == 6


def test_corrected_and_forgotten_texts_stay_refused(migrated: MemoryEngine, old_store: str) -> None:
    store = migrated.store
    before = old_rows("tombstones", TOM)
    with in_transaction(old_store) as connection:
        assert len(rows_of(connection, "tombstones")) == len(old_rows("tombstones"))
    refused = store.forgetting.refusals(TOM)
    assert all(text in refused for text in (*WRONG, *FORGOTTEN))
    assert "Plays the cello on Fridays" not in refused
    forgotten = [row["mark"] for row in before if row["kind"] == "page"]
    assert len(forgotten) == 1
    assert forgotten[0] in store.forgetting.forgotten_pages(TOM)
    assert all(page.page_id not in store.forgetting.forgotten_pages(TOM) for page in store.log.after(TOM))


def texts(facts: list[Knowledge]) -> set[str]:
    return {each.text for each in facts}


def test_migrated_store_has_no_faults_and_keeps_corrections_when_it_is_rebuilt(migrated: MemoryEngine) -> None:
    for user in USERS.values():
        memory = migrated.memory(user, "helper")
        memory.flush()
        migrated.store.erase()
        assert migrated.store.verify() == []
        kept = {each.text for each in memory.knowledge(None) if each.origin.analyst in {"user", "shared"}}
        history = texts(memory.knowledge(None, history=True))
        assert kept
        assert memory.rebuild("local").applied
        after = texts(memory.knowledge(None))
        assert kept < after
        assert not after & {*WRONG, *FORGOTTEN}
        assert history <= texts(memory.knowledge(None, history=True))
        assert ("name", user.title()) in {(each.name, each.value) for each in memory.profile.attributes}
        migrated.store.erase()
        assert migrated.store.verify() == []


def test_forgetting_a_page_deletes_its_migrated_facts(migrated: MemoryEngine) -> None:
    memory = migrated.memory("ann", "helper")
    memory.flush()
    page = next(memory.pages())
    assert page.user_text == "My name is Ann and I live in Delft."
    receipt = memory.forget(page_ids=[page.page_id])
    assert {"name", "home"} == {*receipt.attributes}
    assert len(receipt.knowledge_ids) == 4
    memory.flush()
    assert all(page.page_id not in each.source_page_ids for each in memory.knowledge(None, history=True))
    assert "Recommended a violin teacher" in texts(memory.knowledge("assistant"))
    assert not memory.profile.attributes
    assert all(not each.attributes for each in memory.profile_history())
    assert "home: Delft" in migrated.store.forgetting.refusals(ANN)
    migrated.store.erase()
    assert migrated.store.verify() == []


def test_forgetting_a_migrated_fact_keeps_its_page(migrated: MemoryEngine) -> None:
    memory = migrated.memory("tom", "helper")
    memory.flush()
    facts = {each.text: each for each in memory.knowledge()}
    names = ("Drives a blue Saab", "favourite colour: green")
    pages = len([*memory.pages()])
    memory.forget(knowledge_ids=[facts[name].knowledge_id for name in names])
    memory.flush()
    current = texts(memory.knowledge(None))
    assert not current & {*names}
    assert "Drives a red Volvo" in current, "nothing replaces it now"
    assert len([*memory.pages()]) == pages
    memory.rebuild("local")
    assert not texts(memory.knowledge(None)) & {*names}


def test_export_of_the_old_release_gives_the_same_facts(
    migrated: MemoryEngine, make_engine: EngineMaker, tmp_path: Path
) -> None:
    imported = make_engine(data_storage_path=tmp_path / "imported")
    imported.load(EXPORT)
    for user in USERS.values():
        of_both = [each.memory(user, "helper").knowledge(None, history=True) for each in (migrated, imported)]
        found, expected = ([_comparable(each) for each in facts] for facts in of_both)
        assert sorted(found, key=str) == sorted(expected, key=str)
        current = [each.memory(user, "helper").knowledge(None) for each in (migrated, imported)]
        assert texts(current[0]) == texts(current[1])


def _comparable(fact: Knowledge) -> tuple[Any, ...]:
    """Returns the values of a fact without an id that is derived from the id of its scope."""
    return (
        fact.text, fact.subject, fact.about, fact.slot, fact.value, fact.stated_at, fact.recorded_at, fact.valid_from,
        fact.archived_at, fact.source_page_ids, fact.origin, fact.superseded_by, fact.replaces,
        fact.knowledge_id if fact.replaces else None,
    )  # fmt: skip


def entry(
    name: str, text: str, *, superseded_by: str | None = None, sources: tuple[str, ...] = (), **values: Any
) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "knowledge_id": name, "about": "user", "text": text, "recorded_at": 1_000, "valid_from": None,
        "superseded_by": superseded_by, "archived_at": None, "source_page_ids": list(sources),
        "origin": {"analyst": "local", "version": "1"},
    }  # fmt: skip
    return fields | values


def profile(*attributes: tuple[str, str, str], analyst: str = "local", recorded_at: int = 1_000) -> dict[str, Any]:
    found = [{"name": name, "value": value, "source_page_ids": [page_id]} for name, value, page_id in attributes]
    origin = {"analyst": analyst, "version": "1"}
    return {"body": {"attributes": found}, "origin": origin, "recorded_at": recorded_at}


def converted(entries: list[dict[str, Any]], *profiles: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rows = convert_knowledge("s", entries, profiles, {f"p{number}": number for number in range(10)})
    assert len({row["fact_id"] for row in rows}) == len(rows)
    return {row["text"]: row for row in rows}


def test_correction_back_to_an_earlier_text_stays_current() -> None:
    user = {"analyst": "user", "version": "correction"}
    rows = converted([
        entry("a", "Lives in Utrecht", superseded_by="b", sources=("p1",)),
        entry("b", "Lives in Berlin", superseded_by="c", sources=("p2",)),
        entry("c", "lives in Utrecht.", sources=("p2",), origin=user, recorded_at=5_000),
    ])  # fmt: skip
    assert rows["lives in Utrecht."]["stated_at"] == 5_000
    assert rows["Lives in Berlin"]["replaces"] == ["a"]
    assert rows["lives in Utrecht."]["replaces"] == ["b"]


def test_repetition_of_a_superseded_fact_stays_current() -> None:
    rows = converted([
        entry("a", "Lives in Utrecht", superseded_by="b", sources=("p1",)),
        entry("b", "Lives in Berlin", sources=("p2",)),
        entry("c", "lives in Utrecht.", sources=("p2",)),
    ])  # fmt: skip
    assert rows["Lives in Berlin"]["replaces"] == []
    assert rows["Lives in Utrecht"]["archived_at"] == 1_000
    assert rows["lives in Utrecht."]["archived_at"] is None


@pytest.mark.parametrize("newer", ["missing", "a"])
def test_fact_without_its_successor_is_archived(newer: str) -> None:
    row = converted([entry("a", "Lives in Utrecht", superseded_by=newer)])["Lives in Utrecht"]
    assert (row["archived_at"], row["replaces"], row["stated_at"]) == (1_000, [], 1_000)


def test_value_stated_last_fills_the_slot_and_the_others_stay_facts() -> None:
    rows = converted([], profile(("birth_year", "1990", "p2"), ("date_of_birth", "1990-05-03", "p2"), ("job", "nurse", "p1"),
                                 ("occupation", "cook", "p3"), ("profession", "Cook", "p4"), ("allergies", "nuts", "p1"),
                                 ("allergy", "cats", "p1")))  # fmt: skip
    assert {text: (row["slot"], row["value"]) for text, row in rows.items()} == {
        "birth year: 1990": (None, None),
        "birth date: 1990-05-03": ("birth_date", "1990-05-03"),
        "job: nurse": (None, None),
        "job: cook": ("job", "cook"),
        "job: Cook": ("job", "Cook"),
        "allergy: nuts": ("allergy", "nuts"),
        "allergy: cats": ("allergy", "cats"),
    }


def test_attributes_that_say_the_same_become_one_fact() -> None:
    first = profile(("pet", "Rex", "p1"), ("pets", "Rex", "p1"))
    first["body"]["attributes"][1]["source_page_ids"] = ["p0", "p1"]
    row = converted([], first)["pet: Rex"]
    assert row["source_page_ids"] == ["p1", "p0"]


def test_attribute_has_the_origin_of_the_version_that_added_it() -> None:
    versions = (
        profile(("name", "Tom", "p1"), ("home", "Oslo", "p1")),
        profile(("name", "Tom", "p1"), ("home", "Rome", "p2"), analyst="llm/x", recorded_at=2_000),
        profile(("name", "Tom", "p1"), ("home", "Rome", "p2"), analyst="user", recorded_at=3_000),
    )
    rows = converted([], *versions)
    assert {text: (row["origin"]["analyst"], row["recorded_at"], row["stated_at"]) for text, row in rows.items()} == {
        "name: Tom": ("local", 1_000, 1),
        "home: Rome": ("llm/x", 2_000, 2),
    }
