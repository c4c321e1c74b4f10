"""Reading: every page is read once in log order; facts belong to readings; current slots do not depend on the order."""

from __future__ import annotations

import json
import re
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.errors import AnalystUnavailableError, ConfigError, InvalidReplyError
from memoryos.memory import Memory
from memoryos.model import Origin, Page
from memoryos.seams import Batch, Fact, Meter, Reading, Topic
from memoryos.storage.schema import facts, pages, readings
from memoryos.testing import FixedClock, HashEmbedder, ScriptedAnalyst
from tests.conftest import EngineMaker

START = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
STATED = re.compile(r"(\w+)=(\w+)(?:;(\w+))?")


class StatementAnalyst(ScriptedAnalyst):
    """Extracts a fact from each text such as "home=Oslo", and a retraction from "home=none".

    A text such as "home=Oslo;crash" raises the error named after the semicolon at the first reading.
    """

    def __init__(self, *, reads_immediately: bool = False) -> None:
        super().__init__(reads_immediately=reads_immediately)
        self.raised: set[str] = set()
        self.is_down = False

    def read(self, batch: Batch, meter: Meter) -> Reading:
        if self.is_down:
            raise AnalystUnavailableError("down")
        read = super().read(batch, meter)
        found = [fact for page in batch.pages for fact in self._facts(page, batch)]
        return Reading(read.continues, read.chain_summaries, read.topics, tuple(found))

    def _facts(self, page: Page, batch: Batch) -> list[Fact]:
        match = STATED.fullmatch(page.user_text)
        if match is None:
            return []
        slot, value, error = match.groups()
        if error and page.page_id not in self.raised:
            self.raised.add(page.page_id)
            raise RuntimeError("simulated crash") if error == "crash" else InvalidReplyError("nonsense")
        ended = value == "none"
        sources = (page.page_id,)
        text = f"{slot} is {value}"
        subject = batch.subject(page, "user")
        return [
            Fact("user", text, sources, subject=subject, slot=slot, value=None if ended else value, valid_until=page.at if ended else None)
        ]  # fmt: skip


class Guessing(StatementAnalyst):
    """A fallback analyst whose facts differ from those of ``StatementAnalyst``."""

    @property
    def origin(self) -> Origin:
        return Origin("other", "1")

    def _facts(self, page: Page, batch: Batch) -> list[Fact]:  # noqa: ARG002
        return [Fact("user", f"guess {page.user_text}", (page.page_id,))]


def open_engine(folder: str, clock: FixedClock, analyst: ScriptedAnalyst, fallback: ScriptedAnalyst | None = None, **settings: Any) -> MemoryEngine:  # fmt: skip
    config = Config(data_storage_path=Path(folder), background=False, **settings)
    return MemoryEngine(config, embedder=HashEmbedder(), analyst=analyst, fallback_analyst=fallback, clock=clock)


def rows(memory: Memory) -> tuple[list[Any], list[Any], list[Any]]:
    """Returns the rows of pages, readings and facts."""
    store, scope_id = memory._modules.store, memory._handle.find()
    with store._database.read(scope_id) as connection:
        return tuple(  # type: ignore[return-value]
            connection.execute(sa.select(table).where(table.c.scope_id == scope_id)).all() for table in (pages, readings, facts)
        )  # fmt: skip


def check(memory: Memory, *, flushed: bool) -> None:
    """Checks that each page is either due or read in exactly one reading, and that each fact belongs to a reading."""
    page_rows, reading_rows, fact_rows = rows(memory)
    read_ids: dict[str, set[int]] = {row.reading_id: set() for row in reading_rows}
    for page in page_rows:
        assert (page.segment_id is None) == (page.reading_id is None) == (page.chain_id is None)
        if page.reading_id is not None:
            read_ids[page.reading_id].add(page.seq)
    seqs = {page.seq for page in page_rows}
    for row in reading_rows:
        assert row.shown_from_seq <= row.first_seq <= row.last_seq
        inside = {seq for seq in seqs if row.first_seq <= seq <= row.last_seq}
        assert read_ids[row.reading_id] == inside, "a reading contains neighbouring pages, and no other reading does"
        assert inside
    reading_of = {page.page_id: page.reading_id for page in page_rows}
    for fact in fact_rows:
        assert fact.reading_id in read_ids
        assert {reading_of[page_id] for page_id in fact.source_page_ids} == {fact.reading_id}
    due = [page for page in page_rows if page.segment_id is None]
    assert memory.get_memory_stats()["pages_due"] == len(due)
    if flushed:
        assert due == []
    assert memory._modules.store.verify() == []


