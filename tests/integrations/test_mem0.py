"""mem0's interface: old and new argument names, result formats, ids, and permanent deletion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from memoryos.engine import MemoryEngine
from memoryos.errors import InputError, NotFoundError, StoreUnavailableError
from memoryos.integrations.langgraph import MemoryOSStore
from memoryos.integrations.mem0 import Memory
from memoryos.memory import Memory as UserMemory
from memoryos.testing import FixedClock


@pytest.fixture
def memory(engine: MemoryEngine) -> Iterator[Memory]:
    with Memory(engine) as memory:
        yield memory


def texts(found: dict[str, Any]) -> list[str]:
    return [each["memory"] for each in found["results"]]


def add(memory: Memory, text: str, **given: Any) -> str:
    return str(memory.add(text, **({"user_id": "tom"} | given))["results"][0]["id"])


MESSAGE = {"role": "user", "content": "I bake rye bread."}


@pytest.mark.parametrize("messages", ["I bake rye bread.", MESSAGE, [MESSAGE], (MESSAGE,)])
def test_add_accepts_a_text_a_message_or_a_list(memory: Memory, messages: Any) -> None:
    (result,) = memory.add(messages, user_id="tom")["results"]
    assert result == {
        "id": result["id"], "memory": "I bake rye bread.", "event": "ADD", "role": "user", "actor_id": None,
    }  # fmt: skip
    assert texts(memory.get_all(user_id="tom")) == ["I bake rye bread."]


def test_each_message_is_a_memory_and_system_messages_are_ignored(memory: Memory) -> None:
    messages: list[Any] = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "I bake."}], "name": "Tom"},
        {"role": "assistant", "content": "Rye?", "timestamp": "2026-01-02"},
        {"role": "tool", "content": "sunny"},
        {"role": "user", "content": " "},
    ]
    results = memory.add(messages, user_id="tom", infer=False)["results"]
    assert [(each["memory"], each["role"], each["actor_id"]) for each in results] == [
        ("I bake.", "user", "Tom"),
        ("Rye?", "assistant", None),
    ]
    (page, other) = memory.engine.memory("tom").pages()
    assert (page.user_name, other.assistant_text, other.at.day) == ("Tom", "Rye?", 2)


def test_old_and_new_argument_names_are_accepted(memory: Memory) -> None:
    for number in range(25):
        add(memory, f"rye number {number}")
    memory.add("rye of Ann", filters={"user_id": "ann"})
    assert len(memory.search("rye", user_id="tom")["results"]) == 20
    assert len(memory.search("rye", filters={"user_id": "tom"}, top_k=22)["results"]) == 22
    assert len(memory.search("rye", user_id="tom", filters={"user_id": "tom"}, limit=3)["results"]) == 3
    assert len(memory.search("rye", filters={"AND": [{"user_id": "tom"}]}, limit=30)["results"]) == 25
    assert memory.search("rye", user_id="tom", top_k=0) == {"results": []}
    assert len(memory.get_all(user_id="tom")["results"]) == 20
    assert len(memory.get_all(filters={"user_id": "tom"}, limit=100)["results"]) == 25
    assert texts(memory.get_all(filters={"user_id": " ann "})) == ["rye of Ann"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"filters": {"kind": "x"}},
        {"user_id": " "},
        {"filters": {"user_id": "*"}},
        {"filters": {"user_id": {"in": ["tom", "ann"]}}},
        {"user_id": "tom", "filters": {"user_id": "ann"}},
        {"user_id": "tom", "filters": {"AND": [{"user_id": "ann"}]}},
    ],
)
def test_missing_or_contradictory_ids_are_errors(memory: Memory, given: dict[str, Any]) -> None:
    add(memory, "rye")
    for call in (memory.get_all, memory.delete_all, lambda **ids: memory.search("rye", **ids)):
        with pytest.raises(InputError):
            call(**given)
    with pytest.raises(InputError):
        memory.add("rye", **given)
    assert texts(memory.get_all(user_id="tom")) == ["rye"]


@pytest.mark.parametrize("count", [-1, 1.5, True, "3"])
def test_count_must_be_a_whole_number(memory: Memory, count: Any) -> None:
    with pytest.raises(InputError):
        memory.search("rye", user_id="tom", top_k=count)
    with pytest.raises(InputError):
        memory.get_all(user_id="tom", limit=count)


def test_search_ranks_by_meaning_and_scores_are_cosines(memory: Memory) -> None:
    for text in ("the weather is fine", "I bake rye bread", "rye grows by the river"):
        add(memory, text)
    found = memory.search("rye bread", user_id="tom")["results"]
    assert [each["memory"] for each in found][:2] == ["I bake rye bread", "rye grows by the river"]
    assert found[0]["score"] > found[1]["score"] > 0
    best = memory.search("rye bread", user_id="tom", threshold=found[0]["score"])
    assert texts(best) == ["I bake rye bread"]


def test_memory_has_the_fields_of_mem0(memory: Memory, clock: FixedClock) -> None:
    memory_id = add(memory, "rye", agent_id="baker", run_id="r1", metadata={"kind": "food"})
    expected = {
        "id": memory_id,
        "memory": "rye",
        "hash": hashlib.md5(b"rye", usedforsecurity=False).hexdigest(),
        "metadata": {"kind": "food"},
        "created_at": clock().isoformat(),
        "updated_at": clock().isoformat(),
        "role": "user",
        "user_id": "tom",
        "agent_id": "baker",
        "run_id": "r1",
    }
    assert memory.get(memory_id) == expected
    assert memory.get_all(user_id="tom")["results"] == [expected]
    assert memory.search("rye", user_id="tom")["results"] == [expected | {"score": pytest.approx(1.0)}]
    assert memory.get("no such id") is None


def test_agent_and_run_ids_select_memories(memory: Memory) -> None:
    add(memory, "one", agent_id="baker", run_id="r1")
    add(memory, "two", agent_id="baker", run_id="r2")
    add(memory, "three")
    memory.add("four", agent_id="baker")
    memory.add("five", run_id="r1")
    memory.add("six", user_id=7)  # type: ignore[arg-type]
    assert sorted(texts(memory.get_all(user_id="tom"))) == ["one", "three", "two"]
    assert texts(memory.get_all(user_id="tom", agent_id="baker")) == ["two", "one"]
    assert texts(memory.get_all(user_id="tom", run_id="r1")) == ["one"]
    assert texts(memory.get_all(agent_id="baker")) == ["four"]
    assert texts(memory.get_all(run_id="r1")) == ["five"]
    assert texts(memory.get_all(filters={"user_id": 7})) == ["six"]
    assert texts(memory.get_all(filters={"user_id": "tom", "OR": [{"run_id": "r1"}, {"run_id": "r2"}]})) == [
        "two",
        "one",
    ]
    assert sorted(texts(memory.search("one two three", user_id="tom"))) == ["one", "three", "two"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"kind": "rye"}, ["a"]),
        ({"kind": {"ne": "rye"}}, ["b", "c"]),
        ({"size": {"gt": 1, "lte": 3}}, ["b"]),
        ({"kind": {"in": ["rye", "oats"]}}, ["a", "b"]),
        ({"kind": {"nin": ["rye", "oats"]}}, ["c"]),
        ({"kind": {"icontains": "RY"}}, ["a"]),
        ({"kind": {"contains": "RY"}}, []),
        ({"kind": "*"}, ["a", "b"]),
        ({"AND": [{"kind": "rye"}, {"size": 1}]}, ["a"]),
        ({"OR": [{"kind": "rye"}, {"size": {"gte": 2}}]}, ["a", "b"]),
        ({"NOT": [{"kind": "rye"}, {"kind": "oats"}]}, ["c"]),
        ({"role": "user", "kind": "oats"}, ["b"]),
    ],
)
def test_filters(memory: Memory, wanted: dict[str, Any], found: list[str]) -> None:
    add(memory, "a", metadata={"kind": "rye", "size": 1})
    add(memory, "b", metadata={"kind": "oats", "size": 2})
    add(memory, "c")
    assert sorted(texts(memory.get_all(filters={"user_id": "tom", **wanted}))) == found
    assert sorted(texts(memory.search("a b c", filters={"user_id": "tom", **wanted}))) == found


def test_unknown_operator_is_an_error(memory: Memory) -> None:
    add(memory, "a", metadata={"kind": "rye"})
    with pytest.raises(InputError, match="regex"):
        memory.get_all(filters={"user_id": "tom", "kind": {"regex": "r"}})


def test_update_keeps_the_id_and_the_history(memory: Memory, clock: FixedClock, engine: MemoryEngine) -> None:
    memory_id = add(memory, "I bake rye", agent_id="baker", metadata={"kind": "food"})
    first = clock().isoformat()
    clock.advance(hours=1)
    assert memory.update(memory_id, "I bake oats") == {"message": "Memory updated successfully!"}
    clock.advance(hours=1)
    memory.update(memory_id, data="I bake corn")
    memory.update(memory_id, metadata={"size": 3})
    found = memory.get(memory_id)
    assert found is not None
    assert (found["id"], found["memory"], found["metadata"]) == (memory_id, "I bake corn", {"kind": "food", "size": 3})
    assert (found["created_at"], found["updated_at"]) == (first, clock().isoformat())
    history = memory.history(memory_id)
    assert [(each["event"], each["old_memory"], each["new_memory"]) for each in history] == [
        ("ADD", None, "I bake rye"),
        ("UPDATE", "I bake rye", "I bake oats"),
        ("UPDATE", "I bake oats", "I bake corn"),
    ]
    assert {each["created_at"] for each in history} == {first}
    assert all(each["memory_id"] == memory_id and not each["is_deleted"] for each in history)
    (page,) = engine.memory("tom", "baker").pages()
    assert page.user_text == "I bake corn"
    assert texts(memory.get_all(user_id="tom")) == ["I bake corn"]


def test_update_of_metadata_keeps_the_time_of_the_text(memory: Memory, clock: FixedClock) -> None:
    memory_id = add(memory, "I bake rye", timestamp="2024-05-06T07:08:09+00:00")
    memory.update(memory_id, metadata={"size": 3})
    (page,) = memory.engine.memory("tom").pages()
    assert page.at == datetime.fromisoformat("2024-05-06T07:08:09+00:00")
    found = memory.get(memory_id)
    assert found is not None
    assert found["updated_at"] == clock().isoformat()


def test_update_keeps_the_role_of_an_assistant_message(memory: Memory, engine: MemoryEngine) -> None:
    message = {"role": "assistant", "content": "Try rye.", "name": "Bea"}
    memory_id = memory.add(message, user_id="tom")["results"][0]["id"]
    memory.update(memory_id, "Try oats.")
    (page,) = engine.memory("tom").pages()
    assert (page.user_text, page.assistant_text, page.assistant_name) == ("", "Try oats.", "Bea")


def test_deleted_memory_leaves_no_bytes_on_disk(memory: Memory, engine: MemoryEngine) -> None:
    memory_id = add(memory, "the word is xylophone")
    add(memory, "rye")
    memory.update(memory_id, "the word is zeppelin")
    assert memory.delete(memory_id) == {"message": "Memory deleted successfully!"}
    assert (memory.get(memory_id), memory.history(memory_id)) == (None, [])
    assert texts(memory.search("word", user_id="tom")) == ["rye"]
    stored = b"".join(each.read_bytes() for each in engine.config.data_storage_path.rglob("*") if each.is_file())
    assert b"xylophone" not in stored
    assert b"zeppelin" not in stored
    for call in (memory.delete, lambda each: memory.update(each, "again")):
        with pytest.raises(NotFoundError):
            call(memory_id)
    with pytest.raises(InputError):
        memory.update(memory_id)


def test_delete_all_and_reset_forget_memories(memory: Memory, engine: MemoryEngine) -> None:
    for user_id, agent_id, run_id in (
        ("tom", "baker", "r1"),
        ("tom", "baker", "r2"),
        ("tom", None, None),
        ("ann", None, None),
    ):
        memory.add(f"{user_id} {agent_id} {run_id}", user_id=user_id, agent_id=agent_id, run_id=run_id)
    with MemoryOSStore(engine) as store:
        store.put(("tom",), "a", {"text": "rye"})
        assert memory.delete_all(user_id="tom", run_id="r1") == {"message": "Memories deleted successfully!"}
        assert texts(memory.get_all(user_id="tom", agent_id="baker")) == ["tom baker r2"]
        memory.delete_all(filters={"user_id": "tom"})
        assert texts(memory.get_all(user_id="tom")) == []
        assert texts(memory.get_all(user_id="ann")) == ["ann None None"]
        memory.reset()
        assert texts(memory.get_all(user_id="ann")) == []
        assert store.get(("tom",), "a") is not None
    add(memory, "after")
    assert texts(memory.get_all(user_id="tom")) == ["after"]


def test_crash_during_an_update_loses_no_version_and_shows_one(
    memory: Memory, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_id = add(memory, "I bake rye")

    def crash(*_: Any, **__: Any) -> None:
        raise StoreUnavailableError("crashed")

    with monkeypatch.context() as patch:
        patch.setattr(UserMemory, "forget", crash)
        with pytest.raises(StoreUnavailableError):
            memory.update(memory_id, "I bake oats")
    with Memory(engine) as again:
        assert texts(again.get_all(user_id="tom")) == ["I bake oats"]
        assert texts(again.search("bake", user_id="tom")) == ["I bake oats"]
        again.delete(memory_id)
    assert list(engine.memory("tom").pages()) == []


def test_pages_of_other_interfaces_are_memories_too(memory: Memory, engine: MemoryEngine) -> None:
    page = engine.memory("tom").add_memory("I bake rye.", "How nice!")
    found = memory.get(page.page_id)
    assert found is not None
    assert found["memory"] == "I bake rye.\nHow nice!"
    with pytest.raises(InputError, match="exchange"):
        memory.update(page.page_id, "I bake oats.")
    memory.delete(page.page_id)
    assert list(engine.memory("tom").pages()) == []


def test_facts_are_learned_from_added_messages(memory: Memory, engine: MemoryEngine) -> None:
    memory_id = add(memory, "I work as a nurse in Lisbon.")
    for number in range(12):
        add(memory, f"The weather is fine on day {number}.")
    engine.memory("tom").force_mid_term_analysis()
    assert "nurse" in engine.memory("tom").get_user_profile_summary()
    memory.delete(memory_id)
    assert "nurse" not in engine.memory("tom").get_user_profile_summary()


def test_memory_can_create_its_own_engine(tmp_path: Path) -> None:
    with Memory(data_storage_path=tmp_path) as memory:
        memory_id = add(memory, "I work as a nurse in a hospital")
        add(memory, "my bicycle is red")
    with Memory(data_storage_path=tmp_path) as memory:
        assert memory.get(memory_id) is not None
        assert texts(memory.search("what is her job?", user_id="tom"))[0] == "I work as a nurse in a hospital"
        with pytest.raises(InputError):
            Memory(memory.engine, data_storage_path=tmp_path)
