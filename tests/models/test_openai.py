"""The chat model for endpoints, against a local server with simulated failures and recorded unusual replies."""

from __future__ import annotations

import email.utils
import gc
import itertools
import json
import re
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoryos.errors import AnalystError, AnalystUnavailableError, InvalidReplyError, StoreUnavailableError
from memoryos.models.openai import OpenAIChat
from memoryos.seams import ChatRequest, Message, Meter, ReplySchema, Usage
from memoryos.testing import Behaviour, Bill, FakeOpenAIServer
from tests.waiting import TIMEOUT_SECONDS, wait_until

pytestmark = pytest.mark.enable_socket

KEY = "sk-KEY-0123456789"
ASKED = "what-was-asked and is private"
SAID = "what-was-said and is private as well"
REQUEST = ChatRequest((Message("system", "Be brief."), Message("user", ASKED)))
SCHEMA = ReplySchema("digest", {"type": "object", "properties": {}, "required": [], "additionalProperties": False})
SHAPED = ChatRequest(REQUEST.messages, SCHEMA)
WAYS = ("complete", "stream")
Events = Sequence[dict[str, Any] | str]


def ask(chat: OpenAIChat, way: str, meter: Meter, request: ChatRequest = REQUEST) -> str:
    return chat.complete(request, meter) if way == "complete" else "".join(chat.stream(request, meter))


def shown(error: BaseException) -> str:
    """Returns the traceback of an error as a log would contain it."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def failure(chat: OpenAIChat, way: str, bill: Bill, request: ChatRequest = REQUEST) -> AnalystError:
    """Returns the error of a call; checks that the meter was called once and no private text is shown."""
    with pytest.raises(AnalystError) as caught:
        ask(chat, way, bill, request)
    assert [each.failed for each in bill.usages] == [True]
    assert not [each for each in (KEY, ASKED, SAID) if each in shown(caught.value)]
    return caught.value


def formats(server: FakeOpenAIServer) -> list[str]:
    return [(each.get("response_format") or {"type": "plain"})["type"] for each in server.requests]


Maker = Callable[..., OpenAIChat]


@pytest.fixture
def make() -> Iterator[Maker]:
    """Returns a factory of chat models without retries and with a short timeout; closes them after the test."""
    made: list[OpenAIChat] = []

    def maker(base_url: str, **given: Any) -> OpenAIChat:
        values: dict[str, Any] = {"api_key": KEY, "timeout_seconds": TIMEOUT_SECONDS, "max_retries": 0} | given
        made.append(OpenAIChat("some-model", base_url=base_url, **values))
        return made[-1]

    yield maker
    for each in made:
        each.close()


class Odd:
    """An endpoint without a socket: returns its replies in order and repeats the last one."""

    def __init__(self, *replies: httpx2.Response | Callable[[httpx2.Request], httpx2.Response]) -> None:
        self._replies = list(replies)
        self.requests: list[dict[str, Any]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(json.loads(request.content))
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if not isinstance(reply, httpx2.Response):
            return reply(request)
        return httpx2.Response(reply.status_code, headers=reply.headers, content=reply.content)


def behind(odd: Callable[[httpx2.Request], httpx2.Response], max_retries: int = 0, **given: Any) -> OpenAIChat:
    chat = OpenAIChat("some-model", api_key=KEY, **given)
    http = openai.DefaultHttpxClient(transport=httpx2.MockTransport(odd))
    chat._client = openai.OpenAI(
        api_key=KEY, base_url="http://endpoint.invalid/v1", max_retries=max_retries, http_client=http
    )
    return chat


def completed(body: Any, status: int = 200, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()} | {"Content-Type": "application/json"}
    return httpx2.Response(status, text=json.dumps(body), headers=named)


def message(content: Any, **more: Any) -> dict[str, Any]:
    return {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        **more,
    }


def streamed(events: Events, done: str = "data: [DONE]\n\n") -> httpx2.Response:
    lines = [each if isinstance(each, str) else f"data: {json.dumps(each)}\n\n" for each in events]
    return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, text="".join(lines) + done)


def delta(content: Any = None, finish: Any = None, **more: Any) -> dict[str, Any]:
    said = {} if content is None else {"content": content}
    return {"choices": [{"index": 0, "delta": said | more, "finish_reason": finish}]}


END = delta(finish="stop")
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


# --- what goes well


@pytest.mark.parametrize("way", WAYS)
def test_reply_has_the_usage_reported_by_the_endpoint(make: Maker, way: str) -> None:
    with FakeOpenAIServer(reply=lambda _: SAID) as server:
        bill = Bill()
        chat = make(server.base_url)
        assert ask(chat, way, bill) == SAID
        (usage,) = bill.usages
        assert (usage.model, usage.estimated, usage.failed) == ("some-model", False, False)
        assert (usage.prompt_tokens, usage.completion_tokens) == (10, 9)
        assert 0 < usage.seconds < 5
        (body,) = server.requests
        wish = {"stream_options": {"include_usage": True}} if way == "stream" else {}
        assert body == wish | {
            "model": "some-model",
            "stream": way == "stream",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASKED}],
        }
        assert chat.name == "some-model"


def test_stream_yields_the_pieces_of_the_endpoint(make: Maker) -> None:
    with FakeOpenAIServer(reply=lambda _: "one two three") as server:
        assert list(make(server.base_url).stream(REQUEST, Bill())) == ["one", " two", " three"]


@pytest.mark.parametrize("way", WAYS)
def test_request_contains_the_given_key_address_and_model(way: str) -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return completed(message(SAID)) if way == "complete" else streamed([delta(SAID), END])

    assert ask(behind(answer), way, Bill()) == SAID
    assert (seen[0].method, seen[0].url.path) == ("POST", "/v1/chat/completions")
    assert seen[0].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(("key", "sent"), [(KEY, KEY), (f" {KEY}\n", KEY), (None, "none"), ("", "none")])
def test_sdk_client_is_built_from_the_settings(make: Maker, key: str | None, sent: str) -> None:
    client = make("http://localhost:11434/v1", api_key=key, max_retries=3, timeout_seconds=7.0)._connect()
    assert (client.api_key, client.max_retries) == (sent, 3)
    assert str(client.base_url) == "http://localhost:11434/v1/"
    assert client.timeout == httpx2.Timeout(7.0, connect=5.0)
    client.close()


@pytest.mark.parametrize("way", WAYS)
def test_temperature_is_sent_only_if_set(make: Maker, way: str) -> None:
    with FakeOpenAIServer() as server:
        ask(make(server.base_url, temperature=0.0), way, Bill())
        ask(make(server.base_url), way, Bill())
        assert [each.get("temperature", "not there") for each in server.requests] == [0.0, "not there"]


def test_schema_is_sent_in_strict_form(make: Maker) -> None:
    with FakeOpenAIServer(reply=lambda _: "{}") as server:
        assert make(server.base_url).complete(SHAPED, Bill()) == "{}"
        assert server.requests[0]["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "digest", "schema": dict(SCHEMA.schema), "strict": True},
        }


def test_sdk_is_imported_by_the_first_call_without_a_warning() -> None:
    script = """
