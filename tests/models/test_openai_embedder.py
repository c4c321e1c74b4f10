"""The embedder for endpoints, against a local server that reorders vectors, rejects requests and fails."""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from memoryos.errors import ConfigError, DimensionMismatchError, EmbeddingError
from memoryos.models import openai_embedder
from memoryos.models.openai_embedder import OpenAIEmbedder

pytestmark = pytest.mark.enable_socket

DIMENSIONS = 5
SECRET = "the secret of the conversation"
Answer = tuple[int, bytes]


def vector(text: str, length: int = DIMENSIONS) -> NDArray[np.float32]:
    return np.random.default_rng(zlib.crc32(text.encode())).normal(size=length).astype(np.float32)


def rows_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"object": "embedding", "index": index, "embedding": vector(text).tolist()}
        for index, text in enumerate(body["input"])
    ]


def replied(data: Any) -> Answer:
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return 200, json.dumps({"object": "list", "model": "fake", "data": data, "usage": usage}).encode()


def refused(status: int) -> Answer:
    return status, json.dumps(
        {"error": {"message": SECRET, "type": "simulated_error", "code": "simulated_code"}}
    ).encode()


def good(body: dict[str, Any]) -> Answer:
    return replied(rows_of(body))


class Server(ThreadingHTTPServer):
    """A fake endpoint for embeddings; ``answer`` computes its replies."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Endpoint)
        self.answer: Callable[[dict[str, Any]], Answer] = good
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.breaks_off = False
        self.lock = threading.Lock()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def sizes(self) -> list[int]:
        return [len(each["input"]) for each in self.requests]

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(body | {"path": self.path})
            self.server.keys.append(self.headers["Authorization"])
        status, content = self.server.answer(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.server.breaks_off else content)
        self.close_connection = self.server.breaks_off

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def make(server: Server) -> Iterator[Callable[..., OpenAIEmbedder]]:
    made: list[OpenAIEmbedder] = []

    def maker(**given: Any) -> OpenAIEmbedder:
        values: dict[str, Any] = {"model": "fake", "api_key": "key-1", "base_url": server.base_url}
        values |= {"dimensions": DIMENSIONS, "max_retries": 0} | given
        made.append(OpenAIEmbedder(**values))
        return made[-1]

    yield maker
    for each in made:
        each.close()


Maker = Callable[..., OpenAIEmbedder]


def expected(texts: list[str]) -> NDArray[np.float32]:
    rows = np.stack([vector(text) for text in texts])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_rows_are_normalised_and_in_the_order_of_the_texts(server: Server, make: Maker) -> None:
    server.answer = lambda body: replied(rows_of(body)[::-1])
    texts = ["bread", "rye", "bread", "你好"]
    vectors = make().embed(texts)
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, expected(texts), atol=1e-6)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_request_contains_only_model_input_and_format(server: Server, make: Maker) -> None:
    make(model="some/model").embed(["bread"])
    assert server.requests == [
        {"path": "/v1/embeddings", "model": "some/model", "input": ["bread"], "encoding_format": "float"}
    ]
    assert server.keys == ["Bearer key-1"]


def test_many_texts_are_sent_in_several_requests(server: Server, make: Maker) -> None:
    texts = [f"text {number}" for number in range(70)]
    assert np.allclose(make().embed(texts), expected(texts), atol=1e-6)
    assert server.sizes == [32, 32, 6]


def test_no_texts_send_no_request_and_an_empty_text_is_sent_as_a_space(server: Server, make: Maker) -> None:
    embedder = make()
    assert embedder.embed([]).shape == (0, DIMENSIONS)
    assert server.requests == []
    assert np.allclose(embedder.embed(["", "rye"]), expected([" ", "rye"]), atol=1e-6)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_request_size_adapts_to_the_limit_of_the_endpoint(server: Server, make: Maker, status: int) -> None:
    server.answer = lambda body: refused(status) if len(body["input"]) > 10 else good(body)
    texts = [f"text {number}" for number in range(40)]
    embedder = make()
    assert np.allclose(embedder.embed(texts), expected(texts), atol=1e-6)
    server.requests.clear()
    assert np.allclose(embedder.embed(texts), expected(texts), atol=1e-6)
    assert server.sizes == [8, 8, 8, 8, 8]


def test_one_rejected_text_does_not_reduce_the_request_size(server: Server, make: Maker) -> None:
    server.answer = lambda body: refused(400) if SECRET in body["input"] else good(body)
    embedder = make()
    with pytest.raises(EmbeddingError, match="status 400: simulated_code") as caught:
        embedder.embed(["rye"] * 31 + [SECRET])
    assert SECRET not in str(caught.value)
    server.requests.clear()
    embedder.embed(["rye"] * 32)
    assert server.sizes == [32]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_transient_errors_are_retried(server: Server, make: Maker, status: int) -> None:
    server.answer = lambda body: good(body) if len(server.requests) > 2 else refused(status)
    assert np.allclose(make(max_retries=2).embed(["rye"]), expected(["rye"]), atol=1e-6)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("status", "requests", "words"),
    [
        (429, 2, "the embedding endpoint is rate limited"),
        (500, 2, "status 500"),
        (401, 1, "rejected the API key"),
        (403, 1, "denied access"),
        (404, 1, "has no such model or path"),
        (400, 1, "status 400"),
    ],
)
def test_permanent_errors_become_embedding_errors(
    server: Server, make: Maker, status: int, requests: int, words: str
) -> None:
    server.answer = lambda _: refused(status)
    with pytest.raises(EmbeddingError, match=words) as caught:
        make(max_retries=1).embed([SECRET])
    assert SECRET not in str(caught.value)
    assert len(server.requests) == requests


def test_timeout_becomes_an_embedding_error(server: Server, make: Maker) -> None:
    done = threading.Event()
    server.answer = lambda body: (done.wait(60), good(body))[1]
    started = time.monotonic()
    try:
        with pytest.raises(EmbeddingError, match="did not answer in time"):
            make(timeout_seconds=0.1).embed(["rye"])
    finally:
        done.set()
    assert time.monotonic() - started < 30


def test_dropped_connection_becomes_an_embedding_error(server: Server, make: Maker) -> None:
    server.breaks_off = True
    with pytest.raises(EmbeddingError, match="can't be reached"):
        make().embed(["rye"])


def test_unreachable_endpoint_becomes_an_embedding_error(make: Maker) -> None:
    with pytest.raises(EmbeddingError, match="can't be reached"):
        make(base_url="http://127.0.0.1:9/v1").embed(["rye"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        good({"input": ["rye"]})[1][:-20],
        b"<html>rye</html>",
        b"[]",
        b"{}",
        b'{"data": null}',
        b'{"data": "rye"}',
        b'{"data": [null]}',
        b'{"data": [{"index": [0], "embedding": [1]}]}',
        b'{"data": [{"index": 0}]}',
        b'{"data": [{"index": 0, "embedding": "AAAA"}]}',
        b'{"data": [{"index": 0, "embedding": [[1], [1, 2]]}]}',
        b'{"data": [{"index": 0, "embedding": {"a": 1}}]}',
        b'{"data": [{"embedding": [1, 2, 3, 4, 5]}]}',
        b'{"error": {"message": "upstream is away"}}',
    ],
)
def test_malformed_reply_becomes_an_embedding_error(server: Server, make: Maker, content: bytes) -> None:
    server.answer = lambda _: (200, content)
    with pytest.raises(EmbeddingError, match="sent a malformed reply"):
        make().embed(["rye"])


@pytest.mark.parametrize("length", [4, 6, 0])
def test_vectors_of_a_wrong_length_are_rejected(server: Server, make: Maker, length: int) -> None:
    server.answer = lambda body: replied([each | {"embedding": [0.5] * length} for each in rows_of(body)])
    with pytest.raises(DimensionMismatchError) as caught:
        make().embed(["bread", "rye"])
    assert (caught.value.expected, caught.value.actual) == (DIMENSIONS, length)


@pytest.mark.parametrize("change", [lambda rows: rows[:-1], lambda rows: [*rows, rows[0]], lambda _: []])
def test_wrong_number_of_vectors_is_rejected(server: Server, make: Maker, change: Callable[[Any], Any]) -> None:
    server.answer = lambda body: replied(change(rows_of(body)))
    with pytest.raises(EmbeddingError, match=r"sent \d vectors for 2 texts"):
        make().embed(["bread", "rye"])


@pytest.mark.parametrize("indexes", [(0, 0), (1, 2), (-1, 0), (None, None), ("0", "1")])
def test_vectors_with_invalid_indexes_are_rejected(server: Server, make: Maker, indexes: tuple[Any, Any]) -> None:
    server.answer = lambda body: replied(
        [each | {"index": index} for each, index in zip(rows_of(body), indexes, strict=True)]
    )
    with pytest.raises(EmbeddingError, match="numbered its vectors wrongly"):
        make().embed(["bread", "rye"])


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf"), None, 1e200, 1e-200])
def test_zero_and_non_finite_vectors_are_rejected(server: Server, make: Maker, value: float | None) -> None:
    server.answer = lambda body: replied([each | {"embedding": [value] * DIMENSIONS} for each in rows_of(body)])
    with pytest.raises(EmbeddingError, match="zeros, NaN or infinity"):
        make().embed(["rye"])


def test_lone_surrogates_are_rejected_before_a_request_is_sent(server: Server, make: Maker) -> None:
    embedder = make()
    with pytest.raises(EmbeddingError, match="lone surrogates"):
        embedder.embed(["rye"] * 40 + ["lone \ud800"])
    assert server.requests == []


@pytest.mark.parametrize(
    "text",
    ["", "rye", "bread and rye " * 2000, "我们今天去吃饭。" * 1200, "ሰላም ለዓለም " * 900, "🍞" * 5000, "x" * 9000],
    ids=["empty", "short", "English", "Chinese", "Amharic", "emoji", "blob"],
)
def test_text_is_sent_up_to_the_limits_of_characters_and_bytes(text: str, server: Server, make: Maker) -> None:
    make().embed([text])
    [read] = server.requests[0]["input"]
    assert text.startswith(read) or (text, read) == ("", " ")
    assert len(read) <= 4_000
    assert len(read.encode()) <= openai_embedder.MAX_TEXT_BYTES
    assert read == (text or " ") or len(read) == 4_000 or len(read.encode()) > openai_embedder.MAX_TEXT_BYTES - 4


@pytest.mark.parametrize(
    ("model", "dimensions", "name", "length", "sent"),
    [
        ("text-embedding-3-small", None, "openai/text-embedding-3-small", 1536, None),
        ("text-embedding-3-large", None, "openai/text-embedding-3-large", 3072, None),
        ("text-embedding-3-large", 3072, "openai/text-embedding-3-large", 3072, None),
        ("text-embedding-3-large", 256, "openai/text-embedding-3-large@256", 256, 256),
        ("text-embedding-ada-002", None, "openai/text-embedding-ada-002", 1536, None),
        ("openai/text-embedding-3-small", None, "openai/text-embedding-3-small", 1536, None),
        ("BAAI/bge-m3", 1024, "openai/BAAI/bge-m3", 1024, None),
    ],
)
def test_name_and_length_are_derived_from_the_model(
    server: Server, make: Maker, model: str, dimensions: int | None, name: str, length: int, sent: int | None
) -> None:
    server.answer = lambda body: replied([each | {"embedding": [0.5] * length} for each in rows_of(body)])
    embedder = make(model=model, dimensions=dimensions)
    assert (embedder.name, embedder.dimensions) == (name, length)
    assert embedder.embed(["rye"]).shape == (1, length)
    assert server.requests[0].get("dimensions") == sent


@pytest.mark.parametrize(
    ("model", "dimensions"), [("bge-m3", None), ("text-embedding-3-small", 3072), ("text-embedding-ada-002", 256)]
)
def test_unknown_or_unsupported_length_is_a_configuration_error(model: str, dimensions: int | None) -> None:
    with pytest.raises(ConfigError, match="embedding_dimensions"):
        OpenAIEmbedder(model, api_key=None, dimensions=dimensions)


def test_threads_share_one_client_within_the_concurrency_limit(server: Server, make: Maker) -> None:
    running: list[int] = []
    now = threading.Semaphore(0)
    inside = 0
    together = threading.Barrier(2)

    def slow(body: dict[str, Any]) -> Answer:
        nonlocal inside
        with server.lock:
            inside += 1
            running.append(inside)
            is_first = len(running) <= 2
        if is_first:
            together.wait(60)
        time.sleep(0.02)
        with server.lock:
            inside -= 1
        return good(body)

    def work(number: int) -> None:
        if np.allclose(embedder.embed([f"text {number}"]), expected([f"text {number}"]), atol=1e-6):
            now.release()

    server.answer = slow
    embedder = make(concurrency=2)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(now.acquire(blocking=False) for _ in threads)
    assert max(running) == 2


def test_call_after_close_opens_a_new_connection(server: Server, make: Maker) -> None:
    embedder = make()
    embedder.close()
    embedder.embed(["rye"])
    embedder.close()
    embedder.embed(["rye"])
    assert len(server.requests) == 2
