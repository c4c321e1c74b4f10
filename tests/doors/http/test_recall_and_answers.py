"""Tests recall and answers over REST: signals, near misses, weights, complete and streamed answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from memoryos.errors import AnalystUnavailableError
from memoryos.seams import Reply
from memoryos.testing import FakeOpenAIServer
from tests.conftest import EngineMaker
from tests.doors.http.conftest import USER, ClientMaker
from tests.doors.http.proxy_fakes import serving
from tests.waiting import TIMEOUT_SECONDS


@pytest.fixture
def filled(engine: MemoryEngine) -> MemoryEngine:
    memory = engine.memory("tom")
    for number in range(20):
        memory.add_memory(f"I like tea number {number}, and a long walk.", f"Tea {number} is fine.", "2023-05-08")
    memory.add_memory("My sister Ann plays the violin.", "How nice.", "2023-05-09")
    for number in range(7):
        memory.add_memory(f"Small talk {number}.", "Yes.", "2023-05-10")
    memory.flush()
    return engine


def recall(client: TestClient, **body: Any) -> Any:
    response = client.post(f"{USER}/recall", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def events(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in filter(None, text.split("\n\n")):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.mark.usefixtures("filled")
def test_recall_returns_the_reasons(client: TestClient) -> None:
    found = recall(client, query="Who plays the violin?", max_pages=2)
    best = found["pages"][0]
    assert best["shown"] == {"user": "My sister Ann plays the violin.", "assistant": "How nice."}
    assert best["spans"] == [{"side": "user", "start": 0, "end": 31}, {"side": "assistant", "start": 0, "end": 9}]
    assert sum(best["signals"].values()) == pytest.approx(best["score"], abs=0.001)
    assert "My sister Ann plays the violin." in found["prompt"]
    assert [page["user"] for page in found["short_term"]] == [f"Small talk {number}." for number in range(7)]
    newest = found["short_term"][-1]
    assert newest["shown"]["user"] == "Small talk 6."
    assert newest["spans"][0] == {"side": "user", "start": 0, "end": 13}
    assert newest["speakers"]["user"] == "user"
    assert found["tokens"] > 0
    assert found["near_misses"] == []


def test_short_term_pages_have_the_parts_that_the_prompt_shows(client: TestClient, filled: MemoryEngine) -> None:
    memory = filled.memory("tom")
    long = "\n\n".join(f"Stage {number} of the walk goes along the river to a castle. " * 3 for number in range(80))
    for _ in range(3):
        memory.add_memory("Where does the walk go?", long)
    for max_tokens in (300, 1_000, 60_000, None):
        limit = {} if max_tokens is None else {"max_tokens": max_tokens}
        found = recall(client, query="Where does stage 70 go?", **limit)
        window = found["prompt"].partition("# The conversation so far")[2]
        texts = [text for page in found["short_term"] for text in page["shown"].values()]
        assert texts
        assert all(text.split("\n")[0] in window for text in texts)
        assert window.count("user: ") == sum("user" in page["shown"] for page in found["short_term"])
        assert found["short_term"][-1]["assistant"] == long
        assert sum(map(len, texts)) / 4 <= (max_tokens or 3 * 2_200)
        for page in found["short_term"]:
            for span in page["spans"]:
                assert page[span["side"]][span["start"] : span["end"]] in page["shown"][span["side"]]


@pytest.mark.usefixtures("filled")
def test_near_misses_are_the_next_best_pages(client: TestClient) -> None:
    found = recall(client, query="tea", max_pages=3, near_misses=4)
    more = recall(client, query="tea", max_pages=7)
    assert [each["page_id"] for each in found["pages"] + found["near_misses"]] == [e["page_id"] for e in more["pages"]]
    scores = [each["score"] for each in found["pages"] + found["near_misses"]]
    assert scores == sorted(scores, reverse=True)
    bounded = recall(client, query="tea", max_tokens=40, near_misses=5)
    assert len(bounded["near_misses"]) == 5
    shown = {each["page_id"] for each in bounded["pages"]} | {each["page_id"] for each in bounded["short_term"]}
    assert not shown & {each["page_id"] for each in bounded["near_misses"]}
    assert len(recall(client, query="tea", max_pages=3, near_misses=100)["near_misses"]) == 21 - 3


def test_weights_apply_to_one_recall(client: TestClient, filled: MemoryEngine) -> None:
    usual = recall(client, query="violin")
    names = ("meaning", "words", "previous", "following", "speaker", "session", "segment", "time", "recency")
    nothing = recall(client, query="violin", ranking=dict.fromkeys(names, 0))
    assert {score for page in nothing["pages"] for score in page["signals"].values()} == {0.0}
    doubled = recall(client, query="violin", ranking={"words": 2 * filled.config.ranking.words, "session": 0})
    first, second = usual["pages"][0], doubled["pages"][0]
    assert second["signals"]["words"] == pytest.approx(2 * first["signals"]["words"], abs=0.001)
    assert second["signals"]["meaning"] == first["signals"]["meaning"]
    assert recall(client, query="violin") == usual
    with pytest.warns(DeprecationWarning, match="'segment' is ignored"):
        assert recall(client, query="violin", ranking={"segment": 0.3}) == usual
    for wrong in ({"words": -1}, {"words": 1e9}, {"no such": 1}, {"words": None}):
        assert client.post(f"{USER}/recall", json={"query": "x", "ranking": wrong}).status_code == 422


@pytest.mark.parametrize(
    "body",
    [{}, {"query": ""}, {"query": " "}, {"query": "x", "max_pages": 0}, {"query": "x", "near_misses": -1},
     {"query": "x", "max_tokens": 0}, {"query": 7}, {"query": "x", "user_id": "ann"}, [], "x"],
)  # fmt: skip
def test_invalid_query_is_422(client: TestClient, body: Any) -> None:
    response = client.post(f"{USER}/recall", json=body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"]


def test_answer_is_stored_on_request(client: TestClient, filled: MemoryEngine) -> None:
    before = filled.memory("tom").get_memory_stats()["pages"]
    body = {"query": "Who plays the violin?", "remember": False, "with_recall": True}
    answered = client.post(f"{USER}/answers", json=body).json()
    assert "violin" in answered["answer"]
    assert answered["origin"]["analyst"] == "local"
    assert set(answered["source_page_ids"]) <= {page["page_id"] for page in answered["recall"]["pages"]}
    assert filled.memory("tom").get_memory_stats()["pages"] == before
    client.post(f"{USER}/answers", json={"query": "Who plays the violin?"})
    assert filled.memory("tom").newest_pages(1)[0].user_text == "Who plays the violin?"


def test_answer_stream_sends_recall_pieces_and_done(client: TestClient, filled: MemoryEngine) -> None:
    body = {"query": "Who plays the violin?", "stream": True}
    response = client.post(f"{USER}/answers", json=body, headers={"Idempotency-Key": "s"})
    assert response.headers["content-type"].startswith("text/event-stream")
    received = events(response.text)
    assert received[0][0] == "recall"
    pieces = "".join(data["text"] for name, data in received if name == "piece")
    assert received[-1][0] == "done"
    assert received[-1][1]["answer"] == pieces == filled.memory("tom").newest_pages(1)[0].assistant_text
    again = events(client.post(f"{USER}/answers", json=body, headers={"Idempotency-Key": "s"}).text)
    assert again[-1][1]["answer"] == pieces
    assert filled.memory("tom").get_memory_stats()["pages"] == 29


def test_invalid_question_gets_a_problem_instead_of_a_stream(client: TestClient) -> None:
    response = client.post(f"{USER}/answers", json={"query": " ", "stream": True})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.enable_socket
def test_llm_failure_is_a_problem_and_stores_nothing(make_engine: EngineMaker, make_client: ClientMaker) -> None:
    with FakeOpenAIServer(behaviour="500", retry_after="7") as upstream:
        engine = make_engine(openai_api_key="k", openai_base_url=upstream.base_url, llm_max_retries=0)
        client = make_client(engine)
        engine.memory("tom").add_memory("I like tea.")
        whole = client.post(f"{USER}/answers", json={"query": "What do I like?"})
        assert whole.status_code == 503
        assert int(whole.headers["retry-after"]) >= 1
        assert upstream.base_url not in whole.text
        received = events(client.post(f"{USER}/answers", json={"query": "What do I like?", "stream": True}).text)
        assert [name for name, _ in received] == ["recall", "error"]
        assert received[-1][1]["status"] == 503
        assert engine.memory("tom").get_memory_stats()["pages"] == 1


def test_truncated_answer_is_an_error_and_not_stored(
    client: TestClient, filled: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Iterator[str]:
        yield "Half an "
        raise AnalystUnavailableError("the secret address can't be reached")

    monkeypatch.setattr(filled.analyst, "answer", lambda *_: Reply(broken(), lambda: ()))
    before = filled.memory("tom").get_memory_stats()["pages"]
    received = events(client.post(f"{USER}/answers", json={"query": "Who?", "stream": True}).text)
    assert [name for name, _ in received] == ["recall", "piece", "error"]
    assert "secret" not in json.dumps(received[-1])
    assert filled.memory("tom").get_memory_stats()["pages"] == before


@pytest.mark.enable_socket
def test_stream_after_a_disconnect_is_not_stored(filled: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, ended = threading.Event(), threading.Event()

    def slowly() -> Iterator[str]:
        try:
            yield "The first piece; "
            go_on.wait(TIMEOUT_SECONDS)
            yield "the second; "
            yield "the last."
        finally:
            ended.set()

    monkeypatch.setattr(filled.analyst, "answer", lambda *_: Reply(slowly(), lambda: ()))
    before = filled.memory("tom").get_memory_stats()["pages"]
    with serving(build_app(filled, ServerSettings())) as address:
        body = {"query": "Who?", "stream": True}
        with httpx2.stream("POST", f"{address}{USER}/answers", json=body, timeout=TIMEOUT_SECONDS) as response:
            assert any("first piece" in part for part in response.iter_text())
        go_on.set()
        assert ended.wait(TIMEOUT_SECONDS)
    assert filled.memory("tom").get_memory_stats()["pages"] == before