import sys
from memoryos.models.openai import OpenAIChat
chat = OpenAIChat("m", api_key=None, base_url="http://127.0.0.1:1/v1")
assert not {"openai", "httpx2"} & set(sys.modules), "constructing is not cheap"
chat._connected()
assert "openai" in sys.modules
chat.close()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


# --- each behaviour of the fake server

BROKEN: dict[Behaviour, tuple[type[AnalystError], str]] = {
    "slow": (AnalystUnavailableError, "did not answer in time"),
    "429": (AnalystUnavailableError, r"is rate limited \(429\): simulated_error; retry later"),
    "500": (AnalystUnavailableError, "answered with status 500: simulated_error"),
    "401": (AnalystUnavailableError, r"rejected the API key \(401\): simulated_error; check the key"),
    "dropped": (AnalystUnavailableError, "can't be reached: RemoteProtocolError|ended in the middle"),
    "empty": (InvalidReplyError, "sent an empty reply"),
    "no completion": (InvalidReplyError, "sent a malformed reply"),
    "withheld": (InvalidReplyError, "content filter"),
}
PASSED_ON: dict[Behaviour, str] = {
    "ok": SAID,
    "thinking": SAID,
    "truncated": SAID[: len(SAID) // 2].strip(),
    "wrong schema": SAID,
    "wrong language": SAID,
    "invented ids": SAID,
}


def test_all_simulated_behaviours_are_covered() -> None:
    assert {*BROKEN, *PASSED_ON} == set(get_args(Behaviour))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("behaviour", BROKEN)
def test_failed_call_raises_and_returns_no_text(make: Maker, behaviour: Behaviour, way: str) -> None:
    kind, words = BROKEN[behaviour]
    with FakeOpenAIServer(reply=lambda _: SAID, behaviour=behaviour, slow_seconds=20) as server:
        chat = make(server.base_url, timeout_seconds=0.5 if behaviour == "slow" else TIMEOUT_SECONDS)
        bill = Bill()
        error = failure(chat, way, bill)
        assert type(error) is kind
        assert re.search(words, str(error))
        wait_until(lambda: server.behaved[behaviour] == 1)  # the server may read a request after its client gave up
        assert len(server.requests) == 1
        (usage,) = bill.usages
        assert usage.model == "some-model"
        assert usage.seconds > (0.14 if behaviour == "slow" else 0)
        is_answered = behaviour in {"empty", "withheld"} or (behaviour, way) == ("dropped", "stream")
        assert (usage.prompt_tokens > 0) == is_answered


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("behaviour", PASSED_ON)
def test_replies_with_wrong_content_are_returned_unchanged(make: Maker, behaviour: Behaviour, way: str) -> None:
    with FakeOpenAIServer(reply=lambda _: SAID, behaviour=behaviour) as server:
        bill = Bill()
        assert ask(make(server.base_url), way, bill).strip() == PASSED_ON[behaviour]
        assert [each.failed for each in bill.usages] == [False]


def test_interrupted_stream_fails_after_its_pieces_and_records_their_cost(make: Maker) -> None:
    with FakeOpenAIServer(reply=lambda _: "one two three four", behaviour="dropped") as server:
        bill = Bill()
        pieces = make(server.base_url).stream(REQUEST, bill)
        assert [next(pieces), next(pieces)] == ["one", " two"]
        with pytest.raises(AnalystUnavailableError, match="ended in the middle"):
            next(pieces)
        (usage,) = bill.usages
        assert (usage.prompt_tokens, usage.completion_tokens, usage.estimated, usage.failed) == (10, 2, True, True)


@pytest.mark.parametrize("way", WAYS)
def test_cost_of_an_unusable_reply_is_recorded(make: Maker, way: str) -> None:
    with FakeOpenAIServer(reply=lambda _: SAID, behaviour="withheld") as server:
        bill = Bill()
        failure(make(server.base_url), way, bill)
        assert (bill.usages[0].prompt_tokens, bill.usages[0].completion_tokens) == (10, 9)


# --- usage


@pytest.mark.parametrize(
    "usage",
    [
        None, {}, {"prompt_tokens": None, "completion_tokens": None}, {"prompt_tokens": 5}, {"completion_tokens": 5}, [], 7, "usage",
        {"prompt_tokens": "5", "completion_tokens": "5"}, {"prompt_tokens": -5, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": -5}, {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 10**30, "completion_tokens": 5}, {"prompt_tokens": 5, "completion_tokens": 10**30},
    ],
)  # fmt: skip
@pytest.mark.parametrize("way", WAYS)
def test_missing_or_invalid_usage_is_estimated(usage: Any, way: str) -> None:
    reply = (
        completed(message(SAID, usage=usage)) if way == "complete" else streamed([delta(SAID), END | {"usage": usage}])
    )
    bill = Bill()
    assert ask(behind(Odd(reply)), way, bill) == SAID
    (told,) = bill.usages
    assert (told.prompt_tokens, told.completion_tokens, told.estimated, told.failed) == (10, 9, True, False)


@pytest.mark.parametrize("way", WAYS)
def test_estimated_usage_includes_reasoning(way: str) -> None:
    thought = "x" * 400
    bill = Bill()
    for said in (
        {"content": f"<think>{thought}</think>ok"},
        {"content": "ok", "reasoning_content": thought},
        {"content": "ok", "reasoning": thought},
    ):
        whole = completed({"choices": [{"message": said}]})
        assert ask(behind(Odd(whole if way == "complete" else streamed([delta(**said), END]))), way, bill) == "ok"
    assert all(each.estimated and 100 <= each.completion_tokens <= 104 for each in bill.usages)


def test_last_usage_of_a_stream_is_recorded() -> None:
    early = {"prompt_tokens": 11, "completion_tokens": 1, "total_tokens": 12}
    for events in (
        [delta("a") | {"usage": early}, delta("b") | {"usage": USAGE}, END | {"usage": None}],
        [delta("a") | {"usage": None}, delta("b"), END | {"usage": USAGE}],
        [delta("a"), delta("b", "stop"), {"choices": [], "usage": USAGE}],
        [delta("a"), delta("b", "stop"), {"usage": USAGE}],
        [{"choices": [], "usage": early}, delta("a"), delta("b"), END, {"choices": None, "usage": USAGE}],
    ):
        bill = Bill()
        assert ask(behind(Odd(streamed(events))), "stream", bill) == "ab"
        assert [(each.prompt_tokens, each.completion_tokens, each.estimated) for each in bill.usages] == [
            (11, 7, False)
        ]


def test_stream_options_are_omitted_after_a_rejection(make: Maker) -> None:
    with FakeOpenAIServer(reply=lambda _: SAID, refuses=["stream_options"]) as server:
        bill = Bill()
        chat = make(server.base_url)
        assert ask(chat, "stream", bill) == ask(chat, "stream", bill) == SAID
        assert ["stream_options" in each for each in server.requests] == [True, False, False]
        assert [(each.prompt_tokens, each.completion_tokens, each.estimated) for each in bill.usages] == [
            (10, 9, True)
        ] * 2


class _Broken(Bill):
    def __call__(self, usage: Usage) -> None:
        super().__call__(usage)
        raise StoreUnavailableError("the ledger is full")


@pytest.mark.parametrize("way", WAYS)
def test_error_of_the_meter_is_raised_unchanged(make: Maker, way: str) -> None:
    with FakeOpenAIServer() as server:
        chat = make(server.base_url, concurrency=1)
        with pytest.raises(StoreUnavailableError):
            ask(chat, way, _Broken())
        assert ask(chat, way, Bill())


# --- trying again


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)


def in_turn(*behaviours: Behaviour) -> Callable[[dict[str, Any]], Behaviour]:
    left = itertools.chain(behaviours, itertools.repeat(behaviours[-1]))
    return lambda _: next(left)


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trouble", ["500", "429"])
def test_transient_errors_are_retried(make: Maker, trouble: Behaviour, way: str) -> None:
    with FakeOpenAIServer(reply=lambda _: SAID, behaviour=in_turn(trouble, trouble, "ok")) as server:
        bill = Bill()
        assert ask(make(server.base_url, max_retries=2), way, bill) == SAID
        assert len(server.requests) == 3
        assert [(each.failed, each.completion_tokens) for each in bill.usages] == [(False, 9)]


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize("way", WAYS)
def test_timeouts_are_retried(way: str) -> None:
    def time_out(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("no reply in time", request=request)

    reply = completed(message(SAID)) if way == "complete" else streamed([delta(SAID), END])
    odd, bill = Odd(time_out, time_out, reply), Bill()
    assert ask(behind(odd, max_retries=2), way, bill) == SAID
    assert len(odd.requests) == 3
    assert [each.failed for each in bill.usages] == [False]


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize("way", WAYS)
def test_error_is_raised_after_the_last_retry(make: Maker, way: str) -> None:
    with FakeOpenAIServer(behaviour=in_turn("500", "500", "500", "ok")) as server:
        assert "status 500" in str(failure(make(server.base_url, max_retries=2), way, Bill()))
        assert len(server.requests) == 3


@pytest.mark.usefixtures("_hurried")
def test_dropped_connection_during_a_completion_is_retried(make: Maker) -> None:
    with FakeOpenAIServer(reply=lambda _: SAID, behaviour=in_turn("dropped", "ok")) as server:
        assert make(server.base_url, max_retries=1).complete(REQUEST, Bill()) == SAID


@pytest.mark.parametrize("way", WAYS)
def test_wrong_key_is_not_retried(make: Maker, way: str) -> None:
    with FakeOpenAIServer(behaviour="401") as server:
        failure(make(server.base_url, max_retries=2), way, Bill())
        assert len(server.requests) == 1


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize("way", WAYS)
def test_retry_waits_for_the_time_in_retry_after(make: Maker, way: str) -> None:
    times: list[float] = []
    left = in_turn("429", "ok")

    def behaviour(body: dict[str, Any]) -> Behaviour:
        times.append(time.monotonic())
        return left(body)

    with FakeOpenAIServer(behaviour=behaviour, retry_after="0.25") as server:
        bill = Bill()
        ask(make(server.base_url, max_retries=1), way, bill)
        first, second = times
        assert second - first > 0.24
        assert bill.usages[0].seconds > 0.24


@pytest.mark.parametrize("way", WAYS)
def test_error_after_the_last_retry_contains_retry_after(make: Maker, way: str) -> None:
    with FakeOpenAIServer(behaviour="429", retry_after="0.05") as server:
        error = failure(make(server.base_url, max_retries=1), way, Bill())
        assert isinstance(error, AnalystUnavailableError)
        assert error.retry_after_seconds == 0.05
        assert len(server.requests) == 2


@pytest.mark.parametrize("way", WAYS)
def test_long_retry_after_is_reported_without_waiting(make: Maker, way: str) -> None:
    with FakeOpenAIServer(behaviour="429", retry_after="1000000") as server:
        started = time.monotonic()
        error = failure(make(server.base_url, max_retries=2), way, Bill())
        assert isinstance(error, AnalystUnavailableError)
        assert error.retry_after_seconds == 86_400
        assert time.monotonic() - started < 60
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0.5", 0.5), ("0", None), ("-7", None), ("soon", None), ("", None), ("nan", None), ("inf", 86_400), ("1e400", 86_400)],
)  # fmt: skip
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_is_parsed(header: str, seconds: float | None, status: int) -> None:
    error = failure(behind(Odd(completed({}, status, Retry_After=header))), "complete", Bill())
    assert isinstance(error, AnalystUnavailableError)
    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize(("ahead", "least", "most"), [(90, 80, 91), (-90, None, None), (10**7, 86_400, 86_400)])
def test_retry_after_as_a_date_is_parsed(ahead: int, least: float | None, most: float | None) -> None:
    header = email.utils.formatdate(time.time() + ahead, usegmt=True)
    error = failure(behind(Odd(completed({}, 429, Retry_After=header))), "complete", Bill())
    assert isinstance(error, AnalystUnavailableError)
    told = error.retry_after_seconds
    assert told is None if least is None or most is None else told is not None and least <= told <= most


# --- forms that an endpoint refuses


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("refuses", "first", "later"),
    [
        ([], ["json_schema"], "json_schema"),
        (["json_schema"], ["json_schema", "json_object"], "json_object"),
        (["json_object"], ["json_schema"], "json_schema"),
        (["json_schema", "json_object"], ["json_schema", "json_object", "plain"], "plain"),
    ],
)
def test_rejected_option_is_not_sent_again(
    make: Maker, refuses: list[str], first: list[str], later: str, way: str
) -> None:
    with FakeOpenAIServer(reply=lambda _: "{}", refuses=refuses) as server:
        chat, bill = make(server.base_url, max_retries=2), Bill()
        ask(chat, way, bill, SHAPED)
        asked = formats(server)
        assert list(dict.fromkeys(asked)) == first
        ask(chat, way, bill, SHAPED)
        assert formats(server)[len(asked) :] == [later]
        ask(chat, way, bill)
        assert formats(server)[-1] == "plain"
        assert [each.failed for each in bill.usages] == [False] * 3
        if way == "complete":
            assert asked == first


