"""The LangGraph store: same contract as LangGraph's own store, durability, forgetting, use in a graph."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore
from numpy.typing import NDArray

from memoryos.engine import MemoryEngine
from memoryos.errors import InputError, StoreUnavailableError
from memoryos.integrations import records
from memoryos.integrations.langgraph import ASSISTANT_ID, MemoryOSStore
from memoryos.memory import Memory
from memoryos.testing import FixedClock, HashEmbedder, ScriptedAnalyst
from tests.conftest import EngineMaker

TOM, ANN = ("users", "tom"), ("users", "ann")


@pytest.fixture
def store(engine: MemoryEngine) -> Iterator[MemoryOSStore]:
    with MemoryOSStore(engine, fields=["text"]) as store:
        yield store


def keys(found: list[Any]) -> list[str]:
    return [each.key for each in found]


def test_item_is_returned_with_its_times(store: MemoryOSStore, clock: FixedClock) -> None:
    first = clock()
    store.put(TOM, "diet", {"text": "eats rye", "tags": ["food", {"deep": None}], "score": 1.5})
    clock.advance(hours=1)
    store.put(TOM, "diet", {"text": "eats oats"})
    found = store.get(TOM, "diet")
    assert found is not None
    assert (found.namespace, found.key, found.value) == (TOM, "diet", {"text": "eats oats"})
    assert (found.created_at, found.updated_at) == (first, clock())


def test_values_are_copied(store: MemoryOSStore) -> None:
    value = {"text": "rye", "tags": ["food"]}
    store.put(TOM, "diet", value)
    value["tags"] = ["changed"]
    found = store.get(TOM, "diet")
    assert found is not None
    found.value["tags"].append("more")
    again = store.get(TOM, "diet")
    assert again is not None
    assert again.value["tags"] == ["food"]


def test_missing_item_is_none(store: MemoryOSStore) -> None:
    assert store.get(TOM, "diet") is None
    store.delete(TOM, "diet")
    assert store.search(TOM, query="diet") == []
    assert store.list_namespaces() == []


def test_engine_keeps_records_and_passes_none_to_its_analyst(make_engine: EngineMaker, clock: FixedClock) -> None:
    analyst = ScriptedAnalyst()
    engine = make_engine(
        analyst=analyst, short_term_capacity=0, mid_term_capacity=1, mid_term_similarity_threshold=1.5, keep_archived_days=1,
        mid_term_heat_threshold=0.5,
    )  # fmt: skip
    topics = ("bread", "boats", "violins", "tax law", "volcanoes")
    with MemoryOSStore(engine, fields=["text"]) as store:
        for topic in topics:
            store.put(TOM, topic, {"text": f"knows all about {topic}"})
    engine.memory("tom").add_memory("I bake.")
    for scope in engine.scopes():
        memory = engine.memory(scope.user_id, scope.assistant_id)
        memory.force_mid_term_analysis()
        clock.advance(days=2)
        memory.flush()
        assert memory.get_memory_stats()["pages_due"] == 0
        if scope.holds_records:
            assert analyst.calls == []
            assert memory.rebuild().applied
            assert analyst.calls == []
    assert [call for call, _ in analyst.calls] == ["read", "profile"], "a conversation is read"
    with MemoryOSStore(engine, fields=["text"]) as store:
        assert {each.key for each in store.search(TOM)} == set(topics)


def test_deleted_item_leaves_no_bytes_on_disk(store: MemoryOSStore, engine: MemoryEngine) -> None:
    store.put(TOM, "secret", {"text": "the combination is xylophone"})
    store.put(TOM, "secret", {"text": "the combination is zeppelin"})
    store.put(TOM, "diet", {"text": "rye"})
    assert b"xylophone" in everything_in(engine)
    store.delete(TOM, "secret")
    assert store.get(TOM, "secret") is None
    assert keys(store.search(TOM, query="combination")) == ["diet"]
    left = everything_in(engine)
    assert b"xylophone" not in left
    assert b"zeppelin" not in left
    assert b"rye" in left


def test_outdated_versions_are_forgotten_in_batches(store: MemoryOSStore, engine: MemoryEngine) -> None:
    for number in range(records.MAX_OUTDATED_PAGES + 1):
        store.put(TOM, "diet", {"text": f"version {number}"})
    memory = engine.memory("users.tom", ASSISTANT_ID)
    assert [page.user_text for page in memory.pages()] == [f"version {records.MAX_OUTDATED_PAGES}"]


def test_close_forgets_outdated_versions(engine: MemoryEngine) -> None:
    with MemoryOSStore(engine, fields=["text"]) as store:
        store.put(TOM, "diet", {"text": "xylophone"})
        store.put(TOM, "diet", {"text": "rye"})
    assert b"xylophone" not in everything_in(engine)


def test_crash_between_write_and_forget_loses_no_version(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryOSStore(engine, fields=["text"])
    store.put(TOM, "diet", {"text": "rye"})

    def crash(*_: Any, **__: Any) -> None:
        raise StoreUnavailableError("crashed")

    store._collection(TOM)._max_outdated_pages = 1
    with monkeypatch.context() as patch:
        patch.setattr(Memory, "forget", crash)
        with pytest.raises(StoreUnavailableError):
            store.put(TOM, "diet", {"text": "oats"})
    with MemoryOSStore(engine, fields=["text"]) as again:
        found = again.get(TOM, "diet")
        assert found is not None
        assert found.value == {"text": "oats"}
        assert keys(again.search(TOM)) == keys(again.search(TOM, query="rye")) == ["diet"]
        again.delete(TOM, "diet")
        assert again.get(TOM, "diet") is None
    assert list(engine.memory("users.tom", ASSISTANT_ID).pages()) == []


def test_search_ranks_scores_filters_and_paginates(store: MemoryOSStore) -> None:
    texts = {"a": "rye bread with butter", "b": "rye bread", "c": "a red bicycle", "d": "rye fields near the river"}
    for number, (key, text) in enumerate(texts.items()):
        store.put(TOM, key, {"text": text, "number": number})
    found = store.search(TOM, query="rye bread")
    assert keys(found)[:2] == ["b", "a"]
    assert keys(found)[-1] == "c"
    scores = [each.score for each in found]
    assert all(score is not None and -1.001 <= score <= 1.001 for score in scores)
    assert keys(store.search(TOM, query="rye bread", limit=1, offset=1)) == ["a"]
    assert keys(store.search(TOM, query="rye bread", filter={"number": {"$gte": 2}})) == ["d", "c"]
    assert keys(store.search(TOM, query="rye bread", filter={"number": {"$gte": 2}}, limit=1)) == ["d"]
    assert store.search(TOM, query="rye bread", limit=0) == []
    assert store.search(TOM, query="rye bread", offset=9) == []


def test_search_ranks_items_of_several_namespaces_together(store: MemoryOSStore) -> None:
    store.put(TOM, "a", {"text": "the weather in Lisbon"})
    store.put(TOM, "b", {"text": "rye bread"})
    store.put(ANN, "c", {"text": "rye bread with butter and salt"})
    store.put(("docs",), "d", {"text": "rye bread"})
    found = store.search(("users",), query="rye bread")
    assert [(each.namespace, each.key) for each in found] == [(TOM, "b"), (ANN, "c"), (TOM, "a")]
    assert len(store.search((), query="rye bread")) == 4
    assert len(store.search(("use",), query="rye bread")) == 0


def test_items_without_an_index_are_last_and_have_no_score(store: MemoryOSStore) -> None:
    store.put(TOM, "hidden", {"text": "rye bread"}, index=False)
    store.put(TOM, "elsewhere", {"body": {"title": "rye bread"}}, index=["body.title"])
    store.put(TOM, "nothing", {"other": 1})
    store.put(TOM, "shown", {"text": "a bicycle"})
    found = store.search(TOM, query="rye bread")
    assert keys(found) == ["elsewhere", "shown", "nothing", "hidden"]
    assert [each.score is None for each in found] == [False, False, True, True]
    assert keys(store.search(TOM, query="rye bread", limit=1)) == ["elsewhere"]
    assert store.get(TOM, "hidden") is not None


def test_search_without_a_query_returns_the_last_written_item_first(store: MemoryOSStore, clock: FixedClock) -> None:
    for namespace, key in ((TOM, "a"), (ANN, "b"), (TOM, "c"), (TOM, "a")):
        clock.advance(minutes=1)
        store.put(namespace, key, {"text": key})
    assert keys(store.search(("users",))) == ["a", "c", "b"]
    assert keys(store.search(("users",), query="  ", offset=1, limit=1)) == ["c"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"kind": "rye"}, ["a"]),
        ({"kind": {"$ne": "rye"}}, ["b", "c"]),
        ({"size": {"$gt": 1, "$lte": 3}}, ["b"]),
        ({"size": {"$lt": 10}}, ["a", "b"]),
        ({"day": {"$gte": "2026-02-01"}}, ["b"]),
        ({"nested": {"deep": {"$eq": 1}}}, ["a"]),
        ({"tags": ["x", "y"]}, ["a"]),
        ({"kind": None}, ["c"]),
        ({"kind": "rye", "size": 2}, []),
    ],
)
def test_filters(store: MemoryOSStore, wanted: dict[str, Any], found: list[str]) -> None:
    store.put(
        TOM, "a", {"kind": "rye", "size": 1, "day": "2026-01-09", "nested": {"deep": 1, "b": 2}, "tags": ["x", "y"]}
    )
    store.put(TOM, "b", {"kind": "oats", "size": "2", "day": "2026-03-01", "nested": 3, "tags": ["x"]})
    store.put(TOM, "c", {"size": None})
    assert sorted(keys(store.search(TOM, filter=wanted))) == found


def test_unknown_operator_is_an_error(store: MemoryOSStore) -> None:
    store.put(TOM, "a", {"size": 1})
    with pytest.raises(InputError, match="regex"):
        store.search(TOM, filter={"size": {"$regex": "1"}})


def test_list_namespaces(store: MemoryOSStore) -> None:
    for namespace in (("a", "b", "c"), ("a", "b", "d", "e"), ("a", "b", "d", "i"), ("a", "c", "f"), ("z",)):
        store.put(namespace, "key", {"text": "rye"})
    assert store.list_namespaces(prefix=("a", "b"), max_depth=3) == [("a", "b", "c"), ("a", "b", "d")]
    assert store.list_namespaces(suffix=("f",)) == [("a", "c", "f")]
    assert store.list_namespaces(prefix=("a", "*", "d")) == [("a", "b", "d", "e"), ("a", "b", "d", "i")]
    assert store.list_namespaces(limit=2, offset=3) == [("a", "c", "f"), ("z",)]
    store.delete(("z",), "key")
    assert ("z",) not in store.list_namespaces()


def test_batch_reads_before_it_writes_and_the_last_write_takes_effect(store: MemoryOSStore) -> None:
    store.put(TOM, "a", {"text": "old"})
    results = store.batch(
        [
            PutOp(TOM, "a", {"text": "first"}),
            GetOp(TOM, "a"),
            PutOp(TOM, "a", {"text": "second"}),
            SearchOp(TOM),
            PutOp(TOM, "b", {"text": "gone"}),
            PutOp(TOM, "b", None),
            ListNamespacesOp(match_conditions=(MatchCondition("prefix", ("users",)),)),
        ]
    )
    assert results[0] is None
    assert results[1].value == {"text": "old"}  # type: ignore[union-attr]
    assert keys(results[3]) == ["a"]  # type: ignore[arg-type]
    assert results[6] == [TOM]
    found = store.get(TOM, "a")
    assert found is not None
    assert found.value == {"text": "second"}
    assert store.get(TOM, "b") is None


@pytest.mark.parametrize("namespace", [("a.b",), ("",), ("a", "x\0")])
def test_label_with_a_dot_is_rejected(store: MemoryOSStore, namespace: tuple[str, ...]) -> None:
    for op in (PutOp(namespace, "a", {"text": "rye"}), GetOp(namespace, "a"), SearchOp(namespace)):
        with pytest.raises(InvalidNamespaceError):
            store.batch([PutOp(TOM, "a", {"text": "rye"}), op])
    assert store.get(TOM, "a") is None


def test_invalid_value_changes_nothing(store: MemoryOSStore) -> None:
    store.put(TOM, "a", {"text": "rye"})
    with pytest.raises(InputError):
        store.put(TOM, "a", {"text": "oats", "what": object()})
    with pytest.raises(NotImplementedError):
        store.put(TOM, "a", {"text": "oats"}, ttl=5)
    with pytest.raises(NotImplementedError):
        store.batch([PutOp(TOM, "a", {"text": "oats"}, ttl=5)])
    found = store.get(TOM, "a")
    assert found is not None
    assert found.value == {"text": "rye"}


def test_async_methods_return_the_same_results(store: MemoryOSStore) -> None:
    async def use() -> tuple[Any, ...]:
        await asyncio.gather(*(store.aput(TOM, str(number), {"text": f"rye {number}"}) for number in range(8)))
        found = await store.asearch(TOM, query="rye 3", limit=20)
        item = await store.aget(TOM, "3")
        await store.adelete(TOM, "3")
        return found, item, await store.aget(TOM, "3"), await store.alist_namespaces()

    found, item, gone, namespaces = asyncio.run(use())
    assert keys(found)[0] == "3"
    assert len(found) == 8
    assert item is not None
    assert (gone, namespaces) == (None, [TOM])


def test_concurrent_writes_of_one_key_leave_one_item(store: MemoryOSStore, engine: MemoryEngine) -> None:
    def write(writer: int) -> None:
        for number in range(20):
            store.put(TOM, "a", {"text": f"{writer} {number}"})

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    found = store.search(TOM)
    assert keys(found) == ["a"]
    assert found[0].value["text"].endswith(" 19")
    store.delete(TOM, "a")
    assert list(engine.memory("users.tom", ASSISTANT_ID).pages()) == []


def test_two_stores_on_one_database_see_each_other(make_engine: EngineMaker) -> None:
    with MemoryOSStore(make_engine(), fields=["text"]) as one, MemoryOSStore(make_engine(), fields=["text"]) as other:
        one.put(TOM, "a", {"text": "rye"})
        assert keys(other.search(TOM, query="rye")) == ["a"]
        other.put(TOM, "a", {"text": "oats"})
        found = one.get(TOM, "a")
        assert found is not None
        assert found.value == {"text": "oats"}
        one.delete(TOM, "a")
        assert other.get(TOM, "a") is None
        assert other.search(TOM, query="oats") == []


def test_no_analyst_reads_items_and_no_other_user_sees_them(make_engine: EngineMaker) -> None:
    analyst = ScriptedAnalyst()
    engine = make_engine(analyst=analyst, consolidation_batch=1)
    with MemoryOSStore(engine, fields=["text"]) as store:
        for number in range(30):
            store.put(TOM, str(number), {"text": f"my name is Tom {number}"})
        assert len(store.search(TOM, query="name", limit=50)) == 30
        items = engine.memory("users.tom", ASSISTANT_ID)
        items.flush()
        assert items.get_memory_stats()["pages_due"] == 0
        assert len(store.search(TOM, query="name", limit=50)) == 30
    assert engine.memory("tom").recall("name").pages == ()
    assert engine.memory("users.tom", ASSISTANT_ID).knowledge(None) == []


def test_store_can_create_its_own_engine(tmp_path: Path) -> None:
    with MemoryOSStore(data_storage_path=tmp_path) as store:
        store.put(TOM, "a", {"text": "I work as a nurse in a hospital"})
        store.put(TOM, "b", {"text": "my bicycle is red"})
        assert keys(store.search(TOM, query="what is her job?"))[0] == "a"
    with MemoryOSStore(data_storage_path=tmp_path) as store:
        assert keys(store.search(TOM, query="medicine"))[0] == "a"
    with pytest.raises(InputError):
        MemoryOSStore(store._engine, data_storage_path=tmp_path)


names = st.sampled_from(["a", "b", "c"])
namespaces = st.sampled_from([("n",), ("n", "m"), ("o",)])
values = st.none() | st.fixed_dictionaries({"text": st.sampled_from(["rye", "oats", "corn"]), "n": st.integers(0, 3)})


@settings(max_examples=25)
@given(st.lists(st.tuples(namespaces, names, values), max_size=12), st.integers(0, 3))
def test_random_operations_match_the_in_memory_store_of_langgraph(
    make_engine: EngineMaker, writes: list[tuple[tuple[str, ...], str, dict[str, Any] | None]], number: int
) -> None:
    theirs = InMemoryStore()
    with MemoryOSStore(make_engine(), fields=["text"]) as ours:
        clear(ours)
        for namespace, key, value in writes:
            for each in (ours, theirs):
                each.batch([PutOp(namespace, key, value)])
        for namespace in [("n",), ("n", "m"), ("o",)]:
            for key in ("a", "b", "c"):
                assert seen(ours.get(namespace, key)) == seen(theirs.get(namespace, key))
        for prefix in [(), ("n",), ("n", "m"), ("q",)]:
            for wanted in (None, {"n": number}, {"n": {"$lt": number}}):
                one, other = (each.search(prefix, filter=wanted, limit=99) for each in (ours, theirs))
                assert sorted(map(seen, one)) == sorted(map(seen, other))
                asked = ours.search(prefix, filter=wanted, limit=99, query="rye")
                assert sorted(map(seen, asked)) == sorted(map(seen, other))


class Chat(TypedDict):
    said: str
    known: list[str]


def test_graph_remembers_across_runs(engine: MemoryEngine) -> None:
    def node(state: Chat, runtime: Runtime[None]) -> dict[str, Any]:
        assert runtime.store is not None
        known = [each.value["text"] for each in runtime.store.search(TOM, query=state["said"], limit=1)]
        if not state["said"].endswith("?"):
            runtime.store.put(TOM, state["said"], {"text": state["said"]})
        return {"known": known}

    with MemoryOSStore(engine, fields=["text"]) as store:
        assert isinstance(store, BaseStore)
        graph = StateGraph(Chat)
        graph.add_node("node", node)
        graph.add_edge(START, "node")
        graph.add_edge("node", END)
        app = graph.compile(store=store)
        app.invoke({"said": "I bake rye bread", "known": []})
        app.invoke({"said": "my bicycle is red", "known": []})
        assert app.invoke({"said": "which bread?", "known": []})["known"] == ["I bake rye bread"]
        found = asyncio.run(app.ainvoke({"said": "which bicycle?", "known": []}))
        assert found["known"] == ["my bicycle is red"]


def everything_in(engine: MemoryEngine) -> bytes:
    return b"".join(file.read_bytes() for file in engine.config.data_storage_path.rglob("*") if file.is_file())


def seen(item: Any) -> Any:
    return None if item is None else (item.namespace, item.key, sorted(item.value.items()))


def clear(store: MemoryOSStore) -> None:
    for each in store.search((), limit=999):
        store.delete(each.namespace, each.key)


class CountingEmbedder(HashEmbedder):
    """Records every text that is embedded."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        return super().embed(texts)


