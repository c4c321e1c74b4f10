"""Idempotency keys: a repeated request is executed once, whatever happened to the first one."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from memoryos.analysts.llm import LLMAnalyst
from memoryos.errors import InputError, NotFoundError, StoreError
from memoryos.memory import Memory
from memoryos.storage.idempotency import RETENTION_DAYS, idempotency_key_of
from memoryos.storage.schema import idempotency
from memoryos.testing import FixedClock, HashEmbedder, ScriptedChatModel
from tests.conftest import EngineMaker

MESSAGES = [{"role": "user", "content": "I bake."}, {"role": "assistant", "content": "Bread?"}, {"role": "user", "content": "Rye."}]  # fmt: skip


def rows(folder: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(folder / "store" / "memoryos.db")
    found = connection.execute("SELECT * FROM idempotency").fetchall()
    connection.close()
    return found


def notes_of(memory: Memory, scope_id: str) -> int:
    counted = sa.select(sa.func.count()).select_from(idempotency).where(idempotency.c.scope_id == scope_id)
    with memory.engine.store._database.read(scope_id) as connection:
        return int(connection.execute(counted).scalar_one())


def test_repeated_request_returns_the_first_page(memory: Memory, clock: FixedClock) -> None:
    first = memory.add_memory("I have a cat.", "Nice.", meta_data={"a": 1, "b": [2]}, idempotency_key="one")
    clock.advance(minutes=3)
    again = memory.add_memory("I have a cat.", "Nice.", meta_data={"b": [2], "a": 1}, idempotency_key="one")
    assert again == first
    other = memory.add_memory("I have a cat.", "Nice.", meta_data={"a": 1, "b": [2]}, idempotency_key="two")
    plain = memory.add_memory("I have a cat.", "Nice.", meta_data={"a": 1, "b": [2]})
    assert len({first.page_id, other.page_id, plain.page_id}) == 3
    assert memory.get_memory_stats()["pages"] == 3


def test_repeated_message_list_returns_all_pages_in_order(memory: Memory) -> None:
    first = memory.add_messages(iter(MESSAGES), idempotency_key="one")
    assert memory.add_messages(MESSAGES, idempotency_key="one") == first
    assert [page.user_text for page in memory.pages()] == ["I bake.", "Rye."]
    assert memory.add_messages([], idempotency_key="none") == []


def test_repeated_request_returns_a_page_consolidated_since(make_engine: EngineMaker) -> None:
    memory = make_engine(short_term_capacity=1).memory("tom")
    first = memory.add_memory("I have a cat.", idempotency_key="one")
    for number in range(4):
        memory.add_memory(f"Another day {number}.")
    memory.flush()
    again = memory.add_memory("I have a cat.", idempotency_key="one")
    assert (again.page_id, again.segment_id is None) == (first.page_id, False)


@pytest.mark.parametrize(
    "other",
    [
        lambda memory: memory.add_memory("I have a dog.", "Nice.", "2024-01-01", idempotency_key="one"),
        lambda memory: memory.add_memory("I have a cat.", "Nice!", "2024-01-01", idempotency_key="one"),
        lambda memory: memory.add_memory("I have a cat.", "Nice.", "2024-01-02", idempotency_key="one"),
        lambda memory: memory.add_memory("I have a cat.", "Nice.", idempotency_key="one"),
        lambda memory: memory.add_memory("I have a cat.", "Nice.", "2024-01-01", {"a": 1}, idempotency_key="one"),
        lambda memory: memory.add_messages(MESSAGES, idempotency_key="one"),
        lambda memory: memory.get_response("I have a cat.", idempotency_key="one"),
    ],
)
def test_different_request_with_the_same_key_raises(memory: Memory, other: Callable[[Memory], object]) -> None:
    memory.add_memory("I have a cat.", "Nice.", "2024-01-01", idempotency_key="one")
    with pytest.raises(InputError, match="another request") as caught:
        other(memory)
    assert caught.value.field == "idempotency_key"
    assert memory.get_memory_stats()["pages"] == 1


@pytest.mark.parametrize("key", ["", "  ", "a\0b", "\ud800", "x" * 1001, 7])
def test_invalid_key_raises(memory: Memory, key: Any) -> None:
    with pytest.raises(InputError, match="idempotency_key"):
        memory.add_memory("I have a cat.", idempotency_key=key)
    with pytest.raises(InputError, match="idempotency_key"):
        memory.get_response("Who am I?", idempotency_key=key)
    assert list(memory.pages()) == []


def test_keys_of_different_scopes_are_independent(make_engine: EngineMaker) -> None:
    engine = make_engine()
    one, other = engine.memory("tom"), engine.memory("ann")
    first = one.add_memory("I have a cat.", idempotency_key="one")
    second = other.add_memory("I have two dogs.", idempotency_key="one")
    assert second.user_text == "I have two dogs."
    assert one.add_memory("I have a cat.", idempotency_key="one") == first


@pytest.mark.kinds("sqlite")
def test_late_repetition_does_not_store_forgotten_pages_again(memory: Memory, tmp_path: Path) -> None:
    page = memory.add_memory("My secret is Zuvalka.", idempotency_key="one")
    pages = memory.add_messages(MESSAGES, idempotency_key="many")
    memory.forget(page_ids=[page.page_id, pages[0].page_id])
    for _ in range(2):
        with pytest.raises(NotFoundError, match="were forgotten"):
            memory.add_memory("My secret is Zuvalka.", idempotency_key="one")
        with pytest.raises(NotFoundError, match="were forgotten"):
            memory.add_messages(MESSAGES, idempotency_key="many")
    memory.forget(everything=True)
    with pytest.raises(NotFoundError, match="were forgotten"):
        memory.add_messages(MESSAGES, idempotency_key="many")
    with pytest.raises(NotFoundError, match="were forgotten"):
        memory.add_memory("Something else.", idempotency_key="one")
    assert list(memory.pages()) == []
    assert len(rows(tmp_path)) == 2
    assert b"Zuvalka" not in (tmp_path / "store" / "memoryos.db").read_bytes()


@pytest.mark.kinds("sqlite")
def test_notes_contain_no_text_and_no_testable_hash_of_it(memory: Memory, tmp_path: Path) -> None:
    page = memory.add_memory("yes", "no", idempotency_key="a key with words")
    ((_, key_hash, request_hash, page_ids, _),) = rows(tmp_path)
    assert (len(key_hash), len(request_hash), page_ids) == (64, 64, f'["{page.page_id}"]')
    memory.add_memory("yes", "no", idempotency_key="another key")
    assert len({row[2] for row in rows(tmp_path)}) == 2, "the hash depends on the key"


@pytest.mark.kinds("sqlite")
def test_writes_delete_a_few_expired_notes_each(memory: Memory, clock: FixedClock, tmp_path: Path) -> None:
    for number in range(25):
        memory.add_memory(f"Number {number}.", idempotency_key=f"old {number}")
    clock.advance(days=RETENTION_DAYS)
    assert memory.add_memory("Number 0.", idempotency_key="old 0").seq == 1
    clock.advance(seconds=1)
    left = []
    for number in range(4):
        memory.add_memory(f"New {number}.", idempotency_key=f"new {number}")
        left.append(len(rows(tmp_path)))
    assert left == [16, 7, 3, 4]


def test_drain_deletes_all_expired_notes_and_no_others(memory: Memory, clock: FixedClock) -> None:
    store, worked = memory.engine.store, memory.engine.memory("ann")
    for number in range(600):
        memory.add_memory(f"Number {number}.", idempotency_key=f"old {number}")
    worked.add_memory("Mine.", idempotency_key="old")
    clock.advance(days=RETENTION_DAYS, seconds=1)
    memory.add_memory("New.", idempotency_key="new")
    ids = {scope.user_id: scope_id for scope_id, scope in store.scopes.all().items()}
    assert notes_of(memory, ids["tom"]) == 591
    memory.flush()
    assert (notes_of(memory, ids["tom"]), notes_of(memory, ids["ann"])) == (1, 1)
    assert memory.add_memory("New.", idempotency_key="new").seq == 601
    memory.flush()
    assert not store.idempotency.delete_expired(ids["tom"], clock())


def test_concurrent_identical_requests_store_one_page(make_engine: EngineMaker) -> None:
    memory = make_engine().memory("tom")
    start = threading.Barrier(8)

    def add(number: int) -> str:
        start.wait()
        return memory.add_memory(f"Pair {number % 4}.", idempotency_key=str(number % 4)).page_id

    with ThreadPoolExecutor(8, thread_name_prefix="twin") as pool:
        ids = list(pool.map(add, range(8)))
    assert ids[:4] == ids[4:]
    assert len({*ids}) == 4 == memory.get_memory_stats()["pages"]


def test_repetition_after_any_failed_statement_stores_one_page(make_engine: EngineMaker) -> None:
    engine = make_engine()
    memory = engine.memory("tom")
    memory.add_memory("The first.")
    failures = 0
    for failing in range(20):
        seen = 0

        def fail(_: object, __: object, statement: str, *___: object, at: int = failing) -> None:
            nonlocal seen
            seen += 1
            if seen == at + 1:
                raise sa.exc.OperationalError(statement, None, sqlite3.OperationalError("disk I/O error"))

        event.listen(sa.Engine, "before_cursor_execute", fail)
        try:
            memory.add_memory(f"Number {failing}.", idempotency_key=f"key {failing}")
        except StoreError:
            failures += 1
        finally:
            event.remove(sa.Engine, "before_cursor_execute", fail)
        memory.add_memory(f"Number {failing}.", idempotency_key=f"key {failing}")
    assert failures >= 4, "every statement of the transaction failed once"
    assert [page.user_text for page in memory.pages()] == ["The first.", *(f"Number {number}." for number in range(20))]
    assert engine.store.verify() == []


@pytest.mark.kinds("sqlite")
def test_notes_survive_forgetting_rebuilding_and_backup(make_engine: EngineMaker, tmp_path: Path) -> None:
    engine = make_engine(short_term_capacity=1)
    memory = engine.memory("tom")
    first = memory.add_memory("I have a cat.", idempotency_key="one")
    memory.add_messages(MESSAGES)
    memory.flush()
    memory.rebuild("local")
    assert memory.add_memory("I have a cat.", idempotency_key="one").page_id == first.page_id
    (tmp_path / "copy").mkdir()
    engine.store.back_up(tmp_path / "copy" / "memoryos.db")
    copied = make_engine(data_storage_path=tmp_path / "copy").memory("tom")
    assert copied.add_memory("I have a cat.", idempotency_key="one").page_id == first.page_id
    assert engine.store.verify() == []


def test_export_contains_no_notes(make_engine: EngineMaker, tmp_path: Path) -> None:
    memory = make_engine().memory("tom")
    memory.add_memory("I have a cat.", idempotency_key="one")
    memory.export(tmp_path / "export.jsonl")
    target = make_engine(data_storage_path=tmp_path / "other").memory("tom")
    target.load(tmp_path / "export.jsonl")
    assert '"idempotency"' not in (tmp_path / "export.jsonl").read_text("utf-8")
    assert target.add_memory("Something else.", idempotency_key="one").seq == 2


def answering(make_engine: EngineMaker, *answers: str) -> tuple[Memory, ScriptedChatModel]:
    model = ScriptedChatModel(answers)
    return make_engine(analyst=LLMAnalyst(model), embedder=HashEmbedder()).memory("tom"), model


def test_repeated_answer_needs_no_model_call(make_engine: EngineMaker) -> None:
    memory, model = answering(make_engine, "A cat.", "A dog.")
    page = memory.add_memory("I have a cat called Miro.")
    first = memory.get_response("What do I have?", idempotency_key="one")
    called = len(model.requests)
    again = memory.get_response("What do I have?", idempotency_key="one")
    assert (again, again.sources, again.recall.pages) == (first, first.sources, ())
    assert page.page_id in again.sources or not again.sources
    assert list(memory.get_response("What do I have?", idempotency_key="one", stream=True)) == [str(first)]
    assert len(model.requests) == called
    assert memory.get_memory_stats()["pages"] == 2
    with pytest.raises(InputError, match="another request"):
        memory.get_response("What do I have?", style_hint="short", idempotency_key="one")
    with pytest.raises(InputError, match="requires remember=True"):
        memory.get_response("What do I have?", remember=False, idempotency_key="three")
    assert len(model.requests) == called


def test_streamed_answer_is_noted_when_complete(make_engine: EngineMaker) -> None:
    memory, _ = answering(make_engine, "One answer.", "Another answer.")
    begun = memory.get_response("Who am I?", idempotency_key="one", stream=True)
    next(begun)
    assert memory.get_memory_stats()["pages"] == 0
    del begun
    said = "".join(memory.get_response("Who am I?", idempotency_key="one", stream=True))
    assert memory.get_response("Who am I?", idempotency_key="one") == said
    assert memory.get_memory_stats()["pages"] == 1


def test_concurrent_identical_questions_get_the_first_answer(make_engine: EngineMaker) -> None:
    memory, model = answering(make_engine, "Mine.", "Yours.")
    twin: list[str] = []
    answer = type(model).complete

    def complete(self: ScriptedChatModel, *given: Any, **named: Any) -> Any:
        if not twin:
            twin.append("begun")
            twin[0] = memory.get_response("Who am I?", idempotency_key="one")
        return answer(self, *given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptedChatModel, "complete", complete)
        late = memory.get_response("Who am I?", idempotency_key="one")
    assert late == twin[0]
    assert len(model.requests) == 2
    assert memory.get_memory_stats()["pages"] == 1


def test_repetition_of_a_forgotten_answer_raises(make_engine: EngineMaker) -> None:
    memory, model = answering(make_engine, "A cat.")
    memory.get_response("What do I have?", idempotency_key="one")
    memory.forget(page_ids=[next(memory.pages()).page_id])
    called = len(model.requests)
    with pytest.raises(NotFoundError, match="were forgotten"):
        memory.get_response("What do I have?", idempotency_key="one")
    assert len(model.requests) == called


def test_failed_answer_is_retried_under_the_same_key(make_engine: EngineMaker) -> None:
    memory = make_engine().memory("tom")
    memory.add_memory("I have a cat.")
    assert memory.get_response("Do I have a cat?", idempotency_key="one")
    with pytest.raises(InputError):
        memory.get_response("", idempotency_key="two")
    assert memory.get_response("Do I have a cat?", idempotency_key="two")


@given(
    key=st.text(min_size=1),
    other=st.text(min_size=1),
    one=st.recursive(st.none() | st.text() | st.integers(), st.lists),
)
def test_hashes_differ_for_different_requests(key: str, other: str, one: object) -> None:
    clean = [each.encode("utf-8", "ignore").decode() for each in (key, other)]
    assert idempotency_key_of(clean[0], one) == idempotency_key_of(clean[0], one)
    assert (idempotency_key_of(clean[0], one) == idempotency_key_of(clean[1], one)) is (clean[0] == clean[1])
    assert idempotency_key_of(clean[0], one) != idempotency_key_of(clean[0], [one])