statements = st.sampled_from(
    ["home=Oslo", "home=Rome", "home=none", "job=nurse", "pet=Rex", "pet=none", "home=Bonn;crash", "job=cook;error", "I like tea"]
)  # fmt: skip
actions = st.lists(
    st.one_of(
        st.tuples(st.just("add"), statements, st.integers(-30, 30)),
        st.tuples(st.just("flush"), st.just(""), st.just(0)),
        st.tuples(st.just("worker"), st.just(""), st.just(0)),
        st.tuples(st.just("outage"), st.just(""), st.just(0)),
        st.tuples(st.just("reopen"), st.just(""), st.just(0)),
        st.tuples(st.just("forget"), st.just(""), st.integers(0, 40)),
        st.tuples(st.just("import"), statements, st.integers(-300, -100)),
    ),
    max_size=25,
)


@settings(max_examples=30)
@given(actions, st.integers(1, 14), st.integers(0, 3), st.booleans(), st.booleans())
def test_each_page_is_read_once_or_due(
    script: list[tuple[str, str, int]], batch: int, window: int, immediate: bool, has_fallback: bool
) -> None:
    clock = FixedClock(START)
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"consolidation_batch": batch, "short_term_capacity": window}
        analyst = StatementAnalyst(reads_immediately=immediate)
        fallback = Guessing() if has_fallback else None
        engines = [open_engine(folder, clock, analyst, fallback, **options) for _ in range(2)]
        for number, (action, text, amount) in enumerate(script):
            clock.advance(hours=2)
            memory = engines[number % 2].memory("u")
            if action == "add":
                memory.add_memory(text, "", timestamp=clock() + timedelta(minutes=amount))
            elif action == "import":
                line = json.dumps(
                    {
                        "user_input": text,
                        "agent_response": "ok",
                        "timestamp": (clock() + timedelta(days=amount)).isoformat(),
                    }
                )
                file = Path(folder) / f"import-{number}.jsonl"
                file.write_text(line + "\n")
                memory.load(file)
            elif action == "forget":
                stored = list(memory.pages())
                if stored:
                    forget_and_check(memory, stored[amount % len(stored)])
            elif action == "reopen":
                engines[number % 2].close()
                engines[number % 2] = open_engine(folder, clock, analyst, fallback, **options)
            else:
                analyst.is_down = action == "outage"
                flush_through(memory, everything=action != "worker")
                analyst.is_down = False
            check(engines[number % 2].memory("u"), flushed=False)
        memory = engines[0].memory("u")
        for _ in range(30):
            stats = memory.get_memory_stats()
            if flush_through(memory, everything=True) and not stats["pages_provisional"] + stats["pages_due"]:
                break
        check(memory, flushed=True)
        assert memory.get_memory_stats()["pages_provisional"] == 0
        for engine in engines:
            engine.close()


def flush_through(memory: Memory, *, everything: bool) -> bool:
    """Runs the due steps; returns False if the analyst failed."""
    try:
        if memory._handle.exists:
            memory._modules.updater.drain(memory._handle.find(), everything=everything)
    except (RuntimeError, InvalidReplyError, AnalystUnavailableError):
        return False
    return True


def forget_and_check(memory: Memory, page: Page) -> None:
    """Forgets a page, and checks that no fact is left of a reading that was shown it."""
    _, reading_rows, fact_rows = rows(memory)
    saw = {row.reading_id for row in reading_rows if row.shown_from_seq <= page.seq <= row.last_seq}
    lost = {row.fact_id for row in fact_rows if row.reading_id in saw}
    memory.forget(page_ids=[page.page_id])
    _, reading_rows, fact_rows = rows(memory)
    assert saw.isdisjoint(row.reading_id for row in reading_rows)
    assert lost.isdisjoint(row.fact_id for row in fact_rows)


