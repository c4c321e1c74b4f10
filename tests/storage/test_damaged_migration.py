"""Migration of a store with damaged rows: it never fails, and everything that was readable is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from memoryos.model import Knowledge
from memoryos.storage.store import Store
from memoryos.testing import FixedClock
from tests.storage.old_stores import TOM, in_transaction, old_rows

NOW = FixedClock()()
BEFORE_FACTS = "0011"
ROWS = old_rows("knowledge", TOM)
CURRENT = next(row for row in ROWS if row["text"] == "Drives a blue Saab")
OTHERS = {row["text"] for row in ROWS if row is not CURRENT}
DEEP = "[" * 100_000
INVALID_TEXT = "CAST(X'4C696B657320FF746561' AS TEXT)"
"""SQL for a text that is not UTF-8."""


def migrate_with(url: str, *statements: str, **values: Any) -> list[Knowledge]:
    """Executes statements before the migration, and returns all facts after it."""
    with in_transaction(url) as connection:
        for statement in statements:
            connection.execute(sa.text(statement), {"tom": TOM, "id": CURRENT["knowledge_id"]} | values)
    with Store(url) as store:
        return list(store.long_term.view(TOM, NOW).history)


def fact(facts: list[Knowledge]) -> Knowledge:
    return next(each for each in facts if each.knowledge_id == CURRENT["knowledge_id"])


def set_column(column: str, value: str = ":value") -> str:
    return f"UPDATE knowledge SET {column} = {value} WHERE scope_id = :tom AND knowledge_id = :id"  # noqa: S608


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ("[]", []),
        ("null", []),
        ('{"a": 1}', []),
        ('"text"', []),
        ('["missing"]', ["missing"]),
        ('["missing", 3, null, "nul\\u0000", "\\ud800"]', ["missing"]),
    ],
)
def test_fact_with_unusual_sources_is_kept(
    make_old_store: Callable[[str], str], sources: str, expected: list[str]
) -> None:
    facts = migrate_with(make_old_store(BEFORE_FACTS), set_column("source_page_ids"), value=sources)
    assert (fact(facts).text, [*fact(facts).source_page_ids]) == (CURRENT["text"], expected)
    assert fact(facts).stated_at == fact(facts).recorded_at
    assert {each.text for each in facts} > OTHERS


@pytest.mark.parametrize(
    ("sources", "finding"),
    [("{}", "knowledge without sources"), ('["missing"]', "knowledge with a missing source page")],
)
def test_damage_is_reported_after_the_migration(
    make_old_store: Callable[[str], str], sources: str, finding: str
) -> None:
    url = make_old_store(BEFORE_FACTS)
    migrate_with(url, set_column("source_page_ids"), value=sources)
    with Store(url) as store:
        store.erase()
        (found,) = store.verify()
    assert f"{finding}: {CURRENT['knowledge_id']}" in found


@pytest.mark.parametrize("origin", ["null", "[]", '{"analyst": 3, "version": ""}', '{"analyst": "x"}', '"local"'])
def test_fact_with_a_damaged_origin_is_kept(make_old_store: Callable[[str], str], origin: str) -> None:
    facts = migrate_with(make_old_store(BEFORE_FACTS), set_column("origin"), value=origin)
    assert (fact(facts).text, fact(facts).origin.analyst) == (CURRENT["text"], "unknown")
    assert {each.text for each in facts} > OTHERS


@pytest.mark.kinds("sqlite")
@pytest.mark.parametrize("damage", ["", "[", "\\", "{'a': 1}", DEEP, "NaN", None])
@pytest.mark.parametrize("column", ["source_page_ids", "origin"])
def test_fact_with_broken_json_is_kept(make_old_store: Callable[[str], str], column: str, damage: str | None) -> None:
    value = INVALID_TEXT if damage is None else ":value"
    facts = migrate_with(make_old_store(BEFORE_FACTS), set_column(column, value), value=damage)
    assert fact(facts).text == CURRENT["text"]
    assert {each.text for each in facts} > OTHERS


@pytest.mark.kinds("sqlite")
@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("text", INVALID_TEXT, "Likes \N{REPLACEMENT CHARACTER}tea"),
        ("text", "X'746561'", "tea"),
        ("text", "3", "3"),
        ("about", "X'FF'", CURRENT["text"]),
        ("superseded_by", "X'FF'", CURRENT["text"]),
        ("recorded_at", "'then'", CURRENT["text"]),
        ("valid_from", "'then'", CURRENT["text"]),
        ("archived_at", "1.5", CURRENT["text"]),
        ("recorded_at", str(2**62), CURRENT["text"]),
        ("archived_at", str(2**62), CURRENT["text"]),
    ],
)
def test_fact_with_a_damaged_value_is_kept(
    make_old_store: Callable[[str], str], column: str, value: str, text: str
) -> None:
    facts = migrate_with(make_old_store(BEFORE_FACTS), set_column(column, value))
    assert (fact(facts).text, fact(facts).about) == (text, CURRENT["about"])
    assert (fact(facts).archived_at is None) == (column not in {"archived_at", "superseded_by"})
    assert {each.text for each in facts} > OTHERS


@pytest.mark.kinds("sqlite")
def test_page_with_a_damaged_time_does_not_stop_the_migration(make_old_store: Callable[[str], str]) -> None:
    url = make_old_store(BEFORE_FACTS)
    facts = migrate_with(url, "UPDATE pages SET at = 'then' WHERE scope_id = :tom")
    assert len(facts) > len(ROWS)
    assert all(each.stated_at == each.recorded_at for each in facts)


def newest_body() -> Any:
    return old_rows("profiles", TOM)[-1]["body"]


PROFILE = "UPDATE profiles SET body = :value WHERE scope_id = :tom AND version = (SELECT max(version) FROM profiles)"
ODD: list[Any] = [
    None, 3, [], {}, {"name": "job"}, {"value": "nurse"}, {"name": 3, "value": "nurse", "source_page_ids": []},
    {"name": "job", "value": None, "source_page_ids": []},
]  # fmt: skip


def test_attributes_that_can_be_read_are_kept(make_old_store: Callable[[str], str]) -> None:
    odd = {"name": "shoe\0_size", "value": "4\ud8002", "source_page_ids": None}
    unsourced = [{"name": "employer", "value": "Acme", "source_page_ids": []}, {"name": "job", "value": "cook"}, odd]
    body = newest_body()
    body["attributes"] = [*ODD, *body["attributes"], *unsourced]
    facts = migrate_with(make_old_store(BEFORE_FACTS), PROFILE, value=json.dumps(body))
    slots = {(each.slot, each.value) for each in facts if each.slot is not None}
    assert {("employer", "Acme"), ("job", "cook"), ("name", "Tom"), ("home", "Hà Nội")} <= slots
    assert "shoe\N{REPLACEMENT CHARACTER} size: 4\N{REPLACEMENT CHARACTER}2" in {each.text for each in facts}
    assert len(facts) == len(ROWS) + len(newest_body()["attributes"]) + 3


@pytest.mark.parametrize("body", ["null", "[]", "3", '{"attributes": null}', '{"attributes": {"name": "Tom"}}', "{}"])
def test_damaged_profile_does_not_stop_the_migration(make_old_store: Callable[[str], str], body: str) -> None:
    facts = migrate_with(make_old_store(BEFORE_FACTS), PROFILE, value=body)
    assert {each.text for each in facts} == {row["text"] for row in ROWS}


@pytest.mark.kinds("sqlite")
def test_profile_with_broken_json_does_not_stop_the_migration(make_old_store: Callable[[str], str]) -> None:
    for value in (":value", INVALID_TEXT):
        facts = migrate_with(make_old_store(BEFORE_FACTS), PROFILE.replace(":value", value), value="{")
        assert {each.text for each in facts} == {row["text"] for row in ROWS}
