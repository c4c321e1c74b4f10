"""Usage counters and quotas: a write over the quota is rejected and stores nothing."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.errors import QuotaExceededError
from memoryos.memory import Memory
from memoryos.model import PageDraft, Scope
from memoryos.storage.schema import pages, scopes
from memoryos.storage.store import Store
from memoryos.storage.usage import Quota, Usage, bytes_of
from memoryos.testing import FixedClock, HashEmbedder
from tests.conftest import EngineMaker

NOW = FixedClock()()


def draft(text: str, **metadata: Any) -> PageDraft:
    return PageDraft(NOW, text, "ok", metadata=metadata)


def counters(store: Store, scope_id: str) -> Any:
    """Returns the row of a scope."""
    with store._database.read(scope_id) as connection:
        return connection.execute(sa.select(scopes).where(scopes.c.scope_id == scope_id)).one()


def stored(memory: Memory) -> Usage:
    """Counts the pages of a memory one by one."""
    found = memory.newest_pages(10_000)
    return Usage(len(found), sum(map(bytes_of, found)))


def usage(memory: Memory) -> Usage:
    return memory.modules.store.log.usage(memory._handle.open())


def limited(make_engine: EngineMaker, **limits: int) -> Memory:
    return make_engine(**limits).memory("tom", "helper")


def test_bytes_include_utf8_texts_and_metadata(make_engine: EngineMaker) -> None:
    memory = limited(make_engine, max_bytes_per_scope=1_000)
    memory.add_memory("grüße 🙂", "刚刚", meta_data={"user_name": "Zoë"})
    assert usage(memory) == stored(memory) == Usage(1, len("grüße 🙂刚刚".encode()) + len('{"user_name": "Zo\\u00eb"}'))
    memory.forget(page_ids=[memory.add_memory("x").page_id])
    assert usage(memory) == stored(memory), "invalid counters: the usage is read from the texts"


@pytest.mark.parametrize("limits", [{"max_pages_per_scope": 3}, {"max_bytes_per_scope": 3 * (5 + 2)}])
def test_append_over_the_quota_is_rejected(make_engine: EngineMaker, limits: dict[str, int]) -> None:
    memory = limited(make_engine, **limits)
    kept = [memory.add_memory("hello").page_id for _ in range(3)]
    with pytest.raises(QuotaExceededError, match=r"delete pages with forget, or raise max_") as refused:
        memory.add_memory("hello")
    assert {refused.value.setting: refused.value.limit} == limits
    assert stored(memory).pages == 3
    memory.engine.memory("ann").add_memory("hello")
    memory.forget(page_ids=kept[:1])
    memory.add_memory("hello")
    with pytest.raises(QuotaExceededError):
        memory.add_memory("hello")


def test_message_list_over_the_quota_is_rejected_atomically(make_engine: EngineMaker) -> None:
    memory = limited(make_engine, max_pages_per_scope=3)
    with pytest.raises(QuotaExceededError):
        memory.add_messages([{"role": "user", "content": f"message {number}"} for number in range(4)])
    assert stored(memory).pages == 0
    memory.add_messages([{"role": "user", "content": f"message {number}"} for number in range(3)])


def test_repeated_request_returns_its_page_at_the_quota(make_engine: EngineMaker) -> None:
    memory = limited(make_engine, max_pages_per_scope=1)
    page = memory.add_memory("hello", idempotency_key="once")
    assert memory.add_memory("hello", idempotency_key="once") == page


def test_import_over_the_quota_adds_nothing(make_engine: EngineMaker, tmp_path: Path) -> None:
    memory = limited(make_engine, max_pages_per_scope=1_100)
    file = tmp_path / "pages.jsonl"
    file.write_text("".join(f'{{"user_text": "page {number}"}}\n' for number in range(1_101)), encoding="utf-8")
    with pytest.raises(QuotaExceededError):
        memory.load(file)
    assert stored(memory).pages == 0


def test_restore_over_the_quota_is_rejected_atomically(
    make_engine: EngineMaker, tmp_path: Path, new_place: Callable[[str], str]
) -> None:
    source = make_engine().memory("tom", "helper")
    for number in range(5):
        source.add_memory(f"I bake bread {number}.")
    source.export(tmp_path / "all.jsonl")
    settings = Config(database_url=url(new_place(str(tmp_path / "other"))), background=False, max_pages_per_scope=4)
    with MemoryEngine(settings, embedder=HashEmbedder(), clock=FixedClock()) as engine:
        memory = engine.memory("tom", "helper")
        with pytest.raises(QuotaExceededError):
            memory.load(tmp_path / "all.jsonl")
        assert stored(memory).pages == 0


def url(place: str) -> str:
    return place if "://" in place else f"sqlite:///{place}.db"


def test_counters_are_correct_after_forgetting_and_correcting(make_engine: EngineMaker) -> None:
    memory = limited(make_engine, max_pages_per_scope=100, short_term_capacity=1, consolidation_batch=2)
    for number in range(12):
        memory.add_memory(f"I live in town {number}.", "Noted.")
    memory.force_mid_term_analysis()
    memory.forget(page_ids=[page.page_id for page in memory.newest_pages(3)])
    memory.add_memory("more")
    assert usage(memory) == stored(memory)
    assert memory.engine.store.verify() == []
    memory.rebuild()
    memory.forget(everything=True)
    assert usage(memory) == stored(memory) == Usage(0, 0)
    assert memory.engine.store.verify() == []


def test_scope_is_counted_only_with_a_quota(place: str) -> None:
    with Store(place) as store:
        scope_id = store.scopes.open(Scope("tom", "helper"), NOW)
        store.log.append(scope_id, [draft("one"), draft("two")], NOW)
        assert counters(store, scope_id).counted_at_revision is None
        assert store.log.usage(scope_id) == Usage(2, 2 * (3 + 2 + 2))
    with Store(place, quota=Quota(pages=3)) as store:
        store.log.append(scope_id, [draft("three")], NOW)
        row = counters(store, scope_id)
        assert (row.counted_pages, row.counted_bytes) == (3, 2 * 7 + 9)
        with pytest.raises(QuotaExceededError):
            store.log.append(scope_id, [draft("four")], NOW)


def test_valid_counters_avoid_reading_pages(place: str) -> None:
    with Store(place, quota=Quota(pages=10)) as store:
        scope_id = store.scopes.open(Scope("tom", "helper"), NOW)
        store.log.append(scope_id, [draft("one")], NOW)
        read: list[str] = []
        sa.event.listen(store._database._engine, "before_cursor_execute", lambda *given: read.append(given[2]))
        store.log.append(scope_id, [draft("two")], NOW)
        assert not [each for each in read if "count(" in each.lower()]
        assert counters(store, scope_id).counted_pages == 2


def test_verify_finds_wrong_counters(place: str) -> None:
    with Store(place, quota=Quota(pages=10)) as store:
        scope_id = store.scopes.open(Scope("tom", "helper"), NOW)
        store.log.append(scope_id, [draft("one"), draft("two")], NOW)
        assert store.verify() == []
        with store._database.write(scope_id) as connection:
            connection.execute(sa.delete(pages).where(pages.c.scope_id == scope_id, pages.c.seq == 1))
        (fault,) = store.verify()
        assert fault == ("user 'tom' with assistant 'helper': wrong page or byte counter: 2 14 1 7")


def test_concurrent_threads_cannot_exceed_the_quota(place: str) -> None:
    with Store(place, quota=Quota(pages=20)) as store:
        scope_id = store.scopes.open(Scope("tom", "helper"), NOW)

        def add() -> None:
            for _ in range(10):
                with contextlib.suppress(QuotaExceededError):
                    store.log.append(scope_id, [draft("one")], NOW)

        threads = [threading.Thread(target=add) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert store.log.count(scope_id) == 20
