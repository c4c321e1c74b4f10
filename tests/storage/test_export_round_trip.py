"""Exporting, importing and exporting again gives the same file, and the import has the same facts."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from itertools import count, product
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from memoryos.engine import MemoryEngine
from memoryos.errors import InputError
from memoryos.identifiers import new_id
from memoryos.memory import Memory
from memoryos.model import ABOUT, FactKind, FactStatus
from memoryos.slots import SLOTS
from memoryos.storage.schema import facts, pages, profiles, readings
from memoryos.testing import ScriptedAnalyst
from tests.conftest import EngineMaker
from tests.storage.old_stores import EXPORT

NOW = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
LOCAL = {"analyst": "local", "version": "1"}
TRAIT = {"category": "c", "dimension": "openness", "level": "high", "reason": "Says so", "evidence_page_ids": []}
SUBJECTS = ("user", "assistant", "Nora", "Zoë O'Neil")


def fact(number: int, page_ids: list[str], **values: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "fact_id": new_id(), "subject": "user", "about": "user", "kind": "fact", "status": None, "text": f"Fact {number}",
        "slot": None, "value": None, "stated_at": NOW + timedelta(minutes=number), "valid_from": None, "valid_until": None,
        "replaces": [], "source_page_ids": page_ids[:1], "reading_id": None, "origin": LOCAL, "recorded_at": NOW,
        "archived_at": None,
    }  # fmt: skip
    return fields | values


def all_facts(page_ids: list[str], reading_id: str) -> list[dict[str, Any]]:
    """Returns facts of all kinds, statuses, slots and subjects: current, ended, replaced, archived and conflicting."""
    number = count()
    found = [
        fact(next(number), page_ids, kind=kind, status=status, subject=subject, about="user", reading_id=reading_id)
        for (kind, status), subject in zip(
            product(get_args(FactKind), (None, *get_args(FactStatus))), [*SUBJECTS] * 10, strict=True
        )
    ]
    found += [
        fact(
            next(number), page_ids, slot=slot, value=value, valid_from=NOW - timedelta(days=3), source_page_ids=page_ids
        )
        for slot, value in product(SLOTS, ("one", "zwei", "三"))
    ]
    ended = {"valid_until": NOW - timedelta(days=1), "replaces": [found[0]["fact_id"], found[1]["fact_id"]]}
    found += [
        fact(next(number), page_ids, **ended),
        fact(next(number), page_ids, slot="home", value=None, **ended),
        fact(next(number), page_ids, valid_from=NOW + timedelta(days=9), replaces=["missing"]),
        fact(next(number), page_ids, archived_at=NOW + timedelta(microseconds=1)),
        fact(next(number), [], about="assistant", subject="assistant", origin={"analyst": "shared", "version": ""}),
        fact(1_000, page_ids, slot="job", value="nurse", stated_at=NOW),
        fact(1_000, page_ids, slot="job", value="cook", stated_at=NOW),
    ]
    return found


def fill(engine: MemoryEngine, user: str) -> Memory:
    memory = engine.memory(user, "helper")
    times = (
        "2026-04-01T23:30:00-08:00",
        "2026-04-02T09:00:00+05:45",
        "2026-04-03T09:00:00Z",
        "2026-04-04T09:00:00+00:00",
    )
    for number, time in enumerate(times):
        memory.add_memory(
            f"My name is Tom and I play chess no. {number}.", "A\nB \u2028 ñ 你好", time, {"user_name": "Tom"}
        )
    memory.flush()
    scope_id = engine.store.scopes.find(memory.scope)
    assert scope_id is not None
    page_ids = [page.page_id for page in memory.pages()]
    reading_ids = [new_id(), new_id()]
    with engine.store._database.write(scope_id) as connection:
        for number, reading_id in enumerate(reading_ids):
            values: dict[str, Any] = {
                "first_seq": number + 1,
                "last_seq": number + 2,
                "dropped": ["page 9: unknown"] * number,
            }
            values |= {"shown_from_seq": 1, "origin": LOCAL, "provisional": bool(number), "recorded_at": NOW}
            connection.execute(sa.insert(readings).values(scope_id=scope_id, reading_id=reading_id, **values))
        in_scope = pages.c.scope_id == scope_id
        for where, reading_id in zip((pages.c.seq < 3, pages.c.seq == 3), reading_ids, strict=True):
            connection.execute(sa.update(pages).where(in_scope, where).values(reading_id=reading_id))
        connection.execute(
            sa.insert(facts), [{"scope_id": scope_id} | row for row in all_facts(page_ids, reading_ids[0])]
        )
        body = {"attributes": [], "traits": [TRAIT | {"evidence_page_ids": page_ids[:2]}]}
        versions = sa.select(sa.func.coalesce(sa.func.max(profiles.c.version), 0)).where(
            profiles.c.scope_id == scope_id
        )
        version = connection.execute(versions).scalar_one() + 1
        row = {"scope_id": scope_id, "version": version, "body": body, "recorded_at": NOW, "origin": LOCAL}
        connection.execute(sa.insert(profiles).values(**row))
    wrong = next(each for each in memory.knowledge() if each.text == "Fact 4")
    memory.correct(wrong.knowledge_id, "Fact four")
    memory.forget(knowledge_ids=[next(each for each in memory.knowledge() if each.text == "Fact 8").knowledge_id])
    memory.forget(page_ids=[memory.add_memory("My codeword is Zuvalka.").page_id])
    return memory


def view(memory: Memory) -> tuple[Any, ...]:
    return (
        memory.knowledge(None), memory.knowledge(None, history=True), memory.profile, memory.profile_history(),
        [*memory.pages()], memory.segments(), memory.segments(archived=True),
    )  # fmt: skip


def exported(source: MemoryEngine | Memory, file: Path) -> bytes:
    source.export(file)
    return file.read_bytes()


def test_export_of_a_store_is_the_same_after_import(make_engine: EngineMaker, tmp_path: Path) -> None:
    engine = make_engine()
    memories = [fill(engine, user) for user in ("tom", "ann")]
    first = exported(engine, tmp_path / "1.jsonl")
    assert exported(engine, tmp_path / "2.jsonl") == first
    kinds = {json.loads(line)["kind"] for line in first.splitlines()}
    assert {"page", "reading", "fact", "profile", "tombstone", "tombstone_key"} < kinds
    other = make_engine(data_storage_path=tmp_path / "other")
    other.load(tmp_path / "1.jsonl")
    assert exported(other, tmp_path / "3.jsonl") == first
    for memory in memories:
        assert view(other.memory(memory.scope.user_id, "helper")) == view(memory)


def test_export_of_a_memory_is_the_same_after_import_for_another_user(make_engine: EngineMaker, tmp_path: Path) -> None:
    memory = fill(make_engine(), "tom")
    first = exported(memory, tmp_path / "1.jsonl")
    copy = memory.engine.memory("copy", "helper")
    for _ in range(2):
        copy.load(tmp_path / "1.jsonl")
    second = exported(copy, tmp_path / "2.jsonl")
    assert second == first.replace(b'"user_id": "tom"', b'"user_id": "copy"')
    assert view(copy) == view(memory)
    assert [*view(copy)[0]]
    refused = copy.engine.store.forgetting.refusals(copy.engine.store.scopes.find(copy.scope))
    assert "Fact 4" in refused
    assert "Fact 8" in refused


def test_export_in_format_1_becomes_an_export_in_format_2_that_stays_the_same(
    make_engine: EngineMaker, tmp_path: Path
) -> None:
    engine = make_engine()
    engine.load(EXPORT)
    first = exported(engine, tmp_path / "1.jsonl")
    lines = [json.loads(line) for line in first.splitlines()]
    old = [json.loads(line) for line in EXPORT.read_text(encoding="utf-8").splitlines()]
    assert (lines[0]["format"], old[0]["format"]) == (2, 1)
    for kind in ("scope", "page", "chain", "segment", "profile", "tombstone"):
        assert sum(each["kind"] == kind for each in lines) == sum(each["kind"] == kind for each in old), kind
    other = make_engine(data_storage_path=tmp_path / "other")
    other.load(tmp_path / "1.jsonl")
    assert exported(other, tmp_path / "2.jsonl") == first


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slot", "shoe size"), ("what", "lie"), ("status", "lost"), ("about", "Nora"), ("replaces", "all"),
        ("replaces", [3]), ("source_page_ids", []), ("stated_at", None), ("valid_until", "soon"), ("value", 3),
        ("fact_id", None), ("text", "\0"), ("subject", "\ud800"), ("superseded_by", "x"),
    ],
)  # fmt: skip
@pytest.mark.kinds("sqlite")
def test_invalid_fact_is_rejected_and_nothing_is_imported(
    make_engine: EngineMaker, tmp_path: Path, field: str, value: Any
) -> None:
    memory = fill(make_engine(), "tom")
    lines = [json.loads(line) for line in exported(memory, tmp_path / "1.jsonl").splitlines()]
    next(each for each in lines if each["kind"] == "fact")[field] = value
    file = tmp_path / "2.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    copy = memory.engine.memory("copy", "helper")
    with pytest.raises(InputError, match=field):
        copy.load(file)
    assert view(copy)[:2] == ([], [])
    assert [*copy.pages()] == []


_times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(timezone.utc))  # noqa: DTZ001
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
_random_facts = st.fixed_dictionaries(
    {
        "subject": _texts, "about": st.sampled_from(ABOUT), "kind": st.sampled_from(get_args(FactKind)),
        "status": st.sampled_from([None, *get_args(FactStatus)]), "text": _texts, "slot": st.sampled_from([None, *SLOTS]),
        "value": st.none() | _texts, "stated_at": _times, "valid_from": st.none() | _times,
        "valid_until": st.none() | _times, "replaces": st.lists(_texts, max_size=3), "recorded_at": _times,
        "source_page_ids": st.lists(_texts, min_size=1, max_size=3), "archived_at": st.none() | _times,
        "reading_id": st.none(), "origin": st.fixed_dictionaries({"analyst": _texts, "version": _texts}),
    }
)  # fmt: skip


@settings(max_examples=10)
@given(rows=st.lists(_random_facts, min_size=1, max_size=6))
def test_any_fact_is_the_same_after_import(engine: MemoryEngine, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    numbers = new_id()
    memory, copy = (engine.memory(f"{name} {numbers}", "helper") for name in ("tom", "copy"))
    memory.add_memory("Hello.")
    scope_id = engine.store.scopes.find(memory.scope)
    of_a_rebuilt_memory: dict[str, Any] = {
        "scope_id": scope_id, "shown_from_seq": 1, "first_seq": 1, "last_seq": 1, "origin": LOCAL, "provisional": False,
        "dropped": [], "recorded_at": NOW,
    }  # fmt: skip
    with engine.store._database.write(scope_id) as connection:
        for reading_id in {row["reading_id"] for row in rows} - {None}:
            connection.execute(sa.insert(readings).values(reading_id=reading_id, **of_a_rebuilt_memory))
        connection.execute(sa.insert(facts), [{"scope_id": scope_id, "fact_id": new_id()} | row for row in rows])
    first = exported(memory, tmp_path / f"{numbers} 1.jsonl")
    copy.load(tmp_path / f"{numbers} 1.jsonl")
    assert exported(copy, tmp_path / f"{numbers} 2.jsonl").splitlines()[2:] == first.splitlines()[2:]
    assert view(copy)[:2] == view(memory)[:2]


def test_history_of_a_rebuilt_memory_is_the_same_after_import(make_engine: EngineMaker, tmp_path: Path) -> None:
    before = make_engine().memory("tom", "helper")
    before.add_memory("My name is Tom and I play chess.")
    before.flush()
    memory = make_engine(analyst=ScriptedAnalyst()).memory("tom", "helper")
    memory.rebuild()
    assert memory.knowledge() == []
    assert memory.knowledge(None, history=True)
    memory.export(tmp_path / "1.jsonl")
    copy = memory.engine.memory("copy", "helper")
    copy.load(tmp_path / "1.jsonl")
    assert view(copy) == view(memory)
    assert memory.engine.store.verify() == []
