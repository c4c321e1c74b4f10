"""Reading a scope that does not exist, the cached id of a scope, and the call path of an append."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from types import FrameType

import pytest

from memoryos.errors import NotFoundError
from memoryos.memory import Memory
from memoryos.model import Profile, Scope
from memoryos.storage.scopes import NULL_SCOPE_ID
from tests.conftest import EngineMaker

EMPTY_READS: dict[str, tuple[Callable[[Memory], object], object]] = {
    "pages": (lambda memory: list(memory.pages()), []),
    "newest_pages": (lambda memory: memory.newest_pages(3), []),
    "search_pages": (lambda memory: memory.search_pages("a", 3), ([], None)),
    "days": (lambda memory: memory.days(), []),
    "pages_of_day": (lambda memory: memory.pages_of_day(date(2024, 1, 1), 3), []),
    "recall": (lambda memory: memory.recall("bread").found_page_ids, ()),
    "profile": (lambda memory: memory.profile, Profile()),
    "profile_history": (lambda memory: memory.profile_history(), []),
    "knowledge": (lambda memory: memory.knowledge(None, history=True), []),
    "segments": (lambda memory: memory.segments(archived=True), []),
    "heat": (lambda memory: memory.heat(), []),
    "costs": (lambda memory: memory.costs(), []),
    "revision": (lambda memory: memory.revision(), 0),
    "flush": (lambda memory: memory.flush(), None),
    "embed": (lambda memory: memory.embed(), True),
    "force_mid_term_analysis": (lambda memory: memory.force_mid_term_analysis(), 0),
    "get_user_profile_summary": (lambda memory: memory.get_user_profile_summary(), ""),
    "export_lines": (lambda memory: sum('"kind": "page"' in line for line in memory.export_lines()), 0),
}
NOT_FOUND: dict[str, Callable[[Memory], object]] = {
    "page": lambda memory: memory.page("unknown"),
    "segment": lambda memory: memory.segment("unknown"),
    "history": lambda memory: memory.history("unknown"),
    "correct": lambda memory: memory.correct("unknown", "text"),
    "forget": lambda memory: memory.forget(everything=True),
    "rebuild": lambda memory: memory.rebuild(),
}


@pytest.mark.parametrize("name", EMPTY_READS)
def test_read_of_a_missing_scope_is_empty_and_creates_no_scope(make_engine: EngineMaker, name: str) -> None:
    engine = make_engine()
    read, expected = EMPTY_READS[name]
    assert read(engine.memory("tom")) == expected
    assert engine.scopes() == ()


@pytest.mark.parametrize("name", NOT_FOUND)
def test_change_of_a_missing_scope_is_not_found(make_engine: EngineMaker, name: str) -> None:
    engine = make_engine()
    with pytest.raises(NotFoundError):
        NOT_FOUND[name](engine.memory("tom"))
    assert engine.scopes() == ()


def test_stats_of_a_missing_scope_have_the_same_keys_and_are_zero(make_engine: EngineMaker) -> None:
    engine = make_engine()
    empty = engine.memory("tom").get_memory_stats()
    filled = engine.memory("eve")
    filled.add_memory("hello")
    assert empty.keys() == filled.get_memory_stats().keys()
    names = {"user_id", "assistant_id", "embedder", "analyst"}
    assert {value for name, value in empty.items() if name not in names} == {0, None}


def test_handle_finds_a_scope_that_another_object_created(make_engine: EngineMaker) -> None:
    engine = make_engine()
    reader, writer = engine.memory("tom"), engine.memory("tom")
    assert reader._handle.find() == NULL_SCOPE_ID
    writer.add_memory("hello")
    assert [page.user_text for page in reader.pages()] == ["hello"]


def test_scope_id_is_looked_up_once(make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine()
    engine.memory("tom").add_memory("I bake bread.")
    find, scopes = engine.store.scopes.find, []

    def counted(scope: Scope) -> str | None:
        scopes.append(scope)
        return find(scope)

    monkeypatch.setattr(engine.store.scopes, "find", counted)
    memory = engine.memory("tom")
    memory.add_memory("hello")
    memory.recall("bread")
    memory.get_memory_stats()
    memory.forget(everything=True)
    assert scopes == [memory.scope]


def test_append_calls_the_log_directly(make_engine: EngineMaker) -> None:
    memory = make_engine().memory("tom")
    paths: list[list[str]] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is type(memory.modules.log).append.__code__:
            path, caller = [], frame.f_back
            while caller is not None and caller.f_code is not type(memory).add_memory.__code__:
                path.append(caller.f_code.co_name)
                caller = caller.f_back
            paths.append(path)

    sys.setprofile(note)
    try:
        memory.add_memory("hello", idempotency_key="key")
    finally:
        sys.setprofile(None)
    assert paths == [["_append"]]
