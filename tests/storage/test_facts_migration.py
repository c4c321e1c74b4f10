"""Migration of the table ``knowledge`` to facts, and import of exports in format 1: nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from memoryos.model import Attribute, Knowledge, PageDraft, Scope
from memoryos.storage.store import Store
from memoryos.testing import FixedClock
from tests.conftest import EngineMaker

NOW = FixedClock()()
MICROSECONDS = 1_700_000_000_000_000
ORIGIN = {"analyst": "local", "version": "1"}
USER = {"analyst": "user", "version": "correction"}

DOWNGRADE = (
    "DROP TABLE facts",
    "DROP TABLE readings",
    "ALTER TABLE pages DROP COLUMN reading_id",
    "CREATE TABLE knowledge (scope_id TEXT NOT NULL, knowledge_id TEXT NOT NULL, about TEXT NOT NULL, "
    "text TEXT NOT NULL, recorded_at BIGINT NOT NULL, valid_from BIGINT, superseded_by TEXT, archived_at BIGINT, "
    "source_page_ids JSON NOT NULL, origin JSON NOT NULL, PRIMARY KEY (scope_id, knowledge_id))",
    "UPDATE alembic_version SET version_num = '0010'",
)


def entries(page_ids: list[str]) -> list[dict[str, Any]]:
    """Returns rows of the former table: replaced twice, corrected by the user, archived, about the assistant."""
    wanted = [
        ("k1", "user", "Lives in Rome", "k2", None, page_ids[:1], ORIGIN),
        ("k2", "user", "Lives in Paris", "k3", None, page_ids[1:2], ORIGIN),
        ("k3", "user", "Lives in Oslo", None, None, page_ids[1:2], USER),
        ("k4", "user", "Has a dog", None, MICROSECONDS, page_ids[2:], ORIGIN),
        ("k5", "assistant", "Recommended a book", None, None, page_ids, ORIGIN),
    ]
    names = ("knowledge_id", "about", "text", "superseded_by", "archived_at", "source_page_ids", "origin")
    return [dict(zip(names, row, strict=True)) | {"recorded_at": MICROSECONDS, "valid_from": None} for row in wanted]


def body(page_ids: list[str]) -> dict[str, Any]:
    values = {"name": "Sam", "birth_year": "1990", "favourite_colour": "blue"}
    return {
        "attributes": [
            {"name": name, "value": value, "source_page_ids": page_ids[:1]} for name, value in values.items()
        ],
        "traits": [],
    }


def check(knowledge: list[Knowledge], attributes: tuple[Attribute, ...]) -> None:
    facts = {each.knowledge_id: each for each in knowledge}
    assert {f"k{number}" for number in range(1, 6)} < facts.keys()
    assert len(facts) == 8
    assert (facts["k1"].superseded_by, facts["k2"].superseded_by, facts["k3"].superseded_by) == ("k2", "k3", None)
    assert (facts["k2"].replaces, facts["k3"].replaces, facts["k3"].origin.analyst) == (("k1",), ("k2",), "user")
    assert facts["k4"].archived_at is not None
    assert facts["k5"].subject == "assistant"
    assert {each.stated_at for each in knowledge} == {NOW}
    assert [(each.name, each.value) for each in attributes] == [("name", "Sam"), ("birth_date", "1990")]
    assert "favourite colour: blue" in {each.text for each in knowledge if each.slot is None}


def test_every_fact_and_attribute_is_migrated(place: str) -> None:
    with Store(place) as store:
        scope_id = store.scopes.open(Scope("u", "a"), NOW)
        pages = store.log.append(scope_id, [PageDraft(NOW, f"text {number}", "") for number in range(3)], NOW)
        store.scopes.open(Scope("another", "a"), NOW)
        page_ids = [page.page_id for page in pages]
        with store.log._database.write() as connection:
            for statement in DOWNGRADE:
                connection.execute(sa.text(statement))
            for row in entries(page_ids):
                texts = {name: json.dumps(row[name]) for name in ("source_page_ids", "origin")}
                names = ("scope_id", *row)
                columns, values = ", ".join(names), ", ".join(f":{name}" for name in names)
                insert = f"INSERT INTO knowledge ({columns}) VALUES ({values})"  # noqa: S608
                connection.execute(sa.text(insert), {"scope_id": scope_id} | row | texts)
            connection.execute(
                sa.text(
                    "INSERT INTO profiles (scope_id, version, body, recorded_at, origin) VALUES (:s, 1, :b, :r, :o)"
                ),
                {"s": scope_id, "b": json.dumps(body(page_ids)), "r": MICROSECONDS, "o": json.dumps(ORIGIN)},
            )
    with Store(place) as store:
        view = store.long_term.view(scope_id, NOW)
        check(list(view.history), view.attributes())
        (version,) = store.long_term.profile_versions(scope_id)
        assert version.attribute("birth_year") == "1990", "earlier versions stay as they were"
        assert store.verify() == []


def test_export_in_format_1_is_imported(make_engine: EngineMaker, tmp_path: Path) -> None:
    page_ids = ["p1", "p2", "p3"]
    page: dict[str, Any] = {
        "kind": "page", "at": NOW.isoformat(), "user_text": "text", "assistant_text": "", "user_name": None,
        "assistant_name": None, "metadata": {}, "chain_id": None, "segment_id": None, "learned": False,
        "placed_provisionally": False, "learned_provisionally": False,
    }  # fmt: skip
    recorded = NOW.isoformat()
    old = [
        {"kind": "knowledge"} | row | {"recorded_at": recorded, "archived_at": row["archived_at"] and recorded}
        for row in entries(page_ids)
    ]
    lines = [
        {"kind": "memoryos", "format": 1},
        {"kind": "scope", "user_id": "u", "assistant_id": "a"},
        *(page | {"seq": seq, "page_id": page_id} for seq, page_id in enumerate(page_ids, 1)),
        *old,
        {"kind": "profile", "version": 1, "body": body(page_ids), "recorded_at": recorded, "origin": ORIGIN},
    ]
    file = tmp_path / "old.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    memory = make_engine().memory("u", "a")
    memory.load(file)
    check(memory.knowledge(None, history=True), memory.profile.attributes)
    copies = [tmp_path / "new.jsonl", tmp_path / "again.jsonl"]
    memory.export(copies[0])
    again = memory.engine.memory("v", "a")
    again.load(copies[0])
    again.export(copies[1])
    first, second = (copy.read_text().splitlines()[2:] for copy in copies)
    assert first == second