def current_slots(memory: Memory) -> list[tuple[str, str | None]]:
    return sorted((str(each.slot), each.value) for each in memory.knowledge(None) if each.slot is not None)


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(["home=Oslo", "home=Rome", "home=none", "job=nurse", "pet=Rex", "pet=none", "pet=Tom"]), max_size=9),
    st.randoms(use_true_random=False),
    st.integers(1, 12),
)  # fmt: skip
def test_current_slots_do_not_depend_on_the_order_of_reading(said: list[str], random: Any, batch: int) -> None:
    timed = [(text, START + timedelta(days=number)) for number, text in enumerate(said)]
    shuffled = random.sample(timed, len(timed))
    found = []
    for order, size in ((timed, 12), (shuffled, batch)):
        clock = FixedClock(START + timedelta(days=400))
        with (
            tempfile.TemporaryDirectory() as folder,
            open_engine(folder, clock, StatementAnalyst(), consolidation_batch=size) as engine,
        ):
            memory = engine.memory("u")
            for number, (text, at) in enumerate(order):
                memory.add_memory(text, "", timestamp=at)
                if number % batch == 0:
                    memory.flush()
            memory.flush()
            found.append(current_slots(memory))
    assert found[0] == found[1]


def test_pages_in_the_window_are_read(make_engine: EngineMaker) -> None:
    memory = make_engine(analyst=StatementAnalyst(), short_term_capacity=7).memory("u")
    memory.add_memory("job=nurse", "Nice.")
    memory.flush()
    assert [each.value for each in memory.profile.attributes] == ["nurse"]
    assert [each.text for each in memory.knowledge()] == ["job is nurse"]


def test_an_analyst_reads_when_a_batch_is_full(make_engine: EngineMaker) -> None:
    analyst = ScriptedAnalyst()
    memory = make_engine(analyst=analyst, consolidation_batch=4).memory("u")
    for number in range(7):
        memory.add_memory(f"page {number}", "")
    flush_through(memory, everything=False)
    assert [len(batch.pages) for kind, batch in analyst.calls if kind == "read"] == [4]
    memory.flush()
    assert [len(batch.pages) for kind, batch in analyst.calls if kind == "read"] == [4, 3]


def test_an_immediate_analyst_reads_single_pages(make_engine: EngineMaker) -> None:
    analyst = ScriptedAnalyst(reads_immediately=True)
    memory = make_engine(analyst=analyst, consolidation_batch=4).memory("u")
    memory.add_memory("page", "")
    flush_through(memory, everything=False)
    assert [len(batch.pages) for kind, batch in analyst.calls if kind == "read"] == [1]


def test_batch_shows_what_came_before_and_what_is_known(make_engine: EngineMaker) -> None:
    class Chained(StatementAnalyst):
        def read(self, batch: Batch, meter: Meter) -> Reading:
            read = super().read(batch, meter)
            tea = [Fact("user", "Drinks green tea", (page.page_id,)) for page in batch.pages if "tea" in page.user_text]
            return Reading(read.continues, ("about tea",), read.topics, (*read.facts, *tea))

    analyst = Chained()
    memory = make_engine(analyst=analyst).memory("u")
    for text in ("home=Oslo", "I drink green tea", "Rex barks"):
        memory.add_memory(text, "", meta_data={"user_name": "Ann"})
    memory.flush()
    memory.add_memory("More green tea today", "", meta_data={"user_name": "Bob"})
    memory.flush()
    batch: Batch = next(given for kind, given in reversed(analyst.calls) if kind == "read")
    assert [page.user_text for page in batch.before] == ["I drink green tea", "Rex barks"]
    assert batch.before_summary == "about tea"
    assert batch.before_vector is not None
    assert [each.value for each in batch.slots] == ["Oslo"]
    assert [each.text for each in batch.related] == ["Drinks green tea"]
    assert [batch.subject(page, "user") for page in batch.pages] == ["Bob"]
    assert batch.subject(batch.before[0], "user") == "user"


