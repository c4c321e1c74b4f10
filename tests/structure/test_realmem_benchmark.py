"""Tests of the benchmark RealMem: the measure, the order of the stream, the forms of a context, and comparisons."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.realmem.__main__ import main, score, shown_share
from benchmarks.realmem.baselines import Bm25, PlainSearch, Turn
from benchmarks.realmem.clustered import clustered_interval
from benchmarks.realmem.contexts import MEMORYOS, NOTHING, Context, _shown_texts, ask, measure, read_contexts
from benchmarks.realmem.stream import Question, read_personas

import memoryos
from memoryos.memory import Memory
from memoryos.testing import HashEmbedder

PLAN = "The kitchen gets green tiles from the workshop in Porto."
GARDEN = "The garden shed needs a new roof before winter."


def session(number: int, date: str, *texts: str) -> dict[str, Any]:
    turns = [
        {"id": f"s{number}:{place}", "role": ("user", "assistant")[place % 2], "text": text}
        for place, text in enumerate(texts)
    ]
    return {"id": f"s{number}", "date": date, "topic": "house", "turns": turns, "memories": []}


def question(number: int, text: str, asked_at: str, *facts: str) -> dict[str, Any]:
    return {"id": f"Q{number}", "text": text, "asked_at": asked_at, "facts": list(facts), "category": "update"}


def persona(name: str = "Ana") -> dict[str, Any]:
    return {
        "id": name,
        "sessions": [
            session(1, "2026-01-01", PLAN, "Noted.", GARDEN, "I will remind you."),
            session(2, "2026-01-01", "Which tiles did we choose for the kitchen?", "Green ones."),
            session(3, "2026-01-03", "What does the shed in the garden need?", "A roof.", "Thank you."),
        ],
        "questions": [
            question(1, "Which tiles did we choose for the kitchen?", "s2:0", PLAN),
            question(2, "What does the shed in the garden need?", "s3:0", GARDEN, "Ana dislikes concrete floors."),
        ],
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "realmem.jsonl"
    file.write_text("\n".join(json.dumps(persona(name)) for name in ("Ana", "Ben")), encoding="utf-8")
    return file


def options(*rows: str, tokens: tuple[int, ...] = (1000,), limit: int | None = None) -> argparse.Namespace:
    return argparse.Namespace(rows=rows, tokens=tokens, limit=limit)


def test_the_stream_keeps_the_order_and_asks_each_question_before_its_exchange(data: Path) -> None:
    ana, ben = read_personas(data)
    assert (ana.name, ben.name) == ("Ana", "Ben")
    assert [each.user for each in ana.exchanges] == [
        turn["text"] for each in persona()["sessions"] for turn in each["turns"] if turn["role"] == "user"
    ]
    assert [[asked.question_id for asked in each.questions] for each in ana.exchanges] == [[], [], ["Q1"], ["Q2"], []]
    assert [each.ends_session for each in ana.exchanges] == [False, True, True, False, True]
    times = [each.at for each in ana.exchanges]
    assert times == sorted(set(times))
    assert ana.exchanges[-1].assistant == ""


def test_a_question_at_an_unknown_turn_is_refused(tmp_path: Path) -> None:
    wrong = persona() | {"questions": [question(1, "Anything?", "s9:0", PLAN)]}
    (tmp_path / "wrong.jsonl").write_text(json.dumps(wrong), encoding="utf-8")
    with pytest.raises(ValueError, match="s9:0"):
        list(read_personas(tmp_path / "wrong.jsonl"))


def test_a_context_contains_only_what_was_said_before_the_question(data: Path, tmp_path: Path) -> None:
    ana = next(iter(read_personas(data)))
    found = list(ask(ana, tmp_path / "store", options(MEMORYOS, "BM25", "plain embedding"), HashEmbedder()))
    assert [(each.question_id, each.row) for each in found[:3]] == [
        ("Q1", MEMORYOS), ("Q1", "plain embedding"), ("Q1", "BM25"),
    ]  # fmt: skip
    for context in found:
        text = "\n".join(context.pages)
        assert ("Green ones." in text, "A roof." in text) == (context.question_id == "Q2" and "Green" in text, False)
        assert 0 < context.tokens <= 1000
    assert all(PLAN in "\n".join(each.pages) for each in found if each.question_id == "Q1")


def test_at_most_the_given_number_of_questions_is_asked(data: Path, tmp_path: Path) -> None:
    ana = next(iter(read_personas(data)))
    found = list(ask(ana, tmp_path / "store", options(NOTHING, limit=1), HashEmbedder()))
    assert [each.question_id for each in found] == ["Q1"]


@pytest.mark.parametrize(
    ("facts", "pages", "expected"),
    [
        ((), ("we need green tiles for the kitchen, workshop is in Porto",), 0.5),
        ((), ("the kitchen gets tiles", "a workshop in Porto", "something green"), 0.0),
        ((PLAN,), (), 0.5),
        ((), (f"{PLAN} {GARDEN}",), 1.0),
        ((), (), 0.0),
    ],
)
def test_a_fact_is_shown_when_one_piece_has_most_of_its_words(
    facts: tuple[str, ...], pages: tuple[str, ...], expected: float
) -> None:
    asked = Question("Q1", "What now?", "update", "s1", (PLAN, GARDEN))
    assert shown_share(asked, Context("Q1", MEMORYOS, 1000, 0.0, facts, pages)) == expected


@dataclass(frozen=True)
class EarlierRecall:
    """A recall of a release whose recalled pages show sides instead of spans."""

    pages: tuple[Any, ...]
    knowledge: tuple[str, ...] = ("a fact",)
    profile: Any = None
    short_term: tuple[str, ...] = ("a page",)

    def to_prompt(self) -> str:
        assert (self.knowledge, self.short_term) == ((), ())
        heading = "# Recalled from earlier conversations\n[1 May 2026]\n"
        return heading + "\n".join(f"user: {each.text}\nassistant: Noted.\n  user: no" for each in self.pages)


def test_shown_sides_are_read_as_the_prompt_shows_them() -> None:
    pages = tuple(argparse.Namespace(shown=("user", "assistant"), text=text) for text in (PLAN, GARDEN))
    recall: Any = EarlierRecall(pages)
    assert list(_shown_texts(recall)) == [f"{PLAN}\nNoted.\n  user: no", f"{GARDEN}\nNoted.\n  user: no"]


def test_shown_spans_are_cut_from_the_page(memory: Memory) -> None:
    memory.add_memory(PLAN, GARDEN)
    recall = memory.recall("Which tiles does the kitchen get?", max_tokens=1000)
    spans = [
        argparse.Namespace(side="user", start=4, end=11),
        argparse.Namespace(side="assistant", start=0, end=10),
    ]
    pages: Any = (replace(recall.pages[0], shown=spans),)  # type: ignore[arg-type]
    assert list(_shown_texts(replace(recall, pages=pages))) == ["kitchen\nThe garden"]


def test_plain_search_fills_the_budget_with_whole_turns() -> None:
    search = PlainSearch(Bm25())
    texts = [f"tiles {'x ' * 300}", "tiles in the kitchen", "nothing else"]
    search.add([Turn(f"p{place}", "User", text) for place, text in enumerate(texts)])
    assert [each.page_id for each in search.search("kitchen tiles", 20)] == ["p1"]
    assert [each.page_id for each in search.search("kitchen tiles", 2000)] == ["p1", "p0"]
    assert list(PlainSearch(Bm25()).search("kitchen tiles", 20)) == []


def test_an_interval_draws_whole_sessions() -> None:
    values = np.array([1.0] * 10 + [0.0] * 10)
    together = clustered_interval(values, ["one"] * 10 + ["two"] * 10)
    apart = clustered_interval(values, [str(place) for place in range(20)])
    assert (together["mean"], together["low"], together["high"]) == (0.5, 0.0, 1.0)
    assert 0.2 < apart["low"] < 0.5 < apart["high"] < 0.8


def test_the_report_groups_by_category_and_persona(data: Path) -> None:
    asked = {
        f"{who.name}/{each.question_id}": (who.name, replace(each, question_id=f"{who.name}/{each.question_id}"))
        for who in read_personas(data)
        for exchange in who.exchanges
        for each in exchange.questions
    }
    found = [Context(name, MEMORYOS, 1000, 10.0, (), (PLAN,) if name.startswith("Ana") else ()) for name in asked]
    rows = score(asked, found)["rows"][MEMORYOS]
    means = {group: cells["1000 tokens"]["mean"] for group, cells in rows["facts_shown"].items()}
    assert means == {"all": 0.25, "update": 0.25, "Ana": 0.5, "Ben": 0.0}
    assert rows["context_tokens"] == {"1000 tokens": 10.0}


def test_the_command_compares_with_a_report_and_with_another_checkout(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    arguments = ["--data", str(data), "--tokens", "60", "1000", "--personas", "1"]
    main([*arguments, "--out", str(first)], HashEmbedder())
    main([*arguments, "--rows", MEMORYOS, "--against", str(first), "--out", str(second)], HashEmbedder())
    report = json.loads(second.read_text(encoding="utf-8"))
    assert report["difference"]["all"]["60 tokens"] == {"mean": 0.0, "low": 0.0, "high": 0.0, "questions": 2}
    assert report["questions"]["Q1"]["scores"][MEMORYOS]["1000 tokens"] == 1.0
    assert "paired" in capsys.readouterr().out


def test_recorded_readings_show_the_memories_of_the_data_file(tmp_path: Path) -> None:
    written = persona()
    written["sessions"][0]["memories"] = [
        {"turn": "s1:0", "text": "Ana chose green tiles from Porto for the kitchen."},
        {"turn": None, "text": "【Garden】 Ana worries about the shed."},
        {"turn": "s9:0", "text": "Lost."},
    ]
    file, out = tmp_path / "recorded.jsonl", tmp_path / "contexts.jsonl"
    file.write_text(json.dumps(written), encoding="utf-8")
    arguments = ["--data", str(file), "--rows", MEMORYOS, "--tokens", "1000", "--out", str(out)]
    numbers = measure([*arguments, "--readings", "recorded"], HashEmbedder())
    assert (numbers["readings"], numbers["facts"], numbers["replayed"]) == ("recorded", 2, 2)
    assert numbers["unusable"] == {"without a source page": 1}
    shown = {fact for each in read_contexts(out) for fact in each.facts}
    assert shown == {"Ana chose green tiles from Porto for the kitchen.", "【Garden】 Ana worries about the shed."}
    assert measure(arguments, HashEmbedder()) == {"readings": "local"}
    assert "Ana chose green tiles from Porto for the kitchen." not in {
        fact for each in read_contexts(out) for fact in each.facts
    }


def test_another_checkout_is_measured_with_its_own_package(data: Path, tmp_path: Path) -> None:
    source, out = Path(memoryos.__file__).parents[1], tmp_path / "report.json"
    arguments = ["--data", str(data), "--rows", MEMORYOS, "--personas", "1", "--limit", "1"]
    main([*arguments, "--against", str(source), "--out", str(out)])
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["difference"]["all"]["3000 tokens"]["questions"] == 1
    with pytest.raises(SystemExit, match="neither a report nor a folder"):
        main([*arguments, "--against", str(tmp_path)], HashEmbedder())


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    config = memoryos.Config(data_storage_path=tmp_path / "one", short_term_capacity=0, background=False)
    with memoryos.MemoryEngine(config, embedder=HashEmbedder()) as engine:
        yield engine.memory("ana")
