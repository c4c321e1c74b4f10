"""Tests open requests: those of a revoked key end, and their number per key is limited."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from memoryos.storage.store import Store
from memoryos.testing import FakeOpenAIServer, FixedClock
from tests.conftest import EngineMaker
from tests.doors.http.conftest import USER
from tests.doors.http.proxy_fakes import Scripted, ScriptedEndpoint, delta, serving, sse
from tests.doors.http.proxy_fixture import proxied
from tests.waiting import wait_until

pytestmark = pytest.mark.enable_socket

Revoke = Callable[[], Any]


class Reader:
    """Reads a stream in a thread.

    Attributes:
        text: What was read so far.
        status: The status; None before the response.
    """

    def __init__(self, method: str, address: str, **given: Any) -> None:
        self.text = ""
        self.status: int | None = None
        self.broke_off = False
        self._thread = threading.Thread(target=self._read, args=(method, address), kwargs=given, daemon=True)
        self._thread.start()

    def _read(self, method: str, address: str, **given: Any) -> None:
        try:
            with httpx2.Client(timeout=30) as client, client.stream(method, address, **given) as response:
                self.status = response.status_code
                for piece in response.iter_text():
                    self.text += piece
        except httpx2.HTTPError:
            self.broke_off = True

    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def ends(self) -> None:
        self._thread.join(20)
        assert self.has_ended(), "the stream continues"


@contextlib.contextmanager
def keyed_server(engine: MemoryEngine, **settings: Any) -> Iterator[str]:
    app = build_app(engine, ServerSettings(**({"keys": True} | settings)))
    with serving(app) as address:
        try:
            yield address
        finally:
            app.state.memoryos.ending.set()  # ends the open streams


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_event_stream_ends_when_another_process_revokes_its_key(engine: MemoryEngine, tmp_path: Path) -> None:
    made, kept = (engine.store.keys.create("tom", engine.clock()) for _ in range(2))
    with keyed_server(engine) as address:
        reader, other = (Reader("GET", f"{address}{USER}/events", headers=bearer(each.text)) for each in (made, kept))
        wait_until(lambda: "event: stats" in reader.text and "event: stats" in other.text)
        with Store(tmp_path / "store" / "memoryos.db") as elsewhere:
            elsewhere.keys.revoke(made.key.key_id, engine.clock())
        reader.ends()
        engine.memory("tom").add_memory("SAID AFTERWARDS")
        wait_until(lambda: "SAID AFTERWARDS" in other.text)
        assert "SAID AFTERWARDS" not in reader.text
        name, data = reader.text.rstrip().split("\n")[-2:]
        assert name == "event: error"
        assert json.loads(data.removeprefix("data: "))["status"] == 401
        assert not other.has_ended()
        engine.store.keys.revoke(kept.key.key_id, engine.clock())
        other.ends()


def test_event_stream_ends_when_its_key_expires(engine: MemoryEngine, clock: FixedClock) -> None:
    now = engine.clock()
    made = engine.store.keys.create("tom", now, expires_at=now + timedelta(hours=1))
    with keyed_server(engine) as address:
        reader = Reader("GET", f"{address}{USER}/events", headers=bearer(made.text))
        wait_until(lambda: "event: stats" in reader.text)
        clock.advance(hours=2)
        reader.ends()


def test_event_stream_without_key_ends_when_the_first_key_is_created(engine: MemoryEngine) -> None:
    with keyed_server(engine, keys=None) as address:
        reader = Reader("GET", f"{address}{USER}/events")
        wait_until(lambda: "event: stats" in reader.text)
        engine.store.keys.create("tom", engine.clock())
        reader.ends()
        assert "event: error" in reader.text


def test_revocation_ends_a_proxied_stream_and_its_upstream_request(make_engine: EngineMaker) -> None:
    never = threading.Event()
    with (
        ScriptedEndpoint(lambda _: Scripted([*sse(delta("Hello")), never])) as endpoint,
        proxied(make_engine, endpoint.base_url, settings={"keys": True}) as proxy,
    ):
        keys, now = proxy.engine.store.keys, proxy.engine.clock()
        made = keys.create("ann", now)
        chat = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
        reader = Reader("POST", f"{proxy.address}/v1/chat/completions", json=chat, headers=bearer(made.text))
        wait_until(lambda: "Hello" in reader.text)
        keys.revoke(made.key.key_id, now)
        reader.ends()
        assert endpoint.left.wait(20)
        assert proxy.pages("ann") == []


def test_revocation_refuses_an_answer_that_waits_for_the_model(make_engine: EngineMaker) -> None:
    continues = threading.Event()

    def reply(_: object) -> str:
        continues.wait(20)
        return "Late."

    with FakeOpenAIServer(reply=reply) as upstream:
        engine = make_engine(openai_base_url=upstream.base_url, openai_api_key="fake", analyst=None)
        engine.memory("tom").add_memory("I like tea.")
        made = engine.store.keys.create("tom", engine.clock())
        with keyed_server(engine) as address:
            began = time.monotonic()
            reader = Reader(
                "POST", f"{address}{USER}/answers", json={"query": "What do I like?"}, headers=bearer(made.text)
            )
            wait_until(lambda: len(upstream.requests) == 1)
            engine.store.keys.revoke(made.key.key_id, engine.clock())
            reader.ends()
            assert reader.status == 401
            assert time.monotonic() - began < 20, "before the model answers"
            continues.set()


def test_open_requests_are_limited_per_key(engine: MemoryEngine) -> None:
    first, second = (engine.store.keys.create("tom", engine.clock()).text for _ in range(2))
    with keyed_server(engine, key_open_requests=2) as address:
        readers = [Reader("GET", f"{address}{USER}/events", headers=bearer(first)) for _ in range(2)]
        wait_until(lambda: all("event: stats" in each.text for each in readers))
        refused = httpx2.get(f"{address}{USER}/pages", headers=bearer(first))
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert "key_open_requests" in refused.json()["detail"]
        assert httpx2.get(f"{address}{USER}/pages", headers=bearer(second)).status_code == 200
        assert httpx2.get(f"{address}/healthz").status_code == 200


def test_refused_and_ended_requests_are_not_counted(engine: MemoryEngine) -> None:
    text = engine.store.keys.create("tom", engine.clock()).text
    with keyed_server(engine, key_open_requests=1) as address, httpx2.Client() as client:
        for path in ("pages", "nowhere", "pages/unknown"):
            for _ in range(3):
                assert client.get(f"{address}{USER}/{path}", headers=bearer(text)).status_code != 429
