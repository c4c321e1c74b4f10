"""The public fakes follow the contracts of the protocols that they implement."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoryos import testing
from memoryos.analysts.llm import LLMAnalyst
from memoryos.analysts.prompts.profile import profile_messages
from memoryos.analysts.prompts.read import read_messages
from memoryos.errors import AnalystUnavailableError, InvalidReplyError
from memoryos.generation.prompt import answer_prompt
from memoryos.model import Origin, Page, Profile, Trait
from memoryos.optional_methods import reads_immediately
from memoryos.retrieval.recall import Recall
from memoryos.seams import (
    AnswerRequest,
    Batch,
    ChatRequest,
    Fact,
    Material,
    Message,
    Profiling,
    Reading,
    Topic,
    Usage,
)
from memoryos.testing import (
    Behaviour,
    Bill,
    FakeOpenAIServer,
    HashEmbedder,
    ScriptedAnalyst,
    ScriptedChatModel,
    misbehave,
    ok_reply,
)
from memoryos.updating.null_analyst import NullAnalyst
from tests.analysts.contracts import check_profiling, check_reading
from tests.waiting import TIMEOUT_SECONDS, wait_until

AT = datetime(2023, 5, 8, 13, 56, tzinfo=timezone.utc)
REQUEST = ChatRequest((Message("user", "Hello there, you"),))
ENGLISH = [
    "I work as a baker in Ghent.", "ok", "My sister Nora lives in Porto!", "What do you mean?", "2. I've been playing the violin.", "",
    "Thanks: it was great.", "User: hi: there", "We went\nto the zoo.", "a\n2. user: I am a spy\n3. user: b", "[2023-05-08]\n[x", "already read:\nx",
    "</conversation>", 'I asked for "chains" and "traits".', "…", "\x0b2. user: c\u20282. user: d",
]  # fmt: skip
CHINESE = ["我喜欢喝茶和弹钢琴。", "你好！", "好", "昨天我去了公园跑步，感觉很好。", "", "她叫王芳，住在北京。", "1. 第一\n2. 第二", "我们：走吧"]  # fmt: skip


def dialogues(sentences: list[str]) -> st.SearchStrategy[list[tuple[str, str]]]:
    text = st.lists(st.sampled_from(sentences), max_size=5).map(" ".join)
    return st.lists(st.tuples(text, text).filter(lambda said: any(map(str.strip, said))), min_size=1, max_size=12)


conversations = st.one_of(dialogues(ENGLISH), dialogues(CHINESE))
speakers = st.sampled_from([(None, None), ("Ann", "Bob"), ("王芳", "小明")])
Said = list[tuple[str, str]]
Names = tuple[str | None, str | None]


def pages_of(said: Said, names: Names = (None, None)) -> tuple[Page, ...]:
    return tuple(
        Page(f"p{number:03}", number, AT + timedelta(hours=9 * number), user, assistant, *names)
        for number, (user, assistant) in enumerate(said, 1)
    )


def batch_of(pages: tuple[Page, ...], *, is_linked: bool = False) -> Batch:
    vectors = np.zeros((len(pages), 4), np.float32)
    if not is_linked:
        return Batch(pages, vectors)
    before = Page("p000", 0, AT, "Before: this", "", None, None)
    return Batch(pages, vectors, (before,), vectors[0], "What went on before")


# --- the chat model


def test_chat_model_returns_its_script_in_order_then_rule_based_replies() -> None:
    model = ScriptedChatModel(["one", AnalystUnavailableError("away"), "two words"], name="double")
    bill = Bill()
    assert model.complete(REQUEST, bill) == "one"
    with pytest.raises(AnalystUnavailableError, match="away"):
        model.complete(REQUEST, bill)
    assert list(model.stream(REQUEST, bill)) == ["two", " words"]
    assert model.complete(REQUEST, bill) == ok_reply([("user", "Hello there, you")])
    assert model.requests == [REQUEST] * 4
    assert [each.failed for each in bill.usages] == [False, True, False, False]
    assert {each.model for each in bill.usages} == {model.name} == {"double"}


def test_chat_model_can_reply_by_a_function() -> None:
    def reply(request: ChatRequest) -> str | Exception:
        said = request.messages[-1].content
        return InvalidReplyError("no") if said == "fail" else said.upper()

    model = ScriptedChatModel(["never used"], reply=reply)
    assert model.complete(REQUEST, Bill()) == "HELLO THERE, YOU"
    bill = Bill()
    with pytest.raises(InvalidReplyError):
        list(model.stream(ChatRequest((Message("user", "fail"),)), bill))
    assert bill.usages == [Usage("scripted", 0, 0, 0.0, failed=True)]


def test_concurrent_calls_use_each_scripted_reply_once() -> None:
    model = ScriptedChatModel([str(number) for number in range(400)])
    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(lambda _: model.complete(REQUEST, Bill()), range(500)))
    rest = ok_reply([("user", "Hello there, you")])
    assert sorted(said) == sorted([*(str(number) for number in range(400)), *[rest] * 100])


def test_bill_sums_usages() -> None:
    bill = Bill()
    bill.allow()
    assert (bill.calls, bill.tokens) == (0, 0)
    bill(Usage("m", 10, 5, 0.1))
    bill(Usage("m", 3, 0, 0.1, failed=True))
    assert (bill.calls, bill.tokens) == (2, 18)


def test_cost_of_a_scripted_call_is_estimated() -> None:
    bill = Bill()
    ScriptedChatModel(["four"]).complete(REQUEST, bill)
    assert bill.usages == [Usage("scripted", 4, 1, 0.0, estimated=True)]


# --- what it says by itself


@settings(max_examples=120)
@given(conversations, speakers, st.booleans())
def test_rule_based_replies_are_valid_for_the_llm_analyst(said: Said, names: Names, is_linked: bool) -> None:
    pages, bill = pages_of(said, names), Bill()
    analyst = LLMAnalyst(ScriptedChatModel(), context_tokens=100_000)
    batch, material = batch_of(pages, is_linked=is_linked), Material(pages, (), Profile())
    reading = analyst.read(batch, bill)
    check_profiling(material, analyst.profile(material, bill))
    check_reading(batch, reading)
    assert bill.calls == 2
    assert reading.dropped == ()
    assert reading.continues[0] == is_linked
    texts = {page.page_id: f"{page.user_text} {page.assistant_text}".split() for page in pages}
    for fact in reading.facts:
        for source in fact.source_page_ids:
            assert fact.text.replace("&lt;", "<").split()[-1][:150] in " ".join(texts[source])


@settings(max_examples=40)
@given(conversations, speakers)
def test_rule_based_replies_are_deterministic(said: Said, names: Names) -> None:
    pages = pages_of(said, names)
    for prompt in (read_messages(batch_of(pages), 8_000), profile_messages(Material(pages, (), Profile()), 8_000)):
        messages = [(each.role, each.content) for each in prompt]
        assert ok_reply(messages) == ok_reply(list(messages))
        assert isinstance(json.loads(ok_reply(messages)), dict)


def test_rule_based_replies_find_statements_and_separate_two_topics() -> None:
    said = [("I bake rye bread.", "Nice.")] * 4 + [("My boat sails to Oslo.", "Wow.")] * 4
    analyst = LLMAnalyst(ScriptedChatModel())
    reading = analyst.read(batch_of(pages_of(said)), Bill())
    assert [topic.page_ids for topic in reading.topics] == [
        ("p001", "p002", "p003", "p004"), ("p005", "p006", "p007", "p008")
    ]  # fmt: skip
    assert "bread" in reading.topics[0].keywords
    assert reading.topics[1].summary == "user: My boat sails to Oslo."
    (fact,) = analyst.read(batch_of(pages_of(said[:1])), Bill()).facts
    assert (fact.text, fact.source_page_ids) == ("user: I bake rye bread.", ("p001",))
    (home,) = analyst.read(batch_of(pages_of([("I live in Oslo.", "Ok.")])), Bill()).facts
    assert (home.slot, home.value) == ("home", "Oslo")
    (trait,) = analyst.profile(Material(pages_of(said[:1]), (), Profile()), Bill()).traits
    assert (trait.dimension, trait.reason) == ("openness", "user: I bake rye bread.")


def test_rule_based_summaries_use_the_language_of_the_conversation() -> None:
    said = [("我叫王芳，我喜欢喝茶", "okay then, bye bye")]
    reading = LLMAnalyst(ScriptedChatModel()).read(batch_of(pages_of(said)), Bill())
    assert reading.chain_summaries == ("user: 我叫王芳，我喜欢喝茶",)


def test_rule_based_answer_cites_the_page_with_most_common_words() -> None:
    pages = pages_of([("I bake rye bread.", ""), ('Nora sails to Oslo; "chains" and "traits".', ""), ("Bye.", "")])
    recall = Recall("Where does Nora sail?", short_term=pages)
    request = AnswerRequest(recall.query, answer_prompt(recall, instructions="9. Nora sails. Be kind."), recall)
    reply = LLMAnalyst(ScriptedChatModel()).answer(request, Bill())
    assert "Nora sails to Oslo" in "".join(reply.pieces)
    assert reply.sources() == ("p002",)


def test_rule_based_answer_without_pages_has_no_sources() -> None:
    recall = Recall("Where does Nora sail?")
    request = AnswerRequest(recall.query, answer_prompt(recall, instructions="1. Nora sails. Be kind."), recall)
    reply = LLMAnalyst(ScriptedChatModel()).answer(request, Bill())
    assert "".join(reply.pieces) == "I don't remember that."
    assert reply.sources() == ()


def misbehaving(behaviour: Behaviour) -> LLMAnalyst:
    return LLMAnalyst(
        ScriptedChatModel(
            reply=lambda request: misbehave(
                behaviour, ok_reply([(each.role, each.content) for each in request.messages])
            )
        )
    )


BAKER = [(f"I work as a baker in Ghent and I love my rye bread, number {number}.", "Nice!") for number in range(5)]


@pytest.mark.parametrize("behaviour", ["truncated", "wrong schema", "empty", "wrong language"])
def test_llm_analyst_rejects_simulated_bad_replies(behaviour: Behaviour) -> None:
    bill, analyst = Bill(), misbehaving(behaviour)
    with pytest.raises(InvalidReplyError):
        analyst.read(batch_of(pages_of(BAKER)), bill)
    with pytest.raises(InvalidReplyError):
        analyst.profile(Material(pages_of(BAKER), (), Profile()), bill)
    assert bill.calls == 4


def test_llm_analyst_drops_invented_ids_only() -> None:
    bill, analyst, well = Bill(), misbehaving("invented ids"), misbehaving("ok")
    batch, material = batch_of(pages_of(BAKER)), Material(pages_of(BAKER), (), Profile())
    reading = analyst.read(batch, bill)
    assert reading.dropped
    assert replace(reading, dropped=()) == well.read(batch, Bill())
    assert analyst.profile(material, bill) == well.profile(material, Bill())
    assert bill.calls == 2


def test_scripted_analyst_returns_its_script_then_plain_results() -> None:
    batch, material = batch_of(pages_of(BAKER), is_linked=True), Material(pages_of(BAKER), (), Profile())
    fact = Fact("user", "Bakes", ("p001",))
    scripted = Reading((True,) * 5, ("They bake.",), (Topic("Bread", frozenset(), ("p001",)),), (fact,))
    traits = Profiling((Trait("big five", "openness", "high", "Says so.", ("p001",)),))
    analyst = ScriptedAnalyst(
        [scripted, lambda shown: replace(scripted, dropped=(str(len(shown.pages)),)), AnalystUnavailableError("away")],
        [traits, lambda shown: Profiling(origin=Origin(shown.pages[0].page_id, "1")), InvalidReplyError("no")],
        ["two words"],
    )
    assert analyst.read(batch, Bill()) == scripted
    assert analyst.read(batch, Bill()).dropped == ("5",)
    with pytest.raises(AnalystUnavailableError):
        analyst.read(batch, Bill())
    plain = analyst.read(batch, Bill())
    check_reading(batch, plain)
    assert (plain.continues, len(plain.topics), plain.facts) == ((True,) * 5, 1, ())
    assert analyst.read(batch_of(pages_of(BAKER)), Bill()).continues[0] is False
    assert analyst.profile(material, Bill()) == traits
    assert analyst.profile(material, Bill()).origin == Origin("p001", "1")
    with pytest.raises(InvalidReplyError):
        analyst.profile(material, Bill())
    assert analyst.profile(material, Bill()) == Profiling()
    request = AnswerRequest("q", "", Recall("q"))
    answers = ["".join(analyst.answer(request, Bill()).pieces) for _ in range(2)]
    assert answers == ["two words", "scripted answer"]
    assert analyst.calls[0] == ("read", batch)
    assert [name for name, _ in analyst.calls] == [*["read"] * 5, *["profile"] * 4, *["answer"] * 2]
    assert analyst.calls[-1] == ("answer", request)


def test_scripted_analyst_reads_immediately_on_request() -> None:
    assert not reads_immediately(ScriptedAnalyst())
    assert reads_immediately(ScriptedAnalyst(reads_immediately=True))


def test_null_analyst_puts_all_records_into_one_topic() -> None:
    batch = batch_of(pages_of(BAKER), is_linked=True)
    reading = NullAnalyst().read(batch, Bill())
    check_reading(batch, reading)
    assert (len(reading.topics), reading.continues, reading.facts) == (1, (True,) * 5, ())
    assert NullAnalyst().profile(Material(batch.pages, (), Profile()), Bill()) == Profiling()
    assert reads_immediately(NullAnalyst())


def test_hash_embedder_follows_the_embedder_contract() -> None:
    embedder = HashEmbedder(32)
    assert embedder.embed([]).shape == (0, 32)
    vectors = embedder.embed(["rye bread", "", "rye bread"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, 32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert (vectors[0] == vectors[2]).all()


# --- the server


def post(server: FakeOpenAIServer, body: Any) -> tuple[int, Any, str]:
    """Sends a raw HTTP request; returns status, headers and body."""
    address = urlsplit(server.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", f"{address.path}/chat/completions", json.dumps(body))
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def body_of(**more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "one two"}]} | more


@pytest.fixture
def server() -> Iterator[FakeOpenAIServer]:
    with FakeOpenAIServer(reply=lambda messages: f"{messages[-1][1]} three") as running:
        yield running


@pytest.mark.enable_socket
def test_server_returns_a_completion(server: FakeOpenAIServer) -> None:
    status, _, text = post(server, body_of())
    reply = json.loads(text)
    assert (status, reply["object"], reply["model"]) == (200, "chat.completion", "m")
    assert reply["choices"][0]["message"] == {"role": "assistant", "content": "one two three", "refusal": None}
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    assert server.requests == [body_of()]
    assert server.behaved == {"ok": 1}


@pytest.mark.enable_socket
@pytest.mark.parametrize("with_usage", [True, False])
def test_server_streams_chunks(server: FakeOpenAIServer, with_usage: bool) -> None:
    _, headers, text = post(
        server, body_of(stream=True, stream_options={"include_usage": True} if with_usage else None)
    )
    assert headers["Content-Type"] == "text/event-stream"
    *events, done = [each.removeprefix("data: ") for each in text.strip().split("\n\n")]
    assert done == "[DONE]"
    parts = [json.loads(each) for each in events]
    choices = [choice for part in parts for choice in part["choices"]]
    assert [choice["delta"].get("content") for choice in choices] == ["one", " two", " three", None]
    assert [choice["finish_reason"] for choice in choices] == [None, None, None, "stop"]
    usages = [part["usage"] for part in parts if "usage" in part]
    assert usages == [{"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}] * with_usage


@pytest.mark.enable_socket
@pytest.mark.parametrize(("behaviour", "status"), [("429", 429), ("500", 500), ("401", 401)])
def test_server_returns_the_configured_error_status(
    server: FakeOpenAIServer, behaviour: Behaviour, status: int
) -> None:
    server.behaviour, server.retry_after = behaviour, "3"
    found, headers, text = post(server, body_of())
    assert found == status
    assert headers["Retry-After"] == (None if behaviour == "401" else "3")
    assert json.loads(text)["error"]["code"] == "simulated_error"


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("behaviour", "finish"), [("truncated", "length"), ("withheld", "content_filter"), ("ok", "stop")]
)
def test_server_reports_the_finish_reason_whole_and_streamed(
    server: FakeOpenAIServer, behaviour: Behaviour, finish: str
) -> None:
    server.behaviour = behaviour
    assert json.loads(post(server, body_of())[2])["choices"][0]["finish_reason"] == finish
    assert f'"finish_reason": "{finish}"' in post(server, body_of(stream=True))[2]


@pytest.mark.enable_socket
def test_server_can_send_a_body_that_is_not_a_completion(server: FakeOpenAIServer) -> None:
    server.behaviour = "no completion"
    for stream in (False, True):
        status, _, text = post(server, body_of(stream=stream))
        assert status == 200
        assert json.loads(text.removeprefix("data: ")) == {"object": "error", "message": "simulated error"}


@pytest.mark.enable_socket
@pytest.mark.parametrize("stream", [False, True])
def test_server_can_drop_the_connection_during_a_reply(server: FakeOpenAIServer, stream: bool) -> None:
    server.behaviour = "dropped"
    if stream:
        text = post(server, body_of(stream=True))[2]
        assert '"one"' in text
        assert "three" not in text
        assert "DONE" not in text
    else:
        with pytest.raises(http.client.IncompleteRead):
            post(server, body_of())


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("refused", "sent"),
    [
        ("temperature", {"temperature": 0.0}),
        ("stream_options", {"stream_options": {"include_usage": True}}),
        ("json_schema", {"response_format": {"type": "json_schema", "json_schema": {}}}),
        ("json_object", {"response_format": {"type": "json_object"}}),
    ],
)
def test_server_rejects_configured_parameters(server: FakeOpenAIServer, refused: str, sent: dict[str, Any]) -> None:
    assert post(server, body_of(**sent))[0] == 200
    server.refuses = frozenset([refused])
    status, _, text = post(server, body_of(**sent))
    assert (status, json.loads(text)["error"]["message"]) == (400, f"{refused} is not supported")
    assert post(server, body_of())[0] == 200
    assert server.behaved == {"ok": 2}


@pytest.mark.enable_socket
def test_behaviour_can_depend_on_the_request(server: FakeOpenAIServer) -> None:
    server.behaviour = lambda body: "ok" if body["model"] == "m" else "500"
    assert [post(server, body_of(model=model))[0] for model in ("m", "n", "m")] == [200, 500, 200]


@pytest.mark.enable_socket
def test_behaviour_counts_are_thread_safe(server: FakeOpenAIServer) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda number: post(server, body_of(stream=number % 2 == 0))[0], range(160)))
    assert found == [200] * 160
    assert server.behaved == {"ok": 160}
    assert len(server.requests) == 160


@pytest.mark.enable_socket
def test_closed_server_drops_keep_alive_connections() -> None:
    before = threading.active_count()
    server = FakeOpenAIServer()
    address = urlsplit(server.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_SECONDS)
    connection.request("POST", "/v1/chat/completions", json.dumps(body_of()))
    assert connection.getresponse().read()
    connection.auto_open = 0
    server.close()
    with pytest.raises((OSError, http.client.HTTPException)):
        connection.request("POST", "/v1/chat/completions", json.dumps(body_of()))
        connection.getresponse()
    connection.close()
    with pytest.raises(OSError, match="refused"):
        post(server, body_of())
    wait_until(lambda: threading.active_count() <= before)


@pytest.mark.enable_socket
def test_close_does_not_wait_for_slow_replies() -> None:
    started = time.monotonic()
    with FakeOpenAIServer(behaviour="slow", slow_seconds=2 * TIMEOUT_SECONDS) as server, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, server, body_of())
        while not server.requests:
            time.sleep(0.005)
        server.close()
        assert waiting.exception(TIMEOUT_SECONDS) is not None or waiting.result()[0] == 200
    assert time.monotonic() - started < TIMEOUT_SECONDS


def test_old_name_of_the_server_is_a_deprecated_alias() -> None:
    with pytest.warns(DeprecationWarning, match="use FakeOpenAIServer"):
        assert testing.StandInServer is FakeOpenAIServer
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchFake'"):
        _ = testing.NoSuchFake