@pytest.mark.parametrize("way", WAYS)
def test_rejected_temperature_keeps_schema_and_usage_options(make: Maker, way: str) -> None:
    with FakeOpenAIServer(reply=lambda _: "{}", refuses=["temperature"]) as server:
        chat, bill = make(server.base_url, temperature=0.3), Bill()
        ask(chat, way, bill, SHAPED)
        ask(chat, way, bill, SHAPED)
        ask(chat, way, bill)
        sent = [("temperature" in each, kind) for each, kind in zip(server.requests, formats(server), strict=True)]
        shaped, plain = [[each for each in sent if (each[1] == "plain") == is_plain] for is_plain in (False, True)]
        assert {kind for _, kind in shaped} == {"json_schema"}
        assert [warm for warm, _ in shaped][-3:] == [True, False, False]
        assert [warm for warm, _ in plain][-2:] == [True, False]
        assert [each.estimated for each in bill.usages] == [False] * 3


def test_rejected_schema_keeps_the_temperature(make: Maker) -> None:
    with FakeOpenAIServer(reply=lambda _: "{}", refuses=["json_schema"]) as server:
        chat = make(server.base_url, temperature=0.3)
        chat.complete(SHAPED, Bill())
        chat.complete(SHAPED, Bill())
        assert [each.get("temperature") for each in server.requests[-2:]] == [0.3, 0.3]
        assert formats(server)[-2:] == ["json_object", "json_object"]


