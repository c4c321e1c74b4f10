"""Deletion in batches: the next process completes an interrupted deletion; other data is not changed."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memoryos.errors import NotFoundError
from memoryos.memory import Memory
from memoryos.seams import Batch, Fact, Reading, Topic
from memoryos.storage import deletion
from memoryos.storage.database import Database
from memoryos.storage.idempotency import idempotency_key_of
from memoryos.storage.schema import erasures, forgettings, idempotency, tombstone_keys, tombstones
from memoryos.testing import FixedClock, ScriptedAnalyst
from tests.conftest import EngineMaker

SETTINGS = {"short_term_capacity": 1, "mid_term_heat_threshold": 0.0, "consolidation_batch": 2}
LINES = [
    "I live in Utrecht.", "I work as a baker.", "My sister is called Nora.", "I love sailing.",
    "I am allergic to nuts.", "I play the violin.", "I moved to Porto.", "My dog is called Rex.",
]  # fmt: skip


class _StoppedError(BaseException):
    """Simulates that the process is killed."""


def fill(memory: Memory, clock: FixedClock) -> None:
    for line in LINES:
        memory.add_memory(line, "I see.", clock())
        clock.advance(minutes=5)
    memory.flush()
    memory.force_mid_term_analysis()


def stop_at(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Makes the write transaction with this number, counted from 1, and all later ones fail."""
    count = [0]
    write = Database.write

    def counted(
        self: Database, scope_id: str | None = None, *, waits: bool = True
    ) -> AbstractContextManager[sa.Connection]:
        count[0] += 1
        if count[0] >= number:
            raise _StoppedError
        return write(self, scope_id, waits=waits)

    monkeypatch.setattr(Database, "write", counted)
    return count


@pytest.mark.parametrize("everything", [False, True])
def test_deletion_interrupted_at_any_step_is_completed_by_the_next_process(
    make_engine: EngineMaker, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, everything: bool
) -> None:
    monkeypatch.setattr(deletion, "BATCH_ROWS", 2)
    outcomes = set()
    for number in range(2, 60, 3):
        engine = make_engine(background=False, **SETTINGS)
        memory = engine.memory(f"tom{number}")
        fill(memory, clock)
        forgotten_ids = [page.page_id for page in memory.pages()][1:6]
        with monkeypatch.context() as patch:
            stop_at(patch, number)
            try:
                memory.forget(**({"everything": True} if everything else {"page_ids": forgotten_ids}))
                outcomes.add("done")
            except _StoppedError:
                pass
        again = make_engine(background=False, **SETTINGS)
        there = [page.page_id for page in again.memory(f"tom{number}").pages()]
        left = set(there) & set(forgotten_ids)
        assert left in (set(), set(forgotten_ids))
        outcomes.add("undone" if left else "completed")
        assert [each for each in again.store.verify() if "erasing" not in each] == []
        if "done" in outcomes:
            break
    assert outcomes == {"undone", "completed", "done"}


@given(chosen=st.sets(st.integers(0, len(LINES) - 1), min_size=1))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.kinds("sqlite")
def test_pages_outside_the_closure_keep_their_derived_data(
    make_engine: EngineMaker, clock: FixedClock, chosen: set[int]
) -> None:
    memory = make_engine(background=False, **SETTINGS).memory(f"tom{sorted(chosen)}-{clock()}")
    clock.advance(hours=1)
    fill(memory, clock)
    pages = list(memory.pages())
    forgotten_ids = {pages[number].page_id for number in chosen}
    kept = [(page.page_id, page.user_text, page.assistant_text) for page in pages if page.page_id not in forgotten_ids]
    stored = memory.knowledge(None, history=True)
    known = {each.text for each in stored if forgotten_ids.isdisjoint(each.source_page_ids)}
    closure = memory.engine.store.forgetting.closure(memory._handle.find(), forgotten_ids)
    untouched = {each.text for each in stored if each.reading_id not in closure.reading_ids}
    receipt = memory.forget(page_ids=sorted(forgotten_ids))
    assert set(receipt.page_ids) == forgotten_ids
    assert receipt.pages_due == memory.get_memory_stats()["pages_due"] == len(closure.due_page_ids)
    assert [(page.page_id, page.user_text, page.assistant_text) for page in memory.pages()] == kept
    assert {each.text for each in memory.knowledge(None, history=True)} == untouched
    assert memory.engine.store.verify() == []
    memory.force_mid_term_analysis()
    assert memory.get_memory_stats()["pages_due"] == 0
    assert {each.text for each in memory.knowledge(None, history=True)} == known, "other facts are extracted again"
    assert memory.engine.store.verify() == []


def read_apart(batch: Batch) -> Reading:
    """Assigns each page to a chain of its own, and extracts its text as a fact."""
    topic = Topic("lines", frozenset({"line"}), tuple(page.page_id for page in batch.pages))
    facts = tuple(Fact("user", page.user_text, (page.page_id,)) for page in batch.pages)
    return Reading((False,) * len(batch.pages), ("line",) * len(batch.pages), (topic,), facts)