def test_reading_with_invalid_facts_is_refused(make_engine: EngineMaker) -> None:
    def read_with(**changes: Any) -> Any:
        def read(batch: Batch) -> Reading:
            fact: dict[str, Any] = {
                "about": "user",
                "text": "x",
                "source_page_ids": (batch.pages[0].page_id,),
            } | changes
            topic = Topic("t", frozenset({"t"}), tuple(page.page_id for page in batch.pages))
            return Reading((False,), ("c",), (topic,), (Fact(**fact),))

        return read

    invalid: list[dict[str, Any]] = [
        {"text": " "}, {"source_page_ids": ()}, {"source_page_ids": ("other",)}, {"slot": "shoe_size", "value": "43"},
        {"replaces": ("unknown",)}, {"replaces": ("#0",)},
    ]  # fmt: skip
    analyst = ScriptedAnalyst(readings=[read_with(**each) for each in invalid])
    memory = make_engine(analyst=analyst).memory("u")
    memory.add_memory("page", "")
    for _ in invalid:
        with pytest.raises(InvalidReplyError):
            memory.flush()
        assert memory.get_memory_stats()["pages_due"] == 1
    memory.flush()
    assert memory.get_memory_stats()["pages_due"] == 0


def test_a_later_fact_replaces_an_earlier_one_by_the_time_it_was_said(make_engine: EngineMaker) -> None:
    """An import can append older pages: then the fact that is known already replaces the one that was just read."""

    class Replacing(ScriptedAnalyst):
        def read(self, batch: Batch, meter: Meter) -> Reading:
            read = super().read(batch, meter)
            found = [
                Fact(
                    "user", page.user_text, (page.page_id,), replaces=tuple(each.knowledge_id for each in batch.related)
                )
                for page in batch.pages
            ]
            return Reading(read.continues, read.chain_summaries, read.topics, tuple(found))

    memory = make_engine(analyst=Replacing()).memory("u")
    memory.add_memory("likes strong green tea", "", timestamp=START)
    memory.flush()
    memory.add_memory("likes weak green tea", "", timestamp=START - timedelta(days=9))
    memory.flush()
    assert [each.text for each in memory.knowledge()] == ["likes strong green tea"]
    memory.add_memory("likes no green tea", "", timestamp=START + timedelta(days=1))
    memory.flush()
    assert [each.text for each in memory.knowledge()] == ["likes no green tea"]