def test_endpoint_without_any_option_works(make: Maker) -> None:
    with FakeOpenAIServer(refuses=["json_schema", "json_object", "temperature", "stream_options"]) as server:
        chat = make(server.base_url, temperature=0.3)
        for way in WAYS:
            assert ask(chat, way, Bill(), SHAPED)
            asked = len(server.requests)
            assert ask(chat, way, Bill(), SHAPED)
            assert len(server.requests) == asked + 1


def refusal(status: int = 400, code: Any = None, said: str = ASKED + KEY) -> httpx2.Response:
    return completed({"error": {"message": said, "type": "invalid_request_error", "code": code, "param": None}}, status)


@pytest.mark.parametrize("status", [400, 422])
def test_rejection_of_all_options_is_not_remembered(status: int) -> None:
    odd = Odd(*[refusal(status)] * 3, completed(message("{}")))
    chat = behind(odd)
    assert f"status {status}" in str(failure(chat, "complete", Bill(), SHAPED))
    assert len(odd.requests) == 3
    assert chat.complete(SHAPED, Bill()) == "{}"
    assert odd.requests[-1]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("code", ["context_length_exceeded", "content_filter"])
@pytest.mark.parametrize("way", WAYS)
def test_error_caused_by_the_text_is_not_retried_with_fewer_options(way: str, code: str) -> None:
    odd = Odd(refusal(code=code))
    assert str(failure(behind(odd), way, Bill(), SHAPED)).endswith(f"status 400: {code}; see the log of the endpoint")
    assert len(odd.requests) == 1


