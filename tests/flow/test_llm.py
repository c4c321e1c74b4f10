"""End-to-end tests of the LLM analyst with a local OpenAI-compatible endpoint that also fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from benchmarks.llm.schedules import run_schedule

from memoryos import Memoryos
from memoryos.engine import MemoryEngine
from memoryos.errors import AnalystError, AnalystUnavailableError, BudgetExceededError, InvalidReplyError
from memoryos.memory import Memory
from memoryos.testing import Behaviour, FakeOpenAIServer, FixedClock, HashEmbedder
from memoryos.updating import worker
from tests.conftest import EngineMaker
from tests.waiting import TIMEOUT_SECONDS

pytestmark = pytest.mark.enable_socket

LINES = [
    ("I'm Tom and I work as a data scientist in Utrecht.", "Nice to meet you, Tom."),
    ("My sister Nora lives in Porto and plays the violin.", "Porto is lovely in spring."),
    ("I love baking rye bread on Sundays.", "I recommend a long fermentation."),
    ("We went sailing near Porto last week.", "Was the wind kind to you?"),
    ("I bought a new violin for my sister.", "That is generous of you."),
    ("My oven broke, so no bread this Sunday.", "I can help you find a repair shop."),
]
FAILING: dict[Behaviour, type[AnalystError]] = {
    "slow": AnalystUnavailableError,
    "429": AnalystUnavailableError,
    "500": AnalystUnavailableError,
    "401": AnalystUnavailableError,
    "dropped": AnalystUnavailableError,
    "truncated": InvalidReplyError,
    "wrong schema": InvalidReplyError,
    "empty": InvalidReplyError,
    "wrong language": InvalidReplyError,
    "no completion": InvalidReplyError,
    "withheld": InvalidReplyError,
}


@pytest.fixture
def server() -> Iterator[FakeOpenAIServer]:
    with FakeOpenAIServer(slow_seconds=TIMEOUT_SECONDS) as running:
        yield running


def settings(server: FakeOpenAIServer, behaviour: Behaviour = "ok", **given: Any) -> dict[str, Any]:
    """Returns settings for the server; the timeout is short only in tests of slow replies."""
    return {
        "openai_api_key": "sk-test-1234567890",
        "openai_base_url": server.base_url,
        "llm_max_retries": 0,
        "llm_timeout_seconds": 4.0 if behaviour == "slow" else TIMEOUT_SECONDS,
        "short_term_capacity": 0,
    } | given


def add_all(memory: Memory, clock: FixedClock) -> None:
    for user, assistant in LINES:
        memory.add_memory(user, assistant, clock())
        clock.advance(minutes=1)


def purposes(server: FakeOpenAIServer) -> list[str]:
    formats = [body.get("response_format") for body in server.requests]
    return [each["json_schema"]["name"] if each else "answer" for each in formats]


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_llm_failures_at_any_time_lose_no_page_and_store_no_invalid_reply(first: int, tmp_path: Path) -> None:
    behaved = [run_schedule(seed, tmp_path) for seed in range(first, first + 10)]
    assert sum(each.total() - each["ok"] for each in behaved) > 0


def test_one_llm_call_per_batch_and_one_per_hot_segment(
    make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock
) -> None:
    memory = make_engine(**settings(server)).memory("tom")
    add_all(memory, clock)
    memory.flush()
    assert sorted(purposes(server)) == ["profile", "read"]
    assert {each.purpose: each.calls for each in memory.costs()} == {"read": 1, "profile": 1}
    assert memory.get_memory_stats()["llm_tokens"] == sum(each.tokens for each in memory.costs()) > 0
    known = memory.knowledge()
    assert known
    assert {entry.origin.analyst for entry in known} == {"llm/gpt-4o-mini"}
    assert memory.heat()[0][0].page_count == len(LINES)


def test_answer_takes_one_llm_call_and_recall_none(
    make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock
) -> None:
    memory = make_engine(**settings(server)).memory("tom")
    add_all(memory, clock)
    recall = memory.recall("Where does Nora live?")
    assert server.requests == []
    answer = memory.get_response("Where does my sister Nora live?", remember=False)
    assert len(server.requests) == 1
    assert "Nora lives in Porto" in answer
    assert "<sources>" not in answer
    assert list(answer.sources) == [page.page_id for page in memory.pages() if "Nora lives" in page.user_text]
    assert answer.origin is not None
    assert answer.origin.analyst == "llm/gpt-4o-mini"
    assert recall.pages


def test_streamed_answer_equals_the_whole_answer_and_takes_one_call(
    make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock
) -> None:
    memory = make_engine(**settings(server)).memory("tom")
    add_all(memory, clock)
    whole = memory.get_response("Where does my sister Nora live?", remember=False)
    pieces = list(memory.get_response("Where does my sister Nora live?", stream=True))
    assert "".join(pieces) == whole
    assert len(pieces) > 3
    assert len(server.requests) == 2
    assert list(memory.pages())[-1].assistant_text == whole
    assert [each.calls for each in memory.costs() if each.purpose == "answer"] == [2]


def test_prompt_contains_relationship_and_style(
    make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock
) -> None:
    given = settings(
        server, agent_profile="You are Ada, a ship's cook.", standing_instructions="Never speak of the captain."
    )
    memory = make_engine(**given).memory("tom")
    add_all(memory, clock)
    memory.get_response("What do I bake?", "employer", "in rhymes", {"platform": "ship's radio"})
    system = server.requests[-1]["messages"][0]["content"]
    for part in ("You are Ada", "their employer", "Never speak of the captain", "in rhymes", "platform: ship's radio"):
        assert part in system
    assert "I love baking rye bread" in system
    assert "[1 May 2026]" in system
    assert server.requests[-1]["messages"][1] == {"role": "user", "content": "What do I bake?"}


@pytest.mark.parametrize("behaviour", FAILING)
def test_pages_wait_while_the_llm_fails_and_are_consolidated_when_it_returns(
    behaviour: Behaviour,
    make_engine: EngineMaker,
    server: FakeOpenAIServer,
    clock: FixedClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory = make_engine(**settings(server, behaviour)).memory("tom")
    add_all(memory, clock)
    server.behaviour = behaviour
    for _ in range(2):
        with caplog.at_level(logging.WARNING), pytest.raises(FAILING[behaviour]):
            memory.flush()
    stats = memory.get_memory_stats()
    assert stats["pages_due"] == len(LINES)
    assert stats["last_error"].startswith(f"read: {FAILING[behaviour].__name__}")
    assert stats["analyst_failures"] == 2
    assert any("'read' failed" in each.message and memory._handle.find() in each.message for each in caplog.records)
    assert "sk-test" not in caplog.text
    assert memory.segments() == []
    assert memory.recall("violin").pages, "due pages can be found"
    server.behaviour = "ok"
    memory.flush()
    stats = memory.get_memory_stats()
    assert (stats["pages_due"], stats["last_error"], stats["analyst_failures"]) == (0, None, 0)
    assert sum(each.page_count for each in memory.segments()) == len(LINES)


def test_valid_parts_of_a_reply_are_used(
    make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    server.behaviour = "invented ids"
    memory = make_engine(**settings(server)).memory("tom")
    add_all(memory, clock)
    with caplog.at_level(logging.INFO):
        memory.flush()
    page_ids = {page.page_id for page in memory.pages()}
    assert all(page_ids.issuperset(entry.source_page_ids) for entry in memory.knowledge(None, history=True))
    assert memory.get_memory_stats()["pages_due"] == 0
    assert "parts of a reply are not used" in caplog.text


@pytest.mark.parametrize("behaviour", FAILING)
def test_invalid_profiling_changes_nothing(
    behaviour: Behaviour, make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock
) -> None:
    memory = make_engine(**settings(server, behaviour)).memory("tom")
    add_all(memory, clock)
    server.behaviour = lambda body: "ok" if '"chains"' in body["messages"][0]["content"] else behaviour
    with pytest.raises(FAILING[behaviour]):
        memory.flush()
    assert memory.get_memory_stats()["last_error"].startswith(f"profile: {FAILING[behaviour].__name__}")
    assert memory.knowledge(), "the pages were read"
    assert memory.profile.version == 0
    server.behaviour = "ok"
    memory.flush()
    assert memory.profile.version == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("behaviour", [each for each in FAILING if each in {"slow", "429", "500", "empty", "dropped"}])
def test_failed_answer_raises_and_is_not_remembered(
    behaviour: Behaviour, stream: bool, make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock
) -> None:
    memory = make_engine(**settings(server, behaviour)).memory("tom")
    add_all(memory, clock)
    server.behaviour = behaviour
    with pytest.raises(FAILING[behaviour]):
        if stream:
            list(memory.get_response("Where does my sister Nora live, and why?", stream=True))
        else:
            memory.get_response("Where does my sister Nora live, and why?")
    assert len(list(memory.pages())) == len(LINES)
    assert memory.get_memory_stats()["last_error"].startswith("answer: ")


def test_reasoning_of_a_model_is_not_stored_or_returned(
    make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock
) -> None:
    server.behaviour = "thinking"
    memory = make_engine(**settings(server)).memory("tom")
    add_all(memory, clock)
    memory.flush()
    assert memory.segments()
    said = memory.get_response("Where does Nora live?", remember=False)
    assert said == "user: My sister Nora lives in Porto and plays the violin."
    assert "".join(memory.get_response("Where does Nora live?", stream=True)) == said


def test_adding_and_recalling_never_wait_for_the_llm(
    make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock
) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def hanging(_: dict[str, Any]) -> Behaviour:
        asked.set()
        may_answer.wait(TIMEOUT_SECONDS)
        return "ok"

    server.behaviour = hanging
    engine = make_engine(**settings(server, background=True, consolidation_batch=2))
    memory = engine.memory("tom")
    add_all(memory, clock)
    assert asked.wait(TIMEOUT_SECONDS)
    add_all(memory, clock)
    assert memory.recall("Where does Nora live?").pages
    assert not may_answer.is_set()
    may_answer.set()
    memory.flush(TIMEOUT_SECONDS)
    assert memory.get_memory_stats()["pages_due"] == 0


def test_closing_does_not_wait_for_a_hanging_llm(
    make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "STOP_TIMEOUT_SECONDS", 0.2)
    asked, may_answer = threading.Event(), threading.Event()

    def hanging(_: dict[str, Any]) -> Behaviour:
        asked.set()
        may_answer.wait(TIMEOUT_SECONDS)
        return "ok"

    server.behaviour = hanging
    given = settings(server, background=True, consolidation_batch=2)
    engine = make_engine(**given)
    add_all(engine.memory("tom"), clock)
    assert asked.wait(TIMEOUT_SECONDS)
    engine.close()
    assert not may_answer.is_set()
    may_answer.set()
    for thread in threading.enumerate():
        if thread.name == "memoryos-worker":
            thread.join(TIMEOUT_SECONDS)
    server.behaviour = "ok"
    memory = make_engine(**settings(server)).memory("tom")
    memory.flush()
    assert sum(each.page_count for each in memory.segments()) == len(LINES)


def test_retry_after_of_the_endpoint_sets_the_next_retry(
    make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock
) -> None:
    server.behaviour, server.retry_after = "429", "120"
    engine = make_engine(**settings(server))
    memory = engine.memory("tom")
    add_all(memory, clock)
    with pytest.raises(AnalystUnavailableError):
        memory.flush()
    retry_at = engine.store.scopes.state(memory._handle.find()).retry_at
    assert retry_at == clock() + timedelta(seconds=120)


def test_a_spent_budget_defers_consolidation_until_tomorrow(
    make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock
) -> None:
    memory = make_engine(**settings(server, llm_daily_tokens_per_scope=100)).memory("tom")
    add_all(memory, clock)
    memory.engine.updater.drain(memory._handle.find(), everything=False)
    with pytest.raises(BudgetExceededError):
        memory.flush()
    assert purposes(server) == ["read"]
    assert "BudgetExceededError" in memory.get_memory_stats()["last_error"]
    retry_at = memory.engine.store.scopes.state(memory._handle.find()).retry_at
    assert retry_at is not None
    assert (retry_at.hour, retry_at.date()) == (0, (clock() + timedelta(days=1)).date())
    assert memory.get_response("Where does Nora live?", remember=False)
    clock.advance(days=1)
    memory.flush()
    assert memory.knowledge()


def test_a_budget_of_the_store_counts_every_scope(
    make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock
) -> None:
    engine = make_engine(**settings(server, llm_daily_tokens=100, consolidation_batch=6))
    one, other = engine.memory("tom"), engine.memory("mia")
    add_all(one, clock)
    add_all(other, clock)
    with pytest.raises(BudgetExceededError):
        one.flush()
    with pytest.raises(BudgetExceededError):
        other.flush()
    assert other.costs() == []
    assert other.get_memory_stats()["pages_due"] == len(LINES)


def test_local_analyst_works_during_an_outage_and_is_redone_after_it(
    make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock
) -> None:
    server.behaviour = "500"
    given = settings(server, on_llm_failure="local", retry_base_seconds=0.001, retry_max_seconds=0.001)
    memory = make_engine(**given).memory("tom")
    add_all(memory, clock)
    memory.flush()
    stats = memory.get_memory_stats()
    assert (stats["pages_due"], stats["pages_provisional"]) == (0, len(LINES))
    assert stats["last_error"].startswith("redo: ")
    by_rules = memory.knowledge()
    assert by_rules
    assert {entry.origin.analyst for entry in by_rules} == {"local"}
    assert memory.get_response("Where does my sister Nora live?", remember=False).origin.analyst == "local"  # type: ignore[union-attr]
    server.behaviour = "ok"
    clock.advance(hours=2)
    memory.flush()
    stats = memory.get_memory_stats()
    assert (stats["pages_due"], stats["pages_provisional"], stats["last_error"]) == (0, 0, None)
    assert {entry.origin.analyst for entry in memory.knowledge(history=True)} == {"llm/gpt-4o-mini"}
    assert sum(each.page_count for each in memory.segments()) == len(LINES)
    assert memory.recall("Where does Nora live?").pages


def test_worker_redoes_the_work_of_the_fallback_analyst(
    make_engine: EngineMaker, server: FakeOpenAIServer, clock: FixedClock
) -> None:
    server.behaviour = "500"
    given = settings(
        server, on_llm_failure="local", retry_base_seconds=0.001, retry_max_seconds=0.001, background=True,
        consolidation_batch=2,
    )  # fmt: skip
    memory = make_engine(**given).memory("tom")
    add_all(memory, clock)
    memory.flush(TIMEOUT_SECONDS)
    assert memory.get_memory_stats()["pages_provisional"] == len(LINES)
    server.behaviour = "ok"
    clock.advance(hours=2)
    memory.add_memory("One more page about rye bread.", "", clock())
    for _ in range(400):
        if memory.get_memory_stats()["pages_provisional"] == 0:
            break
        threading.Event().wait(0.05)
    assert memory.get_memory_stats()["pages_provisional"] == 0


def test_documented_llm_snippet_works(server: FakeOpenAIServer, tmp_path: Path) -> None:
    memo = Memoryos(
        user_id="demo_user", openai_api_key="sk-real", openai_base_url=server.base_url,
        data_storage_path=str(tmp_path / "simple_demo_data"), llm_model="gpt-4o-mini", assistant_id="demo_assistant",
        short_term_capacity=7, mid_term_heat_threshold=5, retrieval_queue_capacity=7, long_term_knowledge_capacity=100,
        embedder=HashEmbedder(),
    )  # fmt: skip
    memo.add_memory(
        user_input="Hi! I'm Tom, I work as a data scientist in San Francisco.",
        agent_response="Hello Tom! Nice to meet you. What kind of data do you work with?",
    )
    response = memo.get_response(query="What do you remember about my job?")
    assert "data scientist" in response
    assert server.requests[0]["model"] == "gpt-4o-mini"
    memo.close()


def test_engine_with_an_llm_key_starts_without_network(make_engine: EngineMaker, clock: FixedClock) -> None:
    engine: MemoryEngine = make_engine(
        openai_api_key="sk-real", openai_base_url="http://127.0.0.1:9/v1", llm_max_retries=0
    )
    memory = engine.memory("tom")
    add_all(memory, clock)
    assert memory.recall("violin").short_term
    with pytest.raises(AnalystUnavailableError, match="can't be reached"):
        memory.get_response("Where does Nora live?")