def test_a_retraction_ends_a_fact_without_a_successor(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(analyst=StatementAnalyst()).memory("u")
    for text in ("home=Oslo", "pet=Rex", "pet=Tom"):
        memory.add_memory(text, "")
        clock.advance(days=1)
    memory.flush()
    assert current_slots(memory) == [("home", "Oslo"), ("pet", "Rex"), ("pet", "Tom")]
    memory.add_memory("home=none", "")
    memory.flush()
    assert current_slots(memory) == [("pet", "Rex"), ("pet", "Tom")]
    page = next(page for page in memory.pages() if page.user_text == "home=none")
    memory.forget(page_ids=[page.page_id])
    memory.flush()
    assert current_slots(memory) == [("home", "Oslo"), ("pet", "Rex"), ("pet", "Tom")]


def test_status_of_a_plan_changes_and_the_event_is_kept(make_engine: EngineMaker, clock: FixedClock) -> None:
    def plan(batch: Batch) -> Reading:
        return _reading(batch, Fact("user", "Runs a marathon in May", _ids(batch), kind="plan", status="open"))

    def done(batch: Batch) -> Reading:
        known = next(each for each in batch.related if each.kind == "plan")
        changed = Fact("user", known.text, _ids(batch), kind="plan", status="done", replaces=(known.knowledge_id,))
        return _reading(batch, changed, Fact("user", "Ran a marathon on 3 May", _ids(batch), kind="event"))

    memory = make_engine(analyst=ScriptedAnalyst(readings=[plan, done])).memory("u")
    memory.add_memory("I will run a marathon in May", "")
    memory.flush()
    assert [(each.kind, each.status) for each in memory.knowledge()] == [("plan", "open")]
    clock.advance(days=3)
    memory.add_memory("I ran the marathon!", "")
    memory.flush()
    assert sorted((each.kind, each.status) for each in memory.knowledge()) == [("event", None), ("plan", "done")]
    prompt = memory.recall("marathon").to_prompt()
    assert "Runs a marathon in May (done)" in prompt
    assert [(each.status) for each in memory.history(memory.knowledge()[0].knowledge_id)]


def _ids(batch: Batch) -> tuple[str, ...]:
    return tuple(page.page_id for page in batch.pages)


def _reading(batch: Batch, *found: Fact) -> Reading:
    linked = (bool(batch.before), *(True for _ in batch.pages[1:]))
    return Reading(linked, ("chain",), (Topic("topic", frozenset({"topic"}), _ids(batch)),), found)


def test_contradicting_statements_of_one_time_are_shown_as_conflicting(make_engine: EngineMaker) -> None:
    def both(batch: Batch) -> Reading:
        homes = [Fact("user", f"Lives in {city}", _ids(batch), slot="home", value=city) for city in ("Oslo", "Rome")]
        return _reading(batch, *homes)

    memory = make_engine(analyst=ScriptedAnalyst(readings=[both])).memory("u")
    memory.add_memory("I live in Oslo and in Rome", "")
    memory.flush()
    found = memory.knowledge()
    assert [len(each.conflicts_with) for each in found] == [1, 1]
    assert memory.recall("Where do I live?").to_prompt().count("contradicted at the same time") == 2


def test_other_speakers_have_their_own_slots(make_engine: EngineMaker) -> None:
    memory = make_engine(analyst=StatementAnalyst()).memory("group")
    for name, text in (("Ann", "home=Oslo"), ("Bob", "home=Rome"), ("ann", "job=nurse"), (None, "pet=Rex")):
        memory.add_memory(text, "", meta_data={"user_name": name} if name else None)
    memory.flush()
    assert {each.name: each.value for each in memory.profile.attributes} == {
        "home": "Oslo",
        "job": "nurse",
        "pet": "Rex",
    }
    assert {each.name: each.value for each in memory.profile_of("Bob").attributes} == {"home": "Rome"}
    assert "- Bob: home is Rome" in memory.recall("home").to_prompt()


def test_paper_settings_recall_only_facts_of_hot_segments(make_engine: EngineMaker) -> None:
    memory = make_engine(analyst=StatementAnalyst(), lasting_facts_only=True, mid_term_heat_threshold=3).memory("u")
    memory.add_memory("home=Oslo", "")
    memory.flush()
    assert [each.text for each in memory.recall("home").knowledge] == []
    for number in range(4):
        memory.add_memory(f"home and garden {number}", "")
    memory.flush()
    assert [each.text for each in memory.recall("home").knowledge] == ["home is Oslo"]
    assert memory.get_memory_stats()["profile_version"] == 0, "no trait was inferred, and no model call was needed"


def test_readings_of_the_fallback_are_replaced_with_their_facts(make_engine: EngineMaker, clock: FixedClock) -> None:
    analyst, fallback = StatementAnalyst(), Guessing()
    memory = make_engine(analyst=analyst, fallback_analyst=fallback, consolidation_batch=3).memory("u")
    analyst.is_down = True
    for text in ("home=Oslo", "job=nurse", "tea", "pet=Rex"):
        memory.add_memory(text, "")
    memory.flush()
    assert {each.text for each in memory.knowledge()} == {
        "guess home=Oslo",
        "guess job=nurse",
        "guess tea",
        "guess pet=Rex",
    }
    assert memory.get_memory_stats()["pages_provisional"] == 4
    analyst.is_down = False
    clock.advance(hours=5)
    memory.flush()
    assert {each.text for each in memory.knowledge(None, history=True)} == {
        "home is Oslo",
        "job is nurse",
        "pet is Rex",
    }
    assert memory.get_memory_stats()["pages_provisional"] == 0
    check(memory, flushed=True)


def test_a_crash_while_reading_loses_nothing(make_engine: EngineMaker) -> None:
    memory = make_engine(analyst=StatementAnalyst()).memory("u")
    memory.add_memory("home=Bonn;crash", "")
    with pytest.raises(RuntimeError, match="simulated crash"):
        memory.flush()
    check(memory, flushed=False)
    memory.flush()
    assert current_slots(memory) == [("home", "Bonn")]


def test_analysts_of_earlier_releases_are_refused(make_engine: EngineMaker) -> None:
    class Old:
        origin = None

        def digest(self, batch: Any, meter: Any) -> None: ...

        def learn(self, material: Any, meter: Any) -> None: ...

    with pytest.raises(ConfigError, match="has no method 'read'"):
        make_engine(analyst=Old())


def test_segments_with_pages_in_the_window_are_not_archived(make_engine: EngineMaker) -> None:
    class OneEach(ScriptedAnalyst):
        def read(self, batch: Batch, meter: Meter) -> Reading:  # noqa: ARG002
            word = batch.pages[0].user_text.split()[0]
            return Reading((False,), (word,), (Topic(word, frozenset({word}), _ids(batch)),))

    memory = make_engine(
        analyst=OneEach(), consolidation_batch=1, mid_term_capacity=2, short_term_capacity=3, mid_term_similarity_threshold=2
    ).memory("u")  # fmt: skip
    for text in ("apples", "boats", "clouds", "dogs"):
        memory.add_memory(text, "")
    memory.flush()
    assert [each.summary for each in memory.segments(archived=True)] == ["apples"]
    assert [each.summary for each in memory.segments()] == ["boats", "clouds", "dogs"]
    assert [page.user_text for page in memory.recall("boats").short_term] == ["boats", "clouds", "dogs"]


def test_capacity_archives_the_oldest_facts_but_no_slots(make_engine: EngineMaker, clock: FixedClock) -> None:
    class Listing(StatementAnalyst):
        def _facts(self, page: Page, batch: Batch) -> list[Fact]:
            return super()._facts(page, batch) or [Fact("user", page.user_text, (page.page_id,))]

    memory = make_engine(analyst=Listing(), long_term_knowledge_capacity=4, consolidation_batch=2).memory("u")
    for text in ("home=Oslo", *(f"likes thing {number}" for number in range(7))):
        memory.add_memory(text, "")
        clock.advance(minutes=1)
    memory.flush()
    assert [each.text for each in memory.knowledge()] == [
        "home is Oslo",
        "likes thing 4",
        "likes thing 5",
        "likes thing 6",
    ]
    assert len(memory.knowledge(history=True)) == 8


def test_drafts_are_read_in_log_order(make_engine: EngineMaker) -> None:
    analyst = ScriptedAnalyst()
    memory = make_engine(analyst=analyst, consolidation_batch=12).memory("u")
    for number in range(30):
        memory.add_memory(f"page {number}", "")
    memory.flush()
    read = [page.user_text for kind, batch in analyst.calls if kind == "read" for page in batch.pages]
    assert read == [f"page {number}" for number in range(30)]
    assert [len(batch.pages) for kind, batch in analyst.calls if kind == "read"] == [12, 12, 6]


def test_a_correction_survives_forgetting_a_neighbour_and_a_redo(make_engine: EngineMaker, clock: FixedClock) -> None:
    analyst, fallback = StatementAnalyst(), Guessing()
    memory = make_engine(analyst=analyst, fallback_analyst=fallback).memory("u")
    analyst.is_down = True
    for text in ("job=nurse", "home=Oslo"):
        memory.add_memory(text, "")
        clock.advance(minutes=1)
    memory.flush()
    wrong = next(each for each in memory.knowledge() if "nurse" in each.text)
    right = memory.correct(wrong.knowledge_id, "is a midwife")
    analyst.is_down = False
    clock.advance(hours=5)
    memory.flush()
    assert right.text in [each.text for each in memory.knowledge()]
    memory.forget(page_ids=[next(page.page_id for page in memory.pages() if page.user_text == "home=Oslo")])
    assert right.text in [each.text for each in memory.knowledge()]
    memory.forget(knowledge_ids=[right.knowledge_id])
    memory.flush()
    assert not any("guess job" in each.text for each in memory.knowledge()), "the wrong fact does not return"


def test_pages_of_one_time_count_in_log_order(make_engine: EngineMaker) -> None:
    memory = make_engine(analyst=StatementAnalyst()).memory("u")
    for text in ("home=Oslo", "home=Rome", "pet=Rex", "pet=none"):
        memory.add_memory(text, "", timestamp=START)
    memory.flush()
    assert current_slots(memory) == [("home", "Rome")]


def test_a_replaced_fact_does_not_return_when_its_page_is_read_again(make_engine: EngineMaker) -> None:
    class Replacing(StatementAnalyst):
        def _facts(self, page: Page, batch: Batch) -> list[Fact]:
            if page.user_text == "no green tea":
                known = tuple(each.knowledge_id for each in batch.related)
                return [Fact("user", "drinks no green tea", (page.page_id,), replaces=known)]
            return [Fact("user", f"drinks {page.user_text}", (page.page_id,))]

    memory = make_engine(analyst=Replacing(), consolidation_batch=2).memory("u")
    for text in ("green tea", "water", "juice", "milk", "no green tea"):
        memory.add_memory(text, "")
        if text == "milk":
            memory.flush()
    memory.flush()
    assert "drinks green tea" not in [each.text for each in memory.knowledge()]
    memory.forget(page_ids=[next(page.page_id for page in memory.pages() if page.user_text == "water")])
    memory.flush()
    texts = [each.text for each in memory.knowledge()]
    assert "drinks no green tea" in texts
    assert "drinks green tea" not in texts


def test_a_chain_summary_that_was_only_shown_is_forgotten_too(make_engine: EngineMaker) -> None:
    class Copying(ScriptedAnalyst):
        """Starts a chain with each batch, and copies the summary of the chain before it."""

        def read(self, batch: Batch, meter: Meter) -> Reading:
            super().read(batch, meter)
            linked = (False, *(True for _ in batch.pages[1:]))
            summary = " ".join(page.user_text for page in batch.pages)
            topic = Topic("t", frozenset({"t"}), _ids(batch))
            shown = Fact("user", f"shown: {batch.before_summary}", _ids(batch))
            return Reading(linked, (summary,), (topic,), (shown,))

    memory = make_engine(analyst=Copying(), consolidation_batch=4).memory("u")
    for text in ("the secret", "two", "three", "four", "five", "six", "seven"):
        memory.add_memory(text, "")
    memory.flush()
    assert any("secret" in each.text for each in memory.knowledge())
    memory.forget(page_ids=[next(memory.pages()).page_id])
    assert not any("secret" in each.text for each in memory.knowledge(None, history=True))
    memory.flush()
    assert not any("secret" in each.text for each in memory.knowledge(None, history=True))


def test_a_deletion_that_another_process_completed_changes_nothing_more(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = make_engine(analyst=StatementAnalyst(), consolidation_batch=2).memory("u")
    other = make_engine(analyst=StatementAnalyst(), consolidation_batch=2).memory("u")
    for text in ("home=Oslo", "job=nurse", "pet=Rex", "tea", "milk"):
        memory.add_memory(text, "")
    memory.flush()
    is_first = iter([True])

    def pause(_: float) -> None:
        if next(is_first, False):
            with other.engine.updater.leases.seize(other._handle.find()):
                other.engine.store.forgetting.complete(other._handle.find())
            other.flush()

    monkeypatch.setattr("memoryos.storage.deletion.time.sleep", pause)
    memory.forget(page_ids=[next(memory.pages()).page_id])
    monkeypatch.undo()
    memory.flush()
    check(memory, flushed=True)


def test_a_fact_that_cannot_be_stored_is_refused(make_engine: EngineMaker) -> None:
    def read_with(**changes: Any) -> Any:
        return lambda batch: _reading(
            batch, Fact(**({"about": "user", "text": "x", "source_page_ids": _ids(batch)} | changes))
        )

    invalid: list[dict[str, Any]] = [
        {"text": "a\0b"}, {"text": "\ud800"}, {"subject": "\0"}, {"value": ["x"], "slot": "home"}, {"text": "x" * 9_000},
        {"about": "me"}, {"kind": "rumour"}, {"status": "late"}, {"valid_from": START.replace(tzinfo=None)}, {"slot": "home"},
        {"replaces": (3,)},
    ]  # fmt: skip
    analyst = ScriptedAnalyst(readings=[read_with(**each) for each in invalid])
    memory = make_engine(analyst=analyst).memory("u")
    memory.add_memory("page", "")
    for _ in invalid:
        with pytest.raises(InvalidReplyError):
            memory.flush()
    memory.flush()
    assert memory.knowledge(history=True) == []