def test_reply_that_violates_the_schema_does_not_disable_it_for_later_requests() -> None:
    odd = Odd(refusal(code="json_validate_failed"), completed(message("{}")))
    chat = behind(odd)
    for _ in range(2):
        assert chat.complete(SHAPED, Bill()) == "{}"
    kinds = [each["response_format"]["type"] for each in odd.requests]
    assert kinds == ["json_schema", "json_object", "json_schema"]


def test_outage_while_reducing_options_is_not_remembered() -> None:
    odd = Odd(refusal(), completed({}, 503), completed(message("{}")))
    chat = behind(odd)
    failure(chat, "complete", Bill(), SHAPED)
    chat.complete(SHAPED, Bill())
    kinds = [each["response_format"]["type"] for each in odd.requests]
    assert kinds == ["json_schema", "json_object", "json_schema"]


# --- many at one time


def test_concurrent_calls_stay_within_the_limit(make: Maker) -> None:
    lock = threading.Lock()
    running = [0, 0]
    together = threading.Barrier(2)
    pairs = itertools.count()

    def reply(_: object) -> str:
        with lock:
            running[0] += 1
            running[1] = max(running)
            is_first = next(pairs) < 2
        if is_first:
            together.wait(TIMEOUT_SECONDS)
        time.sleep(0.02)
        with lock:
            running[0] -= 1
        return SAID

    with FakeOpenAIServer(reply=reply) as server, ThreadPoolExecutor(16) as pool:
        chat = make(server.base_url, concurrency=3)
        found = list(pool.map(lambda number: ask(chat, WAYS[number % 2], Bill()), range(16)))
        assert found == [SAID] * 16
        assert 2 <= running[1] <= 3


