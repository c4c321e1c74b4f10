"""Tests of the analyst that replays recorded facts, and of the records of LoCoMo and RealMem."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from benchmarks.locomo.observations import read_observations
from benchmarks.realmem.memories import read_memories
from benchmarks.realmem.stream import read_personas
from benchmarks.recorded import Record, RecordedAnalyst, RecordedFact

from memoryos.config import Config
from memoryos.doors.bench.locomo_run import add_exchanges, ingest
from memoryos.doors.locomo import read_locomo
from memoryos.engine import MemoryEngine
from memoryos.model import Knowledge, Origin, Page
from memoryos.optional_methods import reads_immediately
from memoryos.seams import Batch, Fact, Reading, Usage
from memoryos.testing import HashEmbedder

START = datetime(2026, 3, 1, 9, tzinfo=timezone.utc)


class FreeMeter:
    """A meter of an analyst that calls no model."""

    def allow(self) -> None:
        pytest.fail("no model may be called")

    def __call__(self, usage: Usage) -> None:
        pytest.fail(f"no model may be called: {usage}")


def page(number: int, user_id: str, assistant_id: str = "", conversation: str = "", **names: Any) -> Page:
    metadata = {"user_id": user_id, "assistant_id": assistant_id}
    metadata |= {"conversation": conversation} if conversation else {}
    texts = (f"This is what was said in {user_id}." if user_id else "", f"And {assistant_id}." if assistant_id else "")
    return Page(f"page-{number}", number, START + timedelta(minutes=number), *texts, metadata=metadata, **names)


def read(analyst: RecordedAnalyst, pages: Sequence[Page], **shown: Any) -> Reading:
    texts = [each.user_text + each.assistant_text for each in pages]
    return analyst.read(Batch(tuple(pages), HashEmbedder().embed(texts), **shown), FreeMeter())


def analyst_of(*facts: RecordedFact, conversation: str = "") -> RecordedAnalyst:
    record = Record()
    record.add(conversation, facts)
    return RecordedAnalyst(record)


def known(knowledge_id: str, text: str, slot: str | None = None, value: str | None = None) -> Knowledge:
    origin = Origin("recorded", "1")
    return Knowledge(knowledge_id, "user", text, START, None, None, None, ("page-0",), origin, slot=slot, value=value)


def texts_by_page(facts: Sequence[Fact]) -> dict[str, tuple[str, ...]]:
    return {each.text: each.source_page_ids for each in facts}


def test_facts_appear_at_the_page_that_states_them() -> None:
    analyst = analyst_of(
        RecordedFact("Ana has a shed.", ("t2",)), RecordedFact("Ana bakes.", ("t1",)), RecordedFact("Never.", ("t9",))
    )
    pages = [page(1, "t1"), page(2, "", "t2"), page(3, "t3")]
    reading = read(analyst, pages)
    assert texts_by_page(reading.facts) == {"Ana bakes.": ("page-1",), "Ana has a shed.": ("page-2",)}
    assert len(reading.continues) == 3
    assert {each for topic in reading.topics for each in topic.page_ids} == {"page-1", "page-2", "page-3"}
    assert read(analyst, pages[2:]).facts == ()
    assert reads_immediately(analyst)


def test_a_fact_with_several_sources_appears_when_the_last_one_is_read() -> None:
    analyst = analyst_of(RecordedFact("Ana plays the violin and the piano.", ("t1", "t3")))
    pages = [page(1, "t1"), page(2, "t2"), page(3, "t3")]
    assert read(analyst, pages[:2]).facts == ()
    assert [each.source_page_ids for each in read(analyst, pages[2:], before=tuple(pages[:2])).facts] == [("page-3",)]
    assert [each.source_page_ids for each in read(analyst, pages).facts] == [("page-1", "page-3")]


def test_equal_ids_of_two_conversations_are_distinguished() -> None:
    record = Record()
    record.add("one", [RecordedFact("Ann sings.", ("D1:1",))])
    record.add("two", [RecordedFact("Cem cooks.", ("D1:1",))])
    analyst = RecordedAnalyst(record)
    assert [each.text for each in read(analyst, [page(1, "D1:1", conversation="two")]).facts] == ["Cem cooks."]
    assert [each.text for each in read(analyst, [page(1, "D1:1", conversation="one")]).facts] == ["Ann sings."]
    assert read(analyst, [page(1, "D1:1", conversation="three")]).facts == ()


def test_facts_of_every_speaker_have_their_subject() -> None:
    analyst = analyst_of(
        RecordedFact("Ann has a dog.", ("t1",)),
        RecordedFact("Ben has a cat.", ("t2",), "assistant"),
        RecordedFact("Zoe is Ann's aunt.", ("t1",), subject="Zoe"),
        RecordedFact("Cem has a horse.", ("t3",)),
    )
    pages = [
        page(1, "t1", "t2", user_name="Ann", assistant_name="Ben"),
        page(2, "t3", user_name="Cem", assistant_name="Ben"),
    ]
    found = read(analyst, pages, user_name="Ann", assistant_name="Helper").facts
    assert [(each.about, each.subject, each.text) for each in found] == [
        ("user", "user", "Ann has a dog."),
        ("user", "Zoe", "Zoe is Ann's aunt."),
        ("assistant", "Ben", "Ben has a cat."),
        ("user", "Cem", "Cem has a horse."),
    ]


def test_all_fields_are_replayed() -> None:
    recorded = RecordedFact(
        "Ana moves to Porto in May.",
        ("t1",),
        kind="plan",
        status="open",
        slot="home",
        value="Porto",
        valid_from=START,
        valid_until=START + timedelta(days=1),
    )
    (fact,) = read(analyst_of(recorded), [page(1, "t1")]).facts
    fields = ("kind", "status", "slot", "value", "valid_from", "valid_until")
    assert [getattr(fact, name) for name in fields] == [getattr(recorded, name) for name in fields]


def test_replaced_facts_are_found_in_the_batch_and_in_the_same_reading() -> None:
    analyst = analyst_of(
        RecordedFact("Ana lives in Oslo.", ("t1",), replaces=("Ana lives in Rome.",)),
        RecordedFact("Ana lives in Porto.", ("t2",), replaces=("Ana lives in Oslo.", "Ana lives in Rome.")),
        RecordedFact("Ana drinks tea.", ("t2",), replaces=("Ana drinks coffee.",)),
        RecordedFact("Ana has no car.", ("t2",), replaces=("Ana has a car.",)),
    )
    rome = known("fact-rome", "Ana lives in Rome.", "home", "Rome")
    coffee = known("fact-coffee", "Ana drinks coffee.")
    found = read(analyst, [page(1, "t1"), page(2, "t2")], slots=(rome,), related=(coffee,)).facts
    assert [each.replaces for each in found] == [("fact-rome",), ("#0", "fact-rome"), ("fact-coffee",), ()]
    assert analyst.summary()["replaced_not_shown"] == 1


def test_facts_are_counted_once_although_pages_are_read_again() -> None:
    analyst = analyst_of(RecordedFact("Ana bakes.", ("t1",)), RecordedFact("Ana has a shed.", ("t2",)))
    for _ in range(2):
        read(analyst, [page(1, "t1")])
    numbers = analyst.summary()
    assert (numbers["readings"], numbers["facts"], numbers["replayed"]) == ("recorded", 2, 1)


def conversation(observation: dict[str, Any]) -> dict[str, Any]:
    dialogue: dict[str, Any] = {"speaker_a": "Ann", "speaker_b": "Ben"}
    for number in (1, 2):
        dialogue[f"session_{number}_date_time"] = f"1:56 pm on {number} May, 2023"
        dialogue[f"session_{number}"] = [
            {"speaker": ("Ann", "Ben")[place % 2], "text": f"Turn {place}.", "dia_id": f"D{number}:{place + 1}"}
            for place in range(4)
        ]
    return {"sample_id": "one", "conversation": dialogue, "qa": [], "observation": observation}


def observed(tmp_path: Path, observation: dict[str, Any]) -> tuple[Record, list[Page]]:
    """Returns the record of a LoCoMo file, and the pages of its conversation with the metadata of the benchmark."""
    file = tmp_path / "locomo.json"
    file.write_text(json.dumps([conversation(observation)]), encoding="utf-8")
    conversations = read_locomo(file)
    stored: Any = Storing()
    add_exchanges(stored, conversations[0])
    return read_observations(file, conversations), stored.pages


class Storing:
    """A memory that keeps the added pages."""

    def __init__(self) -> None:
        self.pages: list[Page] = []

    def add_memory(self, user: str, assistant: str, at: datetime, metadata: dict[str, Any]) -> None:
        number = len(self.pages) + 1
        names = {name: metadata.pop(name) for name in ("user_name", "assistant_name")}
        self.pages.append(Page(f"page-{number}", number, at, user, assistant, **names, metadata=metadata))


def test_observations_are_facts_about_their_speaker(tmp_path: Path) -> None:
    record, pages = observed(
        tmp_path,
        {
            "session_1_observation": {
                "Ann": [["Ann sings.", "D1:1"], ["Ann has a dog.", "D1:2"]],
                "Ben": [["Ben cooks.", "D1:4"]],
            },
            "session_2_observation": {"Ann": [["Ann sings and dances.", ["D2:3", "D1:1"]]]},
        },
    )
    found = read(RecordedAnalyst(record), pages, user_name="Ann", assistant_name="Ben").facts
    assert [(each.about, each.subject, each.kind, each.text, each.source_page_ids) for each in found] == [
        ("user", "user", "fact", "Ann sings.", ("page-1",)),
        ("user", "user", "fact", "Ann has a dog.", ("page-1",)),
        ("assistant", "assistant", "fact", "Ben cooks.", ("page-2",)),
        ("user", "user", "fact", "Ann sings and dances.", ("page-1", "page-4")),
    ]
    assert not record.unusable


def test_the_benchmark_stores_the_observations_of_every_conversation(tmp_path: Path) -> None:
    file = tmp_path / "locomo.json"
    samples = [
        conversation({"session_1_observation": {"Ann": [["Ann sings.", "D1:1"]], "Ben": [["Ben cooks.", "D1:2"]]}}),
        conversation({"session_2_observation": {"Ben": [["Ben has a horse.", "D2:4"]]}}) | {"sample_id": "two"},
    ]
    file.write_text(json.dumps(samples), encoding="utf-8")
    conversations = read_locomo(file)
    analyst = RecordedAnalyst(read_observations(file, conversations))
    end = START + timedelta(days=1)
    report = ingest(conversations, tmp_path / "store", HashEmbedder(), end, analyst=analyst)
    assert (report["pages"], report["knowledge"], report["conserved"]) == (8, 3, True)
    assert analyst.summary()["replayed"] == 3
    with MemoryEngine(
        Config(data_storage_path=tmp_path / "store", background=False), embedder=HashEmbedder()
    ) as engine:
        texts = [{each.text for each in engine.memory(name).knowledge(None)} for name in ("one", "two")]
    assert texts == [{"Ann sings.", "Ben cooks."}, {"Ben has a horse."}]


def test_unusable_observations_are_counted(tmp_path: Path) -> None:
    wrong: list[Any] = [
        ["Ann sings.", "D9:1"],
        ["Ann sings."],
        ["Ann sings.", None],
        ["", "D1:1"],
        [],
        None,
        [None, "D1:1"],
    ]
    record, _ = observed(
        tmp_path,
        {"session_1_observation": {"Ann": [*wrong, ["Ann dances.", "D1:1, D9:9"]], "Zoe": [["Zoe sings.", "D1:1"]]}},
    )
    assert len(record) == 1
    assert record.unusable == {"without a source page": 3, "without a text": 4, "of an unknown speaker": 1}


def session(number: int, memories: Sequence[dict[str, Any]], turns: int = 4) -> dict[str, Any]:
    said = [
        {"id": f"s{number}:{place}", "role": ("user", "assistant")[place % 2], "text": f"Turn {number}, {place}."}
        for place in range(turns)
    ]
    return {"id": f"s{number}", "date": f"2026-01-0{number}", "topic": "house", "turns": said, "memories": memories}


def write_personas(tmp_path: Path, *sessions: dict[str, Any], questions: Sequence[dict[str, Any]] = ()) -> Path:
    file = tmp_path / "realmem.jsonl"
    file.write_text(
        json.dumps({"id": "Ana", "sessions": sessions, "questions": list(questions)}) + "\n", encoding="utf-8"
    )
    return file


def test_memories_appear_at_their_turn_or_at_the_end_of_their_session(tmp_path: Path) -> None:
    memories: list[dict[str, Any]] = [
        {"turn": None, "text": "Later."},
        {"turn": "s1:1", "text": "First."},
        {"turn": "s1:2", "text": "Third."},
    ]
    file = write_personas(tmp_path, session(1, memories, turns=5), session(2, [{"turn": "s2:0", "text": "Next day."}]))
    (persona,) = read_personas(file)
    pages = [page(number, it.user_id, it.assistant_id) for number, it in enumerate(persona.exchanges, 1)]
    found = read(RecordedAnalyst(read_memories(file)), pages).facts
    assert [(each.text, each.source_page_ids) for each in found] == [
        ("First.", ("page-1",)),
        ("Third.", ("page-2",)),
        ("Later.", ("page-3",)),
        ("Next day.", ("page-4",)),
    ]
    assert {each.subject for each in found} == {"user"}


@pytest.mark.parametrize(
    ("text", "kind", "status"),
    [
        ("User prefers evenings free for study.", "preference", None),
        ("【Other Fitness Attributes】 User prefers short sessions.", "preference", None),
        ("【Travel Plan】 Day 4: from the lake to the farm.", "plan", "open"),
        ("User plans to book a doctor's appointment.", "plan", "open"),
        ("Deliver comprehensive draft analysis (Postponed)", "plan", "paused"),
        ("【Training Schedule】 Session on Monday (Completed).", "plan", "done"),
        ("【Travel Plan】 User has confirmed the route.", "decision", None),
        ("AI has proposed three names.", "advice", None),
        ("The assistant will prepare a list.", "promise", "open"),
        ("User is located in Berlin.", "fact", None),
        ("【Progress Tracking】 The draft has four chapters.", "fact", None),
    ],
)
def test_kind_and_status_of_a_memory(tmp_path: Path, text: str, kind: str, status: str | None) -> None:
    file = write_personas(tmp_path, session(1, [{"turn": "s1:0", "text": text}]))
    (fact,) = read(RecordedAnalyst(read_memories(file)), [page(1, "s1:0", "s1:1")]).facts
    assert (fact.text, fact.kind, fact.status) == (text, kind, status)


def test_unusable_memories_are_counted(tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = [
        {"turn": "s9:0", "text": "Lost."},
        {"turn": 7, "text": "Lost."},
        {"turn": "s1:0", "text": " "},
        {"turn": None},
    ]
    lost = session(2, [{"turn": None, "text": "Lost."}], turns=0)
    record = read_memories(write_personas(tmp_path, session(1, [*wrong, {"text": "Found."}]), lost))
    assert len(record) == 1
    assert record.unusable == {"without a source page": 3, "without a text": 2}