def test_readings_of_other_pages_keep_their_segments_and_facts(make_engine: EngineMaker, clock: FixedClock) -> None:
    analyst = ScriptedAnalyst([read_apart] * 9)
    memory = make_engine(background=False, analyst=analyst, **SETTINGS).memory("tom")
    fill(memory, clock)
    pages = list(memory.pages())
    closure = memory.engine.store.forgetting.closure(memory._handle.find(), [pages[-1].page_id])
    assert closure.reading_ids
    kept = [page for page in pages if page.reading_id not in closure.reading_ids]
    assert len(kept) == 6, "only one reading of two pages saw the newest page"
    entries = [each for each in memory.knowledge(None, history=True) if each.reading_id not in closure.reading_ids]
    assert entries
    memory.forget(page_ids=[pages[-1].page_id])
    there = {page.page_id: page for page in memory.pages()}
    assert [(there[page.page_id].segment_id, there[page.page_id].reading_id) for page in kept] == [
        (page.segment_id, page.reading_id) for page in kept
    ]
    ids = {each.knowledge_id for each in memory.knowledge(None, history=True)}
    assert ids == {each.knowledge_id for each in entries}


def test_tombstone_marks_use_a_key_per_scope(make_engine: EngineMaker, clock: FixedClock) -> None:
    engine = make_engine(background=False, **SETTINGS)
    for name in ("tom", "mia"):
        memory = engine.memory(name)
        fill(memory, clock)
        memory.forget(page_ids=[next(memory.pages()).page_id])
    with engine.store._database.read() as connection:
        keys = connection.execute(sa.select(tombstone_keys.c.secret)).scalars().all()
        marks = connection.execute(sa.select(tombstones.c.kind, tombstones.c.mark)).all()
    assert len(set(keys)) == 2
    texts = [row.mark for row in marks if row.kind == "text"]
    assert len(texts) == len(set(texts)) >= 2, "the same text has another mark in another memory"


def test_forgotten_page_removes_the_request_hash_and_keeps_the_idempotency_key(
    make_engine: EngineMaker, clock: FixedClock
) -> None:
    memory = make_engine(background=False, **SETTINGS).memory("tom")
    page = memory.add_memory("I live in Utrecht.", "", clock(), idempotency_key="k1")
    memory.add_memory("I like tea.", "", clock(), idempotency_key="k2")
    memory.forget(page_ids=[page.page_id])
    with memory.engine.store._database.read() as connection:
        hashes = dict(connection.execute(sa.select(idempotency.c.key_hash, idempotency.c.request_hash)).all())
    assert hashes[idempotency_key_of("k1", "").key_hash] == ""
    assert hashes[idempotency_key_of("k2", "").key_hash]
    with pytest.raises(NotFoundError, match="were forgotten"):
        memory.add_memory("I live in Utrecht.", "", clock(), idempotency_key="k1")
    assert memory.add_memory("I like tea.", "", clock(), idempotency_key="k2").user_text == "I like tea."
    assert memory.get_memory_stats()["pages"] == 1


def test_skipped_erasure_stays_due_until_the_store_is_closed(make_engine: EngineMaker, clock: FixedClock) -> None:
    engine = make_engine(background=False, **SETTINGS)
    memory = engine.memory("tom")
    fill(memory, clock)
    receipt = memory.forget(before=clock() - timedelta(minutes=20), erase=False)
    assert not receipt.erased
    assert any("erased in the background" in each for each in receipt.remains)
    assert any("backups" in each for each in receipt.remains)
    assert any("an erasure of deleted bytes is due" in each for each in engine.store.verify())
    engine.close()
    again = make_engine(background=False, **SETTINGS)
    with again.store._database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(erasures)).scalar_one() == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(forgettings)).scalar_one() == 0
    assert again.store.verify() == []


def test_answer_added_by_the_caller_is_deleted_with_its_source(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(background=False, **SETTINGS).memory("tom")
    said = memory.add_memory("The code of my safe is SESAME4711.", "Noted.", clock())
    answer = memory.add_memory("How do I open my safe?", "With SESAME4711, as you told me.", clock())
    other = memory.add_memory("What is the capital of France?", "Paris.", clock())
    assert memory.forget(page_ids=[said.page_id], dry_run=True).answer_page_ids == (answer.page_id,)
    assert memory.forget(page_ids=[said.page_id]).answer_page_ids == (answer.page_id,)
    assert [(page.user_text, page.assistant_text) for page in memory.pages()] == [
        ("How do I open my safe?", ""),
        (other.user_text, other.assistant_text),
    ]


def test_import_respects_tombstones_of_other_stores_and_of_unkeyed_exports(
    make_engine: EngineMaker, clock: FixedClock
) -> None:
    engine = make_engine(background=False, **SETTINGS)
    memory, other, older = (engine.memory(name) for name in ("tom", "mia", "eve"))
    fill(memory, clock)
    with_page = list(memory.export_lines())
    page_id = next(memory.pages()).page_id
    memory.forget(page_ids=[page_id])
    forgotten = [json.loads(line) for line in memory.export_lines()]
    marks = [each for each in forgotten if each["kind"] in {"tombstone_key", "tombstone"}]
    assert [each["kind"] for each in marks][:2] == ["tombstone_key", "tombstone"]
    unkeyed = [{"kind": "tombstone", "what": "page", "mark": page_id, "forgotten_at": clock().isoformat()}]
    pages = [each for each in map(json.loads, with_page) if each["kind"] == "page"]
    for each, records in ((other, marks), (older, unkeyed)):
        scope_id = engine.store.scopes.open(each.scope, clock())
        engine.store.portable.restore(scope_id, records)
        assert page_id in engine.store.forgetting.forgotten_pages(scope_id)
        restored = engine.store.portable.restore(scope_id, pages)
        assert (restored.pages, restored.forgotten) == (len(pages) - 1, 1)