def test_fifty_threads_share_one_client_and_get_their_own_replies(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeOpenAIServer(reply=lambda messages: f"{messages[-1][1]} said", refuses=["json_schema"]) as server:
        chat, bill = make(server.base_url), Bill()
        connected: list[int] = []
        connect = chat._connect

        def counted() -> openai.OpenAI:
            connected.append(1)
            return connect()

        monkeypatch.setattr(chat, "_connect", counted)
        barrier = threading.Barrier(50)

        def run(number: int) -> list[str]:
            barrier.wait()
            request = ChatRequest((Message("user", f"number {number}"),), SCHEMA if number % 3 else None)
            return [ask(chat, way, bill, request) for way in WAYS]

        with ThreadPoolExecutor(50) as pool:
            assert list(pool.map(run, range(50))) == [[f"number {number} said"] * 2 for number in range(50)]
        assert len(connected) == 1
        assert bill.calls == 100
        assert not any(each.failed for each in bill.usages)


# --- streams that are left, connections that are closed


@pytest.mark.parametrize("by", ["close", "garbage"])
def test_abandoned_stream_frees_its_slot_and_records_its_cost(make: Maker, by: str) -> None:
    with FakeOpenAIServer(reply=lambda _: "one two three") as server:
        chat, bill = make(server.base_url, concurrency=1), Bill()
        pieces: Any = chat.stream(REQUEST, bill)
        assert next(pieces) == "one"
        assert bill.calls == 0
        if by == "close":
            pieces.close()
        del pieces
        gc.collect()
        (usage,) = bill.usages
        assert (usage.prompt_tokens, usage.estimated, usage.failed) == (10, True, False)
        assert 1 <= usage.completion_tokens <= 3
        assert chat.complete(REQUEST, Bill()) == "one two three"


def test_abandoned_stream_closes_its_connection() -> None:
    class Body(httpx2.SyncByteStream):
        is_closed = False

        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"data: " + json.dumps(delta("word ")).encode() + b"\n\n"

        def close(self) -> None:
            self.is_closed = True

    body = Body()
    chat = behind(lambda _: httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, stream=body))
    pieces: Any = chat.stream(REQUEST, Bill())
    assert [next(pieces) for _ in range(3)] == ["word "] * 3
    assert not body.is_closed
    pieces.close()
    assert body.is_closed


def test_unread_stream_sends_no_request(make: Maker) -> None:
    with FakeOpenAIServer() as server:
        bill = Bill()
        pieces: Any = make(server.base_url).stream(REQUEST, bill)
        pieces.close()
        assert (server.requests, bill.calls) == ([], 0)


def test_stream_keeps_its_slot_while_it_is_read(make: Maker) -> None:
    with FakeOpenAIServer(reply=lambda _: "one two three") as server:
        chat = make(server.base_url, concurrency=1)
        pieces = chat.stream(REQUEST, Bill())
        next(pieces)
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(chat.complete, REQUEST, Bill())
            time.sleep(0.1)
            assert not other.done()
            assert len(server.requests) == 1
            list(pieces)
            assert other.result(TIMEOUT_SECONDS) == "one two three"


def test_call_after_close_opens_a_new_connection(make: Maker) -> None:
    with FakeOpenAIServer(reply=lambda _: SAID) as server:
        chat = make(server.base_url)
        chat.close()
        for way in WAYS:
            assert ask(chat, way, Bill()) == SAID
            chat.close()
            chat.close()


def test_close_during_a_call_raises_an_analyst_error(make: Maker) -> None:
    with FakeOpenAIServer(reply=lambda _: "one two three", latency_seconds=0.05) as server:
        chat = make(server.base_url)
        closed = chat._connected()
        closed.close()
        errors = [failure(chat, way, Bill()) for way in WAYS]
    said = "the connection to the LLM was closed during the call; retry"
    assert [(type(each), str(each)) for each in errors] == [(AnalystUnavailableError, said)] * len(WAYS)


# --- endpoints that are not there, or are none


@pytest.mark.parametrize("way", WAYS)
def test_unreachable_endpoint_is_unavailable(make: Maker, way: str) -> None:
    with FakeOpenAIServer() as server:
        base_url = server.base_url
    error = failure(make(base_url), way, Bill())
    assert type(error) is AnalystUnavailableError
    assert "ConnectionRefusedError" in str(error)


@pytest.mark.parametrize("way", WAYS)
def test_endpoint_that_stopped_is_unavailable(make: Maker, way: str) -> None:
    with FakeOpenAIServer() as server:
        chat = make(server.base_url)
        assert ask(chat, way, Bill())
    assert type(failure(chat, way, Bill())) is AnalystUnavailableError


@pytest.mark.parametrize(
    "base_url", ["no address", "http://", "http://[::bad", "http://127.0.0.1:port/v1", "ftp://127.0.0.1/v1", "http://a\0b/", "   "]
)  # fmt: skip
@pytest.mark.parametrize("way", WAYS)
def test_invalid_address_is_unavailable(make: Maker, base_url: str, way: str) -> None:
    error = failure(make(base_url), way, Bill())
    assert type(error) is AnalystUnavailableError
    assert "can't be reached" in str(error)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("key", "asked"), [("ключ", ASKED), (KEY, f"{ASKED} \ud83d"), (f"{KEY}\nmore", ASKED)])
