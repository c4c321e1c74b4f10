"""Tests Prometheus metrics: request counts by route, and the backlog with bounded query cost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from memoryos.analysts.llm import LLMAnalyst
from memoryos.doors.http.app import build_app
from memoryos.doors.http.metrics import CACHE_SECONDS, Metrics
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from memoryos.errors import StoreUnavailableError
from memoryos.language.passages import vector_model
from memoryos.testing import ScriptedChatModel
from tests.conftest import EngineMaker

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: str) -> Values:
    families = text_string_to_metric_families(text)
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value for family in families for each in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return read(metrics.text().decode())[(f"memoryos_{name}", tuple(sorted(labels.items())))]


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_requests_are_counted_by_route_and_status(make_engine: EngineMaker) -> None:
    with TestClient(build_app(make_engine(), ServerSettings()), base_url="http://127.0.0.1") as client:
        for name in ("tom", "ann", "to%2Fm"):
            client.post(f"/v1/users/{name}/pages", json={"user_input": "I met Zuvalka."})
        client.post("/v1/users/tom/pages", content=b"{")
        client.get("/v1/users/tom/pages?q=Zuvalka")
        client.get("/wp-admin.php")
        client.request("BREW", "/v1/users")
        client.get("/healthz", headers={"Host": "evil.example.org"})
        answer = client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    counts = {
        (labels["method"], labels["route"], labels["status"]): number
        for (name, pairs), number in read(answer.text).items()
        if name == "memoryos_request_seconds_count" and (labels := dict(pairs))
    }
    assert counts == {
        ("POST", "/v1/users/{user_id}/pages", "201"): 3, ("POST", "/v1/users/{user_id}/pages", "422"): 1,
        ("GET", "/v1/users/{user_id}/pages", "200"): 1, ("GET", "none", "404"): 1, ("other", "/v1/users", "405"): 1,
        ("GET", "none", "421"): 1,
    }  # fmt: skip
    assert "Zuvalka" not in answer.text


def test_backlog_metrics_match_the_scopes(make_engine: EngineMaker) -> None:
    engine = make_engine(short_term_capacity=2)
    for name, pages in (("tom", 5), ("ann", 1), ("eve", 3)):
        memory = engine.memory(name)
        for number in range(pages):
            memory.add_memory(f"I bake bread number {number}.")
    metrics, clock = Metrics(lambda: engine, seconds := Seconds()), seconds
    assert clock is seconds
    assert [value(metrics, name) for name in ("scopes", "pages_due", "pages_without_vector", "scopes_open")] == [
        3,
        9,
        9,
        0,
    ]
    stats = [engine.memory(name).get_memory_stats() for name in ("tom", "ann", "eve")]
    assert sum(each["pages_due"] for each in stats) == 9
    assert sum(each["pages_without_vector"] for each in stats) == 9
    engine.memory("tom").flush()
    engine.memory("tom").recall("bread")
    assert value(metrics, "pages_due") == 9, "the second scrape uses the cache"
    seconds.now += CACHE_SECONDS + 1
    assert [value(metrics, name) for name in ("pages_due", "pages_without_vector", "scopes_open")] == [4, 4, 1]
    assert value(metrics, "working_set_bytes") == engine.working_sets.nbytes > 0
    assert value(metrics, "scopes_failing") == 0


def test_new_embedder_makes_all_pages_due(make_engine: EngineMaker) -> None:
    engine = make_engine(short_term_capacity=0)
    memory = engine.memory("tom")
    memory.add_memory("I bake bread.")
    memory.flush()
    assert engine.store.totals.backlog(vector_model(engine.embedder.name)).pages_without_vector == 0
    assert engine.store.totals.backlog("another").pages_without_vector == 1
    assert engine.store.totals.backlog(vector_model(engine.embedder.name)).due_pages == 0


def test_model_usage_of_today(make_engine: EngineMaker) -> None:
    engine = make_engine(analyst=LLMAnalyst(ScriptedChatModel()))
    for name in ("tom", "ann"):
        engine.memory(name).get_response("Who am I?")
    metrics = Metrics(lambda: engine)
    assert value(metrics, "llm_calls_today", purpose="answer", model="scripted", outcome="done") == 2
    assert value(metrics, "llm_calls_today", purpose="answer", model="scripted", outcome="failed") == 0
    (spent,) = engine.store.totals.spent(engine.clock().date())
    assert (
        value(metrics, "llm_tokens_today", purpose="answer", model="scripted", direction="read")
        == spent.prompt_tokens
        > 0
    )
    assert engine.store.totals.spent(engine.clock().date() + timedelta(days=1)) == []


def test_unreadable_store_sets_store_up_to_zero(make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine()
    metrics = Metrics(lambda: engine)

    def fail(*_: object) -> None:
        raise StoreUnavailableError("locked")

    monkeypatch.setattr(engine.store.totals, "backlog", fail)
    metrics.observe("GET", "/healthz", 200, 0.1)
    found = {name for name, _ in read(metrics.text().decode())}
    assert value(metrics, "store_up") == 0
    assert "memoryos_request_seconds_count" in found
    assert "memoryos_scopes" not in found


def test_metrics_queries_use_an_index(make_engine: EngineMaker) -> None:
    engine: MemoryEngine = make_engine()
    engine.memory("tom").add_memory("I bake bread.")
    seen: list[str] = []
    with engine.store._database.read() as connection:
        connection.connection.set_trace_callback(seen.append)
    engine.store.totals.backlog("m")
    with engine.store._database.read() as connection:
        connection.connection.set_trace_callback(None)
        plans = [
            str(row[3])
            for text in seen
            if "FROM pages" in text
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()
        ]
    assert len(seen) >= 4
    assert [each for each in plans if "pages" in each]
    assert not [each for each in plans if each.startswith("SCAN pages")], plans
