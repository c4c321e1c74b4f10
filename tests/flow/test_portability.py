"""Export and load: the loaded memory equals the exported one and exports the same file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.errors import InputError
from memoryos.memory import Memory
from memoryos.model import Scope
from memoryos.testing import FixedClock, HashEmbedder
from tests.conftest import EngineMaker

SETTINGS = {"short_term_capacity": 1, "mid_term_heat_threshold": 1.0, "consolidation_batch": 3}
LINES = (
    "I'm Tom and I work as a nurse in Utrecht.",
    "My sister Nora lives in Porto.",
    "I love rye bread.",
    "I moved to Ghent.",
)


def fill(memory: Memory, clock: FixedClock, lines: tuple[str, ...] = LINES) -> None:
    for line in lines:
        memory.add_memory(line, "I see.", clock(), {"user_name": "Tom", "tags": ["x", {"y": 1.5}]})
        clock.advance(minutes=5)
    memory.flush()


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_export_and_load_reproduce_the_memory(make_engine: EngineMaker, clock: FixedClock, tmp_path: Path) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    memory.correct(memory.knowledge()[0].knowledge_id, "Corrected by hand.")
    memory.forget(page_ids=[next(memory.pages()).page_id])
    memory.flush()
    assert memory.export(tmp_path / "one.jsonl") == len(LINES) - 1
    other = make_engine(data_storage_path=tmp_path / "other", **SETTINGS).memory("tom")
    loaded = other.load(tmp_path / "one.jsonl")
    assert (loaded.pages, loaded.tiers) == (len(LINES) - 1, True)
    for seen in ("profile", "segments", "knowledge", "profile_history"):
        one, two = (getattr(each, seen) for each in (memory, other))
        assert (one() if callable(one) else one) == (two() if callable(two) else two), seen
    assert list(memory.pages()) == list(other.pages())
    assert memory.knowledge(None, history=True) == other.knowledge(None, history=True)
    other.export(tmp_path / "two.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    other.flush()
    assert other.get_memory_stats()["pages_due"] == 0
    assert other.recall("Where does Nora live?").pages


@settings(max_examples=25)
@given(
    said=st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60),
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60),
            st.datetimes(),
        ).filter(lambda each: bool(each[0].strip())),
        max_size=6,
    ),
    window=st.integers(0, 3),
)
def test_export_load_export_is_identical(
    said: list[Any], window: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("moving")
    clock = FixedClock()
    given = {"short_term_capacity": window, "consolidation_batch": 2, "mid_term_heat_threshold": 1.0}
    files: list[Path] = []
    for place in ("one", "two"):
        config = Config(data_storage_path=folder / place, background=False, **given)
        with MemoryEngine(config, embedder=HashEmbedder(), clock=clock) as engine:
            memory = engine.memory("tom")
            if place == "one":
                for user, assistant, at in said:
                    memory.add_memory(user, assistant, at)
                memory.flush()
            else:
                memory.load(files[0])
            files.append(folder / f"{place}.jsonl")
            memory.export(files[-1])
    assert files[0].read_bytes() == files[1].read_bytes()


def test_store_export_contains_all_users(make_engine: EngineMaker, clock: FixedClock, tmp_path: Path) -> None:
    engine = make_engine(**SETTINGS)
    for user in ("tom", "mia", "../x"):
        fill(engine.memory(user, f"helper of {user}"), clock)
    assert engine.export(tmp_path / "all.jsonl") == 3 * len(LINES)
    other = make_engine(data_storage_path=tmp_path / "other", **SETTINGS)
    loaded = other.load(tmp_path / "all.jsonl")
    assert {scope.user_id: each.pages for scope, each in loaded.items()} == dict.fromkeys(("tom", "mia", "../x"), 4)
    other.export(tmp_path / "again.jsonl")
    assert (tmp_path / "all.jsonl").read_bytes() == (tmp_path / "again.jsonl").read_bytes()
    with pytest.raises(InputError, match="several users"):
        other.memory("tom").load(tmp_path / "all.jsonl")


def test_load_into_a_non_empty_memory_adds_only_new_pages(
    make_engine: EngineMaker, clock: FixedClock, tmp_path: Path
) -> None:
    engine = make_engine(**SETTINGS)
    memory = engine.memory("tom")
    fill(memory, clock)
    memory.export(tmp_path / "all.jsonl")
    gone = next(memory.pages()).page_id
    memory.forget(page_ids=[gone])
    again = memory.load(tmp_path / "all.jsonl")
    assert (again.pages, again.known, again.forgotten, again.tiers) == (0, len(LINES) - 1, 1, False)
    other = engine.memory("mia")
    other.add_memory("I was here first.", "", clock())
    assert other.load(tmp_path / "all.jsonl").pages == len(LINES)
    other.flush()
    assert [page.seq for page in other.pages()] == list(range(1, len(LINES) + 2))
    assert sum(each.page_count for each in other.segments()) == len(LINES) + 1
    assert engine.store.scopes.find(Scope("tom", engine.memory("tom").scope.assistant_id))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("page", {"user_text": 3}), ("page", {"user_text": "a\u0000b"}), ("page", {"at": "soon"}), ("page", {"seq": 0}),
        ("page", {"user_text": "", "assistant_text": ""}), ("page", {"colour": "red"}), ("page", {"page_id": None}),
        ("page", {"metadata": []}), ("page", {"learned": "yes"}), ("page", {"seq": 2**70}),
        ("fact", {"about": "nobody"}), ("fact", {"source_page_ids": []}), ("fact", {"origin": {}}),
        ("segment", {"keywords": [1]}), ("segment", {"summary": "\ud800"}), ("fact", {"slot": "colour"}), ("fact", {"what": "gossip"}),
        ("page", {"kind": "colour"}),
    ],
)  # fmt: skip
def test_load_error_names_the_record_and_adds_nothing(
    kind: str, change: dict[str, Any], make_engine: EngineMaker, clock: FixedClock, tmp_path: Path
) -> None:
    engine = make_engine(**SETTINGS)
    fill(engine.memory("tom"), clock)
    engine.memory("tom").export(tmp_path / "good.jsonl")
    records = lines_of(tmp_path / "good.jsonl")
    place = max(number for number, record in enumerate(records) if record["kind"] == kind)
    records[place] |= change
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text("\n".join(map(json.dumps, records)))
    with pytest.raises(InputError, match=f"line {place + 1}"):
        engine.memory("mia").load(damaged)
    assert list(engine.memory("mia").pages()) == []
    assert engine.memory("mia").segments() == []


def test_a_page_whose_segment_is_not_in_the_file_is_due(
    make_engine: EngineMaker, clock: FixedClock, tmp_path: Path
) -> None:
    engine = make_engine(**SETTINGS)
    fill(engine.memory("tom"), clock)
    engine.memory("tom").export(tmp_path / "good.jsonl")
    kept = [each for each in lines_of(tmp_path / "good.jsonl") if each["kind"] not in {"segment", "chain"}]
    (tmp_path / "less.jsonl").write_text("\n".join(map(json.dumps, kept)))
    other = engine.memory("mia")
    other.load(tmp_path / "less.jsonl")
    assert other.get_memory_stats()["pages_due"] == len(LINES)
    other.flush()
    assert other.get_memory_stats()["pages_due"] == 0
    assert sum(each.page_count for each in other.segments()) == len(LINES)


def test_other_files_raise_clear_errors(make_engine: EngineMaker, tmp_path: Path) -> None:
    memory = make_engine().memory("tom")
    for name, content in {
        "later": '{"kind": "memoryos", "format": 3}',
        "stray": '{"kind": "memoryos", "format": 1}\n{"kind": "page"}',
    }.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError):
            memory.load(tmp_path / name)
    (tmp_path / "empty").write_text('{"kind": "memoryos", "format": 1}\n')
    assert memory.load(tmp_path / "empty").pages == 0
    with pytest.raises(InputError):
        memory.load(tmp_path / "nowhere")
    (tmp_path / "there.jsonl").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        memory.export(tmp_path / "there.jsonl")
    assert (tmp_path / "there.jsonl").read_text() == "mine"
    with pytest.raises(InputError):
        memory.export(tmp_path / "no folder" / "x.jsonl")


def test_loading_an_old_export_does_not_restore_forgotten_pages(
    make_engine: EngineMaker, clock: FixedClock, tmp_path: Path
) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    memory.export(tmp_path / "all.jsonl")
    memory.forget(everything=True)
    loaded = memory.load(tmp_path / "all.jsonl")
    assert (loaded.pages, loaded.forgotten, loaded.tiers) == (0, len(LINES), False)
    assert memory.knowledge(None, history=True) == []
    assert memory.profile.attributes == ()
    assert memory.segments() == []
