"""Tests that the proxy relays bytes unchanged and immediately, and handles disconnects."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import threading
from typing import Any

import httpx2
import openai
import pytest

from memoryos.doors.http.proxy_exchange import Exchange
from tests.conftest import EngineMaker
from tests.doors.http.proxy_fakes import (
    Piece,
    Received,
    Scripted,
    ScriptedEndpoint,
    completion,
    delta,
    document,
    serving,
    sse,
)
from tests.doors.http.proxy_fixture import KEY, Proxied, proxied
from tests.waiting import TIMEOUT_SECONDS, wait_until

pytestmark = pytest.mark.enable_socket

ODD = (
    b'{ "model" : "m","temperature":1.0, "seed": 123456789012345678901234567890, "top_p":1e-1,"x":1e999,\n'
    b'\t"messages":[ {"content":"Where do I live?\\u00e9\xc3\xa9","role":"user","name":"tom"}\n ] ,"logprobs":true,'
    b'"response_format":{"type":"json_object"},"own":{"deep":[null,{"a":"\\ud83d"}]},"own":2 }  '
)


def test_unusual_body_is_relayed_byte_for_byte(make_engine: EngineMaker) -> None:
    with ScriptedEndpoint(lambda _: document(completion("Yes."))) as endpoint:  # noqa: SIM117
        with proxied(make_engine, endpoint.base_url) as proxy:
            assert proxy.post(ODD, {"X-MemoryOS-Remember": "no"}).status_code == 200
            assert endpoint.received[0].body == ODD
            proxy.engine.memory("default_user").add_memory("I live in Lisbon.", "Nice.")
            proxy.post(ODD)
            sent = endpoint.received[1].body
            start = ODD.index(b'{"content"')
            end = sent.index(ODD[start:])
            inserted = sent[start:end]
            assert sent[:start] + sent[end:] == ODD
            assert inserted.endswith(b", ")
            message = json.loads(inserted[:-2])
            assert message["role"] == "system"
            assert "Lisbon" in message["content"]


def test_stream_is_relayed_immediately_byte_for_byte(make_engine: EngineMaker) -> None:
    continues = threading.Event()
    tail = [b"\ndata", b": [DO", b"NE]\n\n", b": bye\n\n"]
    head: list[Piece] = [b": hello\r\n\r\n", *sse(delta("Hello")), b'id: 7\nretry: 5\ndata: {"odd":   1}\n']
    pieces = [*head, continues, *tail]
    with (
        ScriptedEndpoint(lambda _: Scripted(list(pieces))) as endpoint,
        proxied(make_engine, endpoint.base_url) as proxy,
    ):
        body = b'{"messages": [{"role": "user", "content": "Hi"}], "stream": true}'
        with httpx2.Client(timeout=TIMEOUT_SECONDS) as client, client.stream(
            "POST", f"{proxy.address}/v1/chat/completions", content=body, headers={"Content-Type": "application/json"}
        ) as response:  # fmt: skip
            assert response.headers["content-type"] == "text/event-stream"
            got = b""
            coming = response.iter_raw()
            before = b"".join(each for each in head if isinstance(each, bytes))
            while len(got) < len(before):
                got += next(coming)
            assert got == before
            assert proxy.pages() == []
            continues.set()
            got += b"".join(coming)
        assert got == before + b"".join(tail)
        assert proxy.pages() == [("Hi", "Hello")]


@pytest.mark.parametrize("stream", [False, True])
def test_exchange_is_stored_before_the_last_bytes_are_relayed(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch, *, stream: bool
) -> None:
    begun, continues = threading.Event(), threading.Event()
    remember = Exchange._remember

    def slowly(self: Exchange, answer: str) -> None:
        begun.set()
        assert continues.wait(TIMEOUT_SECONDS)
        remember(self, answer)

    monkeypatch.setattr(Exchange, "_remember", slowly)
    never_read = [threading.Event()] if stream else []
    streamed = Scripted([*sse(delta("Hello."), delta(finish="stop"), b"[DONE]"), *never_read])
    last = b"[DONE]" if stream else b'"stop"}]}'
    with ScriptedEndpoint(lambda _: streamed if stream else document(completion("Hello."))) as endpoint:  # noqa: SIM117
        with proxied(make_engine, endpoint.base_url) as proxy, httpx2.Client(timeout=TIMEOUT_SECONDS) as client:
            got = bytearray()
            seen = threading.Event()

            def read() -> None:
                with client.stream(
                    "POST", f"{proxy.address}/v1/chat/completions", content=asking("Hi"),
                    headers={"Content-Type": "application/json"},
                ) as response:  # fmt: skip
                    for piece in response.iter_raw():
                        got.extend(piece)
                        if last in got:
                            seen.set()
                            return

            reading = threading.Thread(target=read)
            reading.start()
            assert begun.wait(TIMEOUT_SECONDS)
            assert not seen.wait(0.1)
            continues.set()
            reading.join(TIMEOUT_SECONDS)
            assert seen.is_set()
            assert proxy.pages() == [("Hi", "Hello.")]


def asking(text: str, **more: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text}]} | more).encode()


def test_only_listed_headers_are_relayed(make_engine: EngineMaker) -> None:
    def reply(_: Received) -> Scripted:
        return document(
            completion("Yes."), x_request_id="r1", openai_processing_ms="5", set_cookie="a=b",
            access_control_allow_origin="*", strict_transport_security="max-age=1", x_ratelimit_remaining_tokens="9",
            cache_control="public", content_security_policy="script-src *", x_frame_options="ALLOW", server="theirs",
            location="http://elsewhere", memoryos_affinity="theirs", x_memoryos_recall="99", openai_organization="acme",
        )  # fmt: skip

    with ScriptedEndpoint(reply) as endpoint, proxied(make_engine, endpoint.base_url) as proxy:
        given = {
            "OpenAI-Beta": "assistants=v2", "X-Own": "1", "User-Agent": "program/1", "Cookie": "secret=1",
            "Authorization": "Bearer sk-of-the-client", "X-API-Key": "abc", "OpenAI-Organization": "org",
            "X-MemoryOS-User": "ann", "Referer": "http://here", "X-Assistant-Id": "secret", "Accept-Language": "nl",
            "X-Csrf-Token": "t", "Traceparent": "00-1-1-1", "Idempotency-Key": "k1", "Priority": "u=1",
        }  # fmt: skip
        got = proxy.post(asking("Hi"), given)
        sent = endpoint.received[0].headers
        assert sent["authorization"] == f"Bearer {KEY}"
        assert set(sent) == {
            "accept", "accept-encoding", "authorization", "content-length", "content-type", "host", "idempotency-key",
            "openai-beta", "user-agent", "x-memoryos-passed",
        }  # fmt: skip
        assert sent["host"] in endpoint.base_url
        assert (got.headers["x-request-id"], got.headers["openai-processing-ms"]) == ("r1", "5")
        assert got.headers["x-ratelimit-remaining-tokens"] == "9"
        assert not {"set-cookie", "access-control-allow-origin", "strict-transport-security"} & set(got.headers)
        assert not {"location", "openai-organization"} & set(got.headers)
        assert got.headers.get_list("server") == ["uvicorn"], "uvicorn's own header, which the command line turns off"
        assert (got.headers["cache-control"], got.headers["x-frame-options"]) == ("no-store", "DENY")
        assert got.headers["content-security-policy"] == "frame-ancestors 'none'"
        assert got.headers["memoryos-affinity"] != "theirs"
        assert got.headers["x-memoryos-recall"] == "0"
        assert len(got.headers.get_list("date")) == 1


def test_setting_adds_headers_except_credentials_and_hop_by_hop(make_engine: EngineMaker) -> None:
    named = ["X-Title", "Cookie", "Host", "X-API-Key", "Authorization", "X-MemoryOS-User", "X-Copy"]
    with (
        ScriptedEndpoint(lambda _: document(completion("Yes."))) as endpoint,
        proxied(make_engine, endpoint.base_url, settings={"keys": True, "proxy_headers": named}) as proxy,
    ):
        key = proxy.engine.store.keys.create("ann", proxy.engine.clock()).text
        given = {"X-Title": "My program", "X-API-Key": key, "X-MemoryOS-User": "ann", "X-Copy": f"Bearer {key}"}
        assert proxy.post(asking("Hi"), given).status_code == 200
        sent = endpoint.received[0].headers
        assert sent["x-title"] == "My program"
        assert sent["authorization"] == f"Bearer {KEY}"
        assert not {"x-api-key", "x-memoryos-user", "x-copy"} & set(sent)
        assert sent["host"] in endpoint.base_url


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml; charset=utf-8", "application/xhtml+xml", "x"])
def test_html_replies_become_plain_text(make_engine: EngineMaker, kind: str) -> None:
    reply = Scripted([b"<script>alert(1)</script>"], headers={"Content-Type": kind}, has_content_length=True)
    with ScriptedEndpoint(lambda _: reply) as endpoint, proxied(make_engine, endpoint.base_url) as proxy:
        got = httpx2.get(f"{proxy.address}/v1/models")
        assert got.headers["content-type"] == "text/plain; charset=utf-8"
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.content == b"<script>alert(1)</script>"


def test_query_is_relayed_and_cannot_change_the_url(make_engine: EngineMaker) -> None:
    with ScriptedEndpoint(lambda _: document(completion("Yes."))) as endpoint:  # noqa: SIM117
        with proxied(make_engine, endpoint.base_url) as proxy, httpx2.Client() as client:
            for query in ("api-version=1&x=%20y", "@evil.invalid/?a=b", "https://evil.invalid/"):
                got = client.post(f"{proxy.address}/v1/chat/completions?{query}", json=json.loads(asking("Hi")))
                assert got.status_code == 200
                assert endpoint.received[-1].path == f"/v1/chat/completions?{query}"


def test_compressed_reply_is_relayed_unchanged_and_parsed(make_engine: EngineMaker) -> None:
    packed = gzip.compress(json.dumps(completion("Packed.")).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with ScriptedEndpoint(lambda _: Scripted([packed[:9], packed[9:]], headers=headers)) as endpoint:  # noqa: SIM117
        with proxied(make_engine, endpoint.base_url) as proxy:
            got = proxy.post(asking("Hi"))
            assert endpoint.received[0].headers["accept-encoding"] == "identity"
            assert got.headers["content-encoding"] == "gzip"
            assert got.json() == completion("Packed.")
            assert proxy.pages() == [("Hi", "Packed.")]


@pytest.mark.parametrize("has_content_length", [True, False])
def test_truncated_reply_is_truncated_for_the_client_and_not_stored(
    make_engine: EngineMaker, *, has_content_length: bool, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps(completion("A long answer.")).encode()
    pieces: list[Piece] = [body[:-20], body[-20:]] if has_content_length else [*sse(delta("A long")), b"answer"]
    kind = "application/json" if has_content_length else "text/event-stream"
    reply = Scripted(pieces, headers={"Content-Type": kind}, is_truncated=True, has_content_length=has_content_length)
    with ScriptedEndpoint(lambda _: reply) as endpoint, proxied(make_engine, endpoint.base_url) as proxy:
        with pytest.raises(httpx2.RemoteProtocolError):
            proxy.post(asking("Hi", stream=not has_content_length))
        assert proxy.pages() == []
        assert proxy.engine.scopes() == ()
    assert "ended its reply early" in caplog.text


def test_error_in_a_stream_is_relayed_and_not_stored(make_engine: EngineMaker) -> None:
    events = sse(delta("Half"), {"error": {"message": "overloaded", "code": 503}}, b"[DONE]")
    with ScriptedEndpoint(lambda _: Scripted(events)) as endpoint, proxied(make_engine, endpoint.base_url) as proxy:
        with pytest.raises(openai.APIError):
            list(
                proxy.sdk().chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
                )
            )
        assert proxy.pages() == []


def disconnect_in_the_middle(proxy: Proxied, body: bytes, *, after: bytes) -> None:
    """Sends a request, reads up to the given bytes, and disconnects."""
    host, _, port = proxy.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        got = b""
        while after not in got:
            got += connection.recv(65536)


@pytest.mark.parametrize("has_finished", [False, True])
def test_disconnect_cancels_the_upstream_request_and_stores_complete_answers_only(
    make_engine: EngineMaker, *, has_finished: bool
) -> None:
    never = threading.Event()
    end = [delta("bon.", "stop")] if has_finished else [delta("bon.")]
    with ScriptedEndpoint(lambda _: Scripted([*sse(delta("Lis"), *end), never])) as endpoint:  # noqa: SIM117
        with proxied(make_engine, endpoint.base_url, llm_concurrency=1) as proxy:
            for _ in range(3):
                endpoint.left.clear()
                disconnect_in_the_middle(proxy, asking("Hi", stream=True), after=b"bon.")
                assert endpoint.left.wait(TIMEOUT_SECONDS)
            if has_finished:
                wait_until(lambda: proxy.pages() == [("Hi", "Lisbon.")])
            else:
                assert proxy.pages() == []


def test_disconnect_before_the_reply_cancels_the_upstream_request(make_engine: EngineMaker) -> None:
    asked, never = threading.Event(), threading.Event()

    def reply(_: Received) -> Scripted:
        asked.set()
        return Scripted([never], headers={"Content-Type": "application/json"})

    with ScriptedEndpoint(reply) as endpoint, proxied(make_engine, endpoint.base_url, llm_concurrency=1) as proxy:
        host, _, port = proxy.address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS) as connection:
            body = asking("Hi")
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert asked.wait(TIMEOUT_SECONDS)
        assert endpoint.left.wait(TIMEOUT_SECONDS)
        assert proxy.pages() == []
        endpoint.reply = lambda _: document(completion("Here again."))
        assert proxy.post(asking("Hi")).json() == completion("Here again.")


def test_slow_client_causes_backpressure(make_engine: EngineMaker) -> None:
    piece = sse(delta("x" * 60_000))[0]
    assert isinstance(piece, bytes)
    count = 2_000
    sent = 0

    class Counting(list[Piece]):
        def __iter__(self) -> Any:
            nonlocal sent
            for _ in range(count):
                sent += 1
                yield piece

        def __len__(self) -> int:
            return count

    with ScriptedEndpoint(lambda _: Scripted(Counting())) as endpoint, proxied(make_engine, endpoint.base_url) as proxy:  # noqa: SIM117
        with httpx2.Client(timeout=TIMEOUT_SECONDS) as client, client.stream(
            "POST", f"{proxy.address}/v1/chat/completions", content=asking("Hi", stream=True),
            headers={"Content-Type": "application/json"},
        ) as response:  # fmt: skip
            next(response.iter_raw())
            held = -1
            while held != sent:
                held = sent
                threading.Event().wait(0.3)
            assert sent < count // 2


def test_unreachable_endpoint_is_502(make_engine: EngineMaker) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with proxied(make_engine, f"http://127.0.0.1:{taken.getsockname()[1]}/v1") as proxy:
            got = proxy.post(asking("Hi"))
            assert got.status_code == 502
            assert got.headers["content-type"] == "application/problem+json"
            assert proxy.engine.scopes() == ()


def test_silent_endpoint_is_504(make_engine: EngineMaker) -> None:
    never = threading.Event()

    def reply(_: Received) -> Scripted:
        never.wait(TIMEOUT_SECONDS)
        return document(completion("Late."))

    with ScriptedEndpoint(reply) as endpoint:
        try:
            with proxied(make_engine, endpoint.base_url, settings={"proxy_timeout_seconds": 0.2}) as proxy:
                assert proxy.post(asking("Hi")).status_code == 504
                assert proxy.pages() == []
        finally:
            never.set()


def test_full_connection_pool_is_503(make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memoryos.doors.http.proxy_upstream.POOL_SECONDS", 0.1)
    continues = threading.Event()
    pieces: list[Piece] = [*sse(delta("Lis")), continues, *sse(delta("bon.", "stop"))]
    with ScriptedEndpoint(lambda _: Scripted(pieces)) as endpoint:  # noqa: SIM117
        with (
            proxied(make_engine, endpoint.base_url, llm_concurrency=1) as proxy,
            httpx2.Client(timeout=TIMEOUT_SECONDS) as client,
        ):
            with client.stream(
                "POST", f"{proxy.address}/v1/chat/completions", content=asking("Hi", stream=True),
                headers={"Content-Type": "application/json"},
            ) as response:  # fmt: skip
                coming = response.iter_raw()
                next(coming)
                refused = proxy.post(asking("And I?"))
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
                continues.set()
                list(coming)
            assert proxy.pages() == [("Hi", "Lisbon.")]


def test_proxy_loop_is_508(make_engine: EngineMaker) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    from tests.doors.http.proxy_fixture import build  # noqa: PLC0415

    engine = make_engine(openai_base_url=f"http://127.0.0.1:{port}/v1")
    with serving(build(engine), port=port) as address:
        got = Proxied(address, engine).post(asking("Hi"))
        assert got.status_code == 508
        assert engine.scopes() == ()


NO_CHATS: list[tuple[bytes, str, int]] = [
    (b"", "application/json", 422),
    (b"[]", "application/json", 422),
    (b'"text"', "application/json", 422),
    (b'{"messages": ', "application/json", 422),
    (b"\xff\xfe{}", "application/json", 422),
    (b"[" * 200_000, "application/json", 422),
    (b'{"messages": [], "user": 7}', "application/json", 422),
    (b'{"messages": [], "user": "' + b"u" * 2_000 + b'"}', "application/json", 422),
    (b'{"messages": []}', "text/plain", 415),
    (b'{"messages": []}', "application/x-www-form-urlencoded", 415),
]


def test_invalid_body_is_refused_without_an_upstream_request(make_engine: EngineMaker) -> None:
    with ScriptedEndpoint(lambda _: document({})) as endpoint, proxied(make_engine, endpoint.base_url) as proxy:
        for body, kind, status in NO_CHATS:
            assert proxy.post(body, {"Content-Type": kind}).status_code == status, body[:40]
        assert endpoint.received == []


ODD_CHATS = [
    b"{}",
    b'{"messages": null}',
    b'{"messages": "Hi"}',
    b'{"messages": []}',
    b'{"messages": [7, null, "x"]}',
    b'{"messages": [{}]}',
    b'{"messages": [{"role": "user"}]}',
    b'{"messages": [{"role": "user", "content": 7}]}',
    b'{"messages": [{"role": "user", "content": [7, {"type": "text"}, {"type": "text", "text": 8}]}]}',
    b'{"messages": [{"role": ["user"], "content": "Hi"}]}',
    b'{"messages": [{"role": "system", "content": "Hi"}]}',
]


def test_unknown_fields_are_validated_by_the_endpoint(make_engine: EngineMaker) -> None:
    refusal = {"error": {"message": "no", "type": "invalid_request_error"}}
    with (
        ScriptedEndpoint(lambda _: document(refusal, 400)) as endpoint,
        proxied(make_engine, endpoint.base_url) as proxy,
    ):
        proxy.engine.memory("default_user").add_memory("I live in Lisbon.", "Nice.")
        for body in ODD_CHATS:
            got = proxy.post(body)
            assert (got.status_code, got.json()) == (400, refusal)
            assert endpoint.received[-1].body == body
        assert len(proxy.pages()) == 1


ODD_REPLIES = [
    document([]),
    document({"choices": "none"}),
    document({"choices": [7, {"index": 0, "message": "text", "finish_reason": 3}]}),
    document({"choices": [{"message": {"content": ["a"]}, "finish_reason": "stop"}]}),
    Scripted([b"no json"], headers={"Content-Type": "application/json"}),
    Scripted([b""], headers={}, has_content_length=True),
    Scripted([b"data: no json\n\ndata: 7\n\ndata: [DONE]\n\n"]),
    Scripted([b"\x1f\x8bno gzip"], headers={"Content-Encoding": "gzip"}),
    Scripted([b"br?"], headers={"Content-Encoding": "br"}),
    document(completion("Not for the log."), 201),
]


def test_malformed_replies_are_relayed_and_not_stored(make_engine: EngineMaker) -> None:
    replies = iter(ODD_REPLIES)
    headers = {"Content-Type": "application/json"}
    with ScriptedEndpoint(lambda _: next(replies)) as endpoint, proxied(make_engine, endpoint.base_url) as proxy:
        for reply in ODD_REPLIES:
            url = f"{proxy.address}/v1/chat/completions"
            with httpx2.Client() as client, client.stream("POST", url, content=asking("Hi"), headers=headers) as got:
                assert b"".join(got.iter_raw()) == b"".join(each for each in reply.pieces if isinstance(each, bytes))
            assert got.status_code == reply.status
        assert proxy.pages() == []


def test_logs_contain_no_message_text(make_engine: EngineMaker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "memoryos")
    with ScriptedEndpoint(lambda _: document(completion("A private answer."))) as endpoint:  # noqa: SIM117
        with proxied(make_engine, endpoint.base_url) as proxy:
            for _ in range(2):
                proxy.post(asking("A private question."), {"Authorization": "Bearer sk-private"})
            assert proxy.pages() == [("A private question.", "A private answer.")]
    ours = [each for each in caplog.records if each.name.startswith("memoryos")]
    assert ours
    assert not [each for each in ours if "rivate" in str(each.__dict__) or KEY in str(each.__dict__)]