def test_key_or_text_that_cannot_be_sent_is_unavailable(make: Maker, key: str, asked: str, way: str) -> None:
    with FakeOpenAIServer() as server:
        error = failure(make(server.base_url, api_key=key), way, Bill(), ChatRequest((Message("user", asked),)))
        assert type(error) is AnalystUnavailableError
        assert "ключ" not in shown(error)
        assert server.requests == []


NO_COMPLETIONS: list[Any] = [
    None, [], SAID, 7, {}, {"object": "error", "message": SAID}, {"choices": None}, {"choices": []}, {"choices": [None]},
    {"choices": [SAID]}, {"choices": [{}]}, {"choices": SAID}, {"choices": {"message": SAID}}, {"choices": [{"message": None}]},
    {"choices": [{"message": SAID}]}, {"choices": [{"finish_reason": "stop"}]}, {"choices": [{"delta": {"content": SAID}}]},
    {"choices": [{"text": SAID}]}, {"detail": SAID},
]  # fmt: skip
NO_CONTENTS: list[Any] = [
    None, "", " \n\t", 7, True, {}, {"text": SAID}, [], [None], [SAID], [{}], [{"type": "text"}], "<think>" + SAID
]  # fmt: skip
HTML = httpx2.Response(200, headers={"Content-Type": "text/html"}, text=f"<html>Welcome. {SAID}</html>")


@pytest.mark.parametrize(
    "reply",
    [
        HTML,
        httpx2.Response(200, headers={"Content-Type": "application/json"}, text=f'{{"choices": [{{"message": "{SAID}'),
        httpx2.Response(200, headers={"Content-Type": "application/json"}, text="[" * 200_000),
        httpx2.Response(200, headers={"Content-Type": "application/json"}, content=b"\xff\xfe\xfd"),
        httpx2.Response(200, headers={"Content-Type": "application/json"}, content=b""),
        httpx2.Response(204),
        *map(completed, NO_COMPLETIONS),
        *(completed(message(content)) for content in NO_CONTENTS),
        completed({"choices": [{"message": {"content": None, "reasoning_content": SAID}, "finish_reason": "length"}]}),
        completed({"choices": [{"message": {"content": SAID}, "finish_reason": "content_filter"}]}),
        completed({"choices": [{"message": {"content": None, "refusal": SAID}, "finish_reason": "stop"}]}),
        completed({"choices": [{"message": {"content": None, "tool_calls": [{"id": SAID}]}, "finish_reason": "tool_calls"}]}),
        completed({"choices": [{"message": {"content": SAID}, "finish_reason": ["stop"]}]}),
    ],
)  # fmt: skip
def test_malformed_body_is_an_invalid_reply(reply: httpx2.Response) -> None:
    assert type(failure(behind(Odd(reply)), "complete", Bill())) is InvalidReplyError


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": SAID, "code": 502}},
        {"error": {"message": SAID, "code": "overloaded"}, "choices": []},
        {"error": SAID},
        {"error": True},
        {"choices": [{"message": {"content": SAID}, "finish_reason": "error"}]},
        {"choices": [{"message": {"content": SAID}, "finish_reason": "insufficient_system_resource"}]},
    ],
)
def test_error_body_with_status_200_is_unavailable(body: Any) -> None:
    assert type(failure(behind(Odd(completed(body))), "complete", Bill())) is AnalystUnavailableError
    assert type(failure(behind(Odd(streamed([delta(SAID), body], ""))), "stream", Bill())) is AnalystUnavailableError


@pytest.mark.parametrize(
    "body",
    [
        message(SAID),
        message(SAID, error=None, usage=None, id=None, object=None, created="now", model=None, x_groq={"id": 1}),
        {"choices": [{"message": {"content": SAID}}]},
        {"choices": [{"message": {"content": SAID, "refusal": "", "reasoning_content": None, "tool_calls": []}, "finish_reason": ""}]},
        {"choices": [{"message": {"content": SAID}, "finish_reason": "eos"}, {"message": None}]},
        message([{"type": "text", "text": SAID[:9]}, {"type": "text", "text": SAID[9:]}]),
        message([{"type": "thinking", "thinking": [{"type": "text", "text": "well"}]}, {"type": "text", "text": SAID}]),
        message(f"\n<think>well</think>\n\n{SAID}\n"),
        message(f"well\n</think>\n{SAID}"),
    ],
)  # fmt: skip
def test_reply_formats_of_real_endpoints_are_accepted(body: Any) -> None:
    bill = Bill()
    assert behind(Odd(completed(body))).complete(REQUEST, bill) == SAID
    assert [each.failed for each in bill.usages] == [False]


