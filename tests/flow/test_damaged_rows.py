# ruff: noqa: S608
"""Damaged rows: every read raises a typed error that names the row, and verify lists it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from memoryos.errors import MemoryOSError, StoreUnreadableError
from memoryos.memory import Memory
from memoryos.model import Knowledge, Origin, Profile, Trait
from memoryos.storage.schema import facts, profiles
from tests.conftest import EngineMaker

ORIGIN = Origin("local", "1")


@pytest.fixture
def filled(make_engine: EngineMaker) -> Memory:
    memory = make_engine(short_term_capacity=1, consolidation_batch=2).memory("tom", "helper")
    for number in range(6):
        memory.add_memory(f"I have bicycle number {number}.", "It is red.")
    memory.flush()
    page_id = next(memory.pages()).page_id
    scope_id = memory.engine.store.scopes.find(memory.scope)
    now = memory.engine.clock()
    fact = Knowledge("k1", "user", "Has a red bicycle", now, None, None, None, (page_id,), ORIGIN)
    memory.engine.store.long_term.add(str(scope_id), [fact])
    body = Profile(
        1,
        (),
        (Trait("interest", "sport", "high", "Rides.", (page_id,)),),
        now,
        ORIGIN,
    )
    with memory.engine.store._database.write(scope_id) as connection:
        connection.execute(sa.delete(profiles))
        values = {
            "scope_id": scope_id,
            "version": 1,
            "recorded_at": now,
            "origin": {"analyst": "local", "version": "1"},
        }
        listed = {
            "attributes": [{"name": "vehicle", "value": "bicycle", "source_page_ids": [page_id]}],
            "traits": [
                {
                    "category": "interest",
                    "dimension": "sport",
                    "level": "high",
                    "reason": "Rides.",
                    "evidence_page_ids": [page_id],
                }
            ],
        }
        connection.execute(sa.insert(profiles).values(body=listed, **values))
        assert connection.execute(sa.select(sa.func.count()).select_from(facts)).scalar_one() >= 1
    assert memory.profile == body
    assert memory.engine.store.verify() == []
    return memory


def damage(memory: Memory, statement: str) -> None:
    with memory.engine.store._database.write() as connection:
        connection.exec_driver_sql(statement)


def read_all(memory: Memory, target: Path) -> list[Callable[[], object]]:
    """Returns functions that together read every table."""
    return [
        lambda: memory.recall("bicycle"),
        lambda: list(memory.pages()),
        memory.days,
        lambda: memory.profile,
        memory.profile_history,
        memory.revision,
        lambda: memory.knowledge(None, history=True),
        memory.heat,
        lambda: memory.export(target),
        lambda: memory.get_response("Which bicycle?", remember=False),
    ]


SEQ = "WHERE seq = 2"
EVERYWHERE = [
    ("UPDATE pages SET at = 9223372036854775807 " + SEQ, "pages.at", "2"),
    ("UPDATE pages SET at = -9223372036854775808 " + SEQ, "pages.at", "2"),
    ("UPDATE pages SET metadata = '[]' " + SEQ, "pages.metadata", "2"),
    ("UPDATE pages SET metadata = '5' " + SEQ, "pages.metadata", "2"),
    ("UPDATE profiles SET body = '[]'", "profiles.body", "1"),
    ("UPDATE profiles SET body = '{}'", "profiles.body", "1"),
    ("UPDATE profiles SET body = 'null'", "profiles.body", "1"),
    ("""UPDATE profiles SET body = '{"attributes": [5], "traits": []}'""", "profiles.body", "1"),
    ("""UPDATE profiles SET body = '{"attributes": [], "traits": [{"level": "x"}]}'""", "profiles.body", "1"),
    ("UPDATE profiles SET origin = '{}'", "profiles.origin", "1"),
    ("UPDATE profiles SET recorded_at = 9223372036854775807", "profiles.recorded_at", "1"),
    ("UPDATE facts SET source_page_ids = '5' WHERE fact_id = 'k1'", "facts.source_page_ids", "k1"),
    ("""UPDATE facts SET source_page_ids = '"a"' WHERE fact_id = 'k1'""", "facts.source_page_ids", "k1"),
    ("UPDATE facts SET origin = '[]' WHERE fact_id = 'k1'", "facts.origin", "k1"),
    (
        "UPDATE facts SET recorded_at = -9223372036854775808 WHERE fact_id = 'k1'",
        "facts.recorded_at",
        "k1",
    ),
    ("UPDATE segments SET keywords = '{}'", "segments.keywords", ""),
    ("UPDATE segments SET last_visited_at = 9223372036854775807", "segments.last_visited_at", ""),
    ("UPDATE scopes SET touched_at = 9223372036854775807", "scopes.touched_at", ""),
]
SQLITE_ONLY = [
    ("UPDATE pages SET at = 'yesterday' " + SEQ, "pages.at", "2"),
    ("UPDATE pages SET at = 1e300 " + SEQ, "pages.at", "2"),
    ("UPDATE pages SET at = x'00' " + SEQ, "pages.at", "2"),
    ("UPDATE pages SET metadata = '{' " + SEQ, "pages.metadata", "2"),
    ("UPDATE pages SET user_text = x'ff00' " + SEQ, "pages.user_text", "2"),
    ("UPDATE pages SET user_text = CAST(x'ff' AS TEXT) " + SEQ, "pages.user_text", "2"),
    ("UPDATE profiles SET body = 'gone'", "profiles.body", "1"),
    ("UPDATE profiles SET body = x'7b7d'", "profiles.body", "1"),
    ("UPDATE facts SET text = x'ff' WHERE fact_id = 'k1'", "facts.text", "k1"),
    ("UPDATE segments SET origin = '{'", "segments.origin", ""),
    ("UPDATE segments SET visits = 'often'", "segments.visits", ""),
    ("UPDATE scopes SET revision = 'x'", "scopes.revision", ""),
]


def check(memory: Memory, target: Path, place: str, row: str) -> None:
    errors = []
    for read in read_all(memory, target):
        try:
            read()
        except MemoryOSError as error:
            errors.append(error)
    assert errors, "at least one function reads the row"
    assert all(isinstance(each, StoreUnreadableError) for each in errors)
    assert any("memoryos verify" in str(each) and place in str(each) and row in str(each) for each in errors)
    faults = memory.engine.store.verify()
    assert any(f"unreadable value: {place} {row}".strip() in fault for fault in faults), faults


@pytest.mark.parametrize(("statement", "place_of_damage", "row"), EVERYWHERE)
def test_damaged_value_raises_a_typed_error_and_is_listed_by_verify(
    filled: Memory, tmp_path: Path, statement: str, place_of_damage: str, row: str
) -> None:
    damage(filled, statement)
    check(filled, tmp_path / "out.jsonl", place_of_damage, row)


@pytest.mark.kinds("sqlite")
@pytest.mark.parametrize(("statement", "place_of_damage", "row"), SQLITE_ONLY)
def test_damage_possible_only_in_sqlite_files_is_listed_by_verify(
    filled: Memory, tmp_path: Path, statement: str, place_of_damage: str, row: str
) -> None:
    damage(filled, statement)
    check(filled, tmp_path / "out.jsonl", place_of_damage, row)


@pytest.mark.parametrize("change", ["dimensions = 0", "dimensions = 7", "vector = substr(vector, 1, 6)"])
def test_vector_of_wrong_length_raises_a_typed_error(make_engine: EngineMaker, filled: Memory, change: str) -> None:
    damage(filled, f"UPDATE vectors SET {change} WHERE owner_kind = 'user'")
    with pytest.raises(MemoryOSError):
        make_engine(short_term_capacity=1).memory("tom", "helper").recall("bicycle")
    assert any("vector" in fault for fault in filled.engine.store.verify())


def test_damage_errors_of_a_scope_name_no_row_of_another_scope(filled: Memory) -> None:
    eve = filled.engine.memory("eve", "helper")
    eve.add_memory("I am Eve.")
    damage(filled, "UPDATE pages SET at = 9223372036854775807 WHERE seq = 2")
    assert len(list(eve.pages())) == 1
    assert eve.recall("Eve").short_term
