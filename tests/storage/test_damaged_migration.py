"""Migration of a store with damaged rows: it never fails, and everything that was readable is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
CURRENT = [
    row for row in ROWS if row["superseded_by"] is None and row["archived_at"] is None and row["about"] == "user"
]
INVALID_TEXT = "CAST(X'4C696B657320FF746561' AS TEXT)"
"""SQL for a text that is not UTF-8."""


def migrate_with(url: str, *statements: str, **values: Any) -> list[Knowledge]:
    """Executes statements before the migration, and returns all facts after it."""
    with in_transaction(url) as connection:
        for statement in statements:
            connection.execute(sa.text(statement), {"tom": TOM} | values)
    with Store(url) as store:
        return list(store.long_term.view(TOM, NOW).history)


def migrate_damaged(url: str, column: str, values: Sequence[str | None], sql: str = ":value") -> list[Knowledge]:
    """Sets a column of the first current rows to these values, and returns the facts of these rows.

    All facts are compared with the old rows.
    """
    damaged = CURRENT[: len(values)]
    assert len(damaged) == len(values)
    with in_transaction(url) as connection:
        for row, value in zip(damaged, values, strict=True):
            where = "scope_id = :tom AND knowledge_id = :id"
            statement = f"UPDATE knowledge SET {column} = {sql} WHERE {where}"  # noqa: S608
            connection.execute(sa.text(statement), {"tom": TOM, "id": row["knowledge_id"], "value": value})
    facts = {each.knowledge_id: each for each in migrate_with(url)}
    for row in ROWS:
        fact = facts[row["knowledge_id"]]
        if row not in damaged:
            assert (fact.text, [*fact.source_page_ids]) == (row["text"], row["source_page_ids"])
            assert (fact.superseded_by, fact.archived_at is None) == (row["superseded_by"], row["archived_at"] is None)
        elif column != "text":
            assert (fact.text, fact.about) == (row["text"], row["about"])
    return [facts[row["knowledge_id"]] for row in damaged]


def test_facts_with_unusual_sources_are_kept(make_old_store: Callable[[str], str]) -> None:
    url = make_old_store(BEFORE_FACTS)
    odd = '["missing", 3, null, "nul\\u0000", "\\ud800"]'
    facts = migrate_damaged(url, "source_page_ids", ["[]", "null", '{"a": 1}', '"text"', '["missing"]', odd])
    assert [each.source_page_ids for each in facts] == [(), (), (), (), ("missing",), ("missing",)]
    assert all(each.stated_at == each.recorded_at for each in facts)
    with Store(url) as store:
        store.erase()
        findings = store.verify()
    expected = ["knowledge without sources"] * 4 + ["knowledge with a missing source page"] * 2
    for fact, finding in zip(facts, expected, strict=True):
        assert any(f"{finding}: {fact.knowledge_id}" in each for each in findings)
    assert len(findings) == 6


def test_facts_with_a_damaged_origin_are_kept(make_old_store: Callable[[str], str]) -> None:
    values = ["null", "[]", '{"analyst": 3, "version": ""}', '{"analyst": "x"}', '"local"']
    facts = migrate_damaged(make_old_store(BEFORE_FACTS), "origin", values)
    assert {each.origin.analyst for each in facts} == {"unknown"}


@pytest.mark.kinds("sqlite")
@pytest.mark.parametrize("column", ["source_page_ids", "origin"])
def test_facts_with_broken_json_are_kept(make_old_store: Callable[[str], str], column: str) -> None:
    facts = migrate_damaged(make_old_store(BEFORE_FACTS), column, ["", "[", "\\", "{'a': 1}", "[" * 100_000, "NaN"])
    assert not any(each.source_page_ids if column == "source_page_ids" else each.origin.version for each in facts)
    migrate_damaged(make_old_store(BEFORE_FACTS), column, [None], INVALID_TEXT)


@pytest.mark.kinds("sqlite")
@pytest.mark.parametrize(
    ("column", "sql", "text"),
    [
        ("text", INVALID_TEXT, "Likes \N{REPLACEMENT CHARACTER}tea"),
        ("text", "X'746561'", "tea"),
        ("text", "3", "3"),
        ("about", "X'FF'", None),
        ("superseded_by", "X'FF'", None),
        ("recorded_at", "'then'", None),
        ("valid_from", "'then'", None),
        ("archived_at", "1.5", None),
        ("recorded_at", str(2**62), None),
        ("archived_at", str(2**62), None),
    ],
)
def test_fact_with_a_damaged_value_is_kept(
    make_old_store: Callable[[str], str], column: str, sql: str, text: str | None
) -> None:
    (fact,) = migrate_damaged(make_old_store(BEFORE_FACTS), column, [None], sql)
    assert text in {None, fact.text}
    assert (fact.archived_at is None) == (column not in {"archived_at", "superseded_by"})


@pytest.mark.kinds("sqlite")
def test_pages_with_damaged_times_do_not_stop_the_migration(make_old_store: Callable[[str], str]) -> None:
    facts = migrate_with(make_old_store(BEFORE_FACTS), "UPDATE pages SET at = 'then' WHERE scope_id = :tom")
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


@pytest.mark.parametrize("body", ["null", '{"attributes": {"name": "Tom"}}'])
def test_damaged_profile_does_not_stop_the_migration(make_old_store: Callable[[str], str], body: str) -> None:
    facts = migrate_with(make_old_store(BEFORE_FACTS), PROFILE, value=body)
    assert {each.text for each in facts} == {row["text"] for row in ROWS}


@pytest.mark.kinds("sqlite")
def test_profile_with_broken_json_does_not_stop_the_migration(make_old_store: Callable[[str], str]) -> None:
    for value in (":value", INVALID_TEXT):
        facts = migrate_with(make_old_store(BEFORE_FACTS), PROFILE.replace(":value", value), value="{")
        assert {each.text for each in facts} == {row["text"] for row in ROWS}