@pytest.mark.parametrize(
    "events",
    [
        [delta(SAID), END],
        [delta(SAID, "stop")],
        [delta(role="assistant"), delta(""), delta(SAID), END],
        [delta(role="assistant", content=None, reasoning_content="well"), delta(SAID, reasoning_content=None), END],
        [delta(reasoning="well"), delta(SAID, refusal=None), END],
        [{"choices": [], "prompt_filter_results": []}, delta(SAID), END],
        [{"choices": None}, delta(SAID), {"type": "ping"}, {}, END],
        [": OPENROUTER PROCESSING\n\n", delta(SAID), ": keep-alive\n\n", END],
        [{"choices": [{"delta": None}]}, {"choices": [{}]}, delta(SAID), {"choices": [{"finish_reason": "stop"}]}],
        [delta(SAID, "") | {"usage": None, "error": None}, delta(finish="length") | {"usage": None}],
        [delta([{"type": "text", "text": SAID}]), END],
        ["event: message\r\ndata: " + json.dumps(delta(SAID)) + "\r\n\r\n", END],
        *([*(delta(each) for each in f"\n<think>\nwell\n</think>\n\n{SAID}"), END],),
        [{"choices": [{"delta": {"content": SAID}}, {"index": 1, "delta": {"content": "another"}}]}, END],
    ],
)  # fmt: skip
@pytest.mark.parametrize("done", ["data: [DONE]\n\n", ""])
def test_stream_formats_of_real_endpoints_are_accepted(events: Events, done: str) -> None:
    bill = Bill()
    assert ask(behind(Odd(streamed(events, done))), "stream", bill) == SAID
    assert [each.failed for each in bill.usages] == [False]


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([], AnalystUnavailableError),
        (["<html></html>"], AnalystUnavailableError),
        ([delta(SAID)], AnalystUnavailableError),
        ([delta(SAID, "")], AnalystUnavailableError),
        ([delta(role="assistant")], AnalystUnavailableError),
        (
            [delta(SAID), "event: error\ndata: " + json.dumps({"error": {"message": SAID}}) + "\n\n"],
            AnalystUnavailableError,
        ),
        ([delta(SAID), "data: {" + SAID + "\n\n"], InvalidReplyError),
        ([delta(SAID), f'data: "{SAID}"\n\n'], InvalidReplyError),
        ([{"object": "error", "message": SAID}], InvalidReplyError),
        ([{"choices": []}, {"choices": [], "usage": USAGE}], InvalidReplyError),
        ([END], InvalidReplyError),
        ([delta(" "), delta("\n"), END], InvalidReplyError),
        ([delta("<think>"), delta(SAID), END], InvalidReplyError),
        ([delta(reasoning_content=SAID), END], InvalidReplyError),
        ([delta("I"), delta(refusal=SAID), END], InvalidReplyError),
        ([delta("I"), delta(finish="content_filter")], InvalidReplyError),
        ([{"choices": SAID}], InvalidReplyError),
        ([{"choices": [SAID]}], InvalidReplyError),
    ],
)
@pytest.mark.parametrize("done", ["data: [DONE]\n\n", ""])
def test_malformed_stream_raises_an_error(events: Events, kind: type[AnalystError], done: str) -> None:
    assert type(failure(behind(Odd(streamed(events, done))), "stream", Bill())) is kind


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 413, 418, 422, 429, 500, 502, 503, 529])
def test_errors_contain_no_text_quoted_by_the_endpoint(status: int, way: str) -> None:
    def echo(request: httpx2.Request) -> httpx2.Response:
        said = f"{request.content.decode()} {request.headers['Authorization']} {SAID}"
        error = {"message": said, "type": said, "code": SAID, "param": said}
        return completed({"error": error, "detail": [{"input": said}]}, status, X_Request_Id=said.replace("\n", " "))

    error = failure(behind(echo), way, Bill())
    assert type(error) is AnalystUnavailableError
    assert str(status) in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"busy",
        b"<html>busy</html>",
        b"[]",
        b"null",
        b'[{"error": {"code": 400}}]',
        b'{"error": "x"}',
    ],
)
def test_error_without_a_valid_code_shows_no_code(body: bytes) -> None:
    error = failure(behind(lambda _: httpx2.Response(503, content=body)), "complete", Bill())
    assert str(error) == "the LLM answered with status 503; see the log of the endpoint"


# --- half characters


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["a\ud83d", "\ude00b"], "a😀b"),
        (["a", "\ud83d", "", "\ude00", "b"], "a😀b"),
        (["a\ud83d", "b"], "a\ufffdb"),
        (["a\ud83d"], "a\ufffd"),
        (["a\ude00b\0"], "a\ufffdb\ufffd"),
        (["a\ud83d\ud83d", "\ude00"], "a\ufffd😀"),
        (["é", "你", "😀"], "é你😀"),
    ],
)
def test_split_surrogate_pairs_are_joined(pieces: list[str], expected: str) -> None:
    assert behind(Odd(completed(message("".join(pieces))))).complete(REQUEST, Bill()) == expected
    assert ask(behind(Odd(streamed([*map(delta, pieces), END]))), "stream", Bill()) == expected


@settings(max_examples=40)
@given(st.text(min_size=1).filter(str.strip), st.integers(1, 5))
def test_text_split_at_any_utf_16_unit_is_restored(text: str, size: int) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    pieces = [units[at : at + 2 * size].decode("utf-16-le", "surrogatepass") for at in range(0, len(units), 2 * size)]
    said = ask(behind(Odd(streamed([delta("."), *map(delta, pieces), END]))), "stream", Bill())
    assert said == f".{text}".replace("\0", "\ufffd")