def test_query_is_embedded_once_for_all_namespaces(make_engine: EngineMaker) -> None:
    embedder = CountingEmbedder()
    with MemoryOSStore(make_engine(embedder=embedder), fields=["text"]) as store:
        for number in range(5):
            store.put(("users", str(number)), "diet", {"text": "rye bread"})
        store.search(("users",), query="bread")
        embedder.texts.clear()
        assert len(store.search(("users",), query="oat bread", limit=20)) == 5
        assert embedder.texts == ["oat bread"]


def test_search_ranks_the_newest_items_whatever_the_short_term_capacity(make_engine: EngineMaker) -> None:
    with MemoryOSStore(make_engine(short_term_capacity=50), fields=["text"]) as store:
        for key in ("a", "b"):
            store.put(TOM, key, {"text": f"rye bread {key}"})
        assert sorted(keys(store.search(TOM, query="rye bread"))) == ["a", "b"]


def test_records_form_one_segment_whatever_the_settings_for_conversations(make_engine: EngineMaker) -> None:
    engine = make_engine(short_term_capacity=50, consolidation_batch=2, mid_term_similarity_threshold=2.0)
    with MemoryOSStore(engine, fields=["text"]) as store:
        for number in range(6):
            store.put(TOM, str(number), {"text": f"record {number}"})
    memory = engine.memory("users.tom", ASSISTANT_ID)
    memory.flush()
    assert [each.page_count for each in memory.segments()] == [6]


def test_store_shares_the_database_connection_and_the_worker_of_its_engine(engine: MemoryEngine) -> None:
    with MemoryOSStore(engine, fields=["text"]) as store:
        store.put(TOM, "diet", {"text": "rye"})
        assert store.search(TOM, query="rye")
        assert engine.working_sets.count == 1
    assert engine.memory("users.tom", ASSISTANT_ID).newest_pages(1), "the engine stays open"
