"""Tests request spans: named by route, children of the caller's trace, without request data."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from memoryos.doors.http import tracing
from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.errors import ConfigError
from tests.conftest import EngineMaker


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Returns an exporter that collects the spans of the test. The provider is patched, since it can be set only once."""
    collected = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(collected))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield collected
    provider.shutdown()


def test_request_spans_are_named_by_route(make_engine: EngineMaker, exporter: InMemorySpanExporter) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with TestClient(build_app(make_engine(), ServerSettings()), base_url="http://127.0.0.1") as client:
        client.post("/v1/users/tom/pages", json={"user_input": "Zuvalka bakes bread."}, headers={"traceparent": parent})
        client.post("/v1/users/tom/recall", json={"query": "Who is Zuvalka?"})
        client.post("/v1/users/tom/answers", json={"query": "Who is Zuvalka?"})
        client.get("/Zuvalka?q=Zuvalka")
        client.post("/v1/users/tom/pages", json={"user_input": ""})
    spans = {each.name: each for each in exporter.get_finished_spans()}
    assert {*spans} == {
        "POST /v1/users/{user_id}/pages", "POST /v1/users/{user_id}/recall", "memoryos.recall", "GET",
        "POST /v1/users/{user_id}/answers", "memoryos.answer",
    }  # fmt: skip
    first = exporter.get_finished_spans()[0]
    assert first.context is not None
    assert f"{first.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert first.kind is trace.SpanKind.SERVER
    assert first.attributes is not None
    assert dict(first.attributes) == {
        "http.route": "/v1/users/{user_id}/pages", "http.request.method": "POST", "http.response.status_code": 201,
    }  # fmt: skip
    for name in ("memoryos.recall", "memoryos.answer"):
        inner, outer = (
            spans[name],
            spans[f"POST /v1/users/{{user_id}}/{name.removeprefix('memoryos.').replace('answer', 'answers')}"],
        )
        assert inner.parent is not None
        assert outer.context is not None
        assert inner.parent.span_id == outer.context.span_id
    assert "Zuvalka" not in "".join(each.to_json() for each in exporter.get_finished_spans())


def test_server_error_sets_the_span_status(
    make_engine: EngineMaker, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
    engine.memory("tom").add_memory("I bake bread.")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Zuvalka")

    monkeypatch.setattr(engine.retriever, "recall", fail)
    app = build_app(engine, ServerSettings())
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        assert client.post("/v1/users/tom/recall", json={"query": "bread"}).status_code == 500
    inner, outer = exporter.get_finished_spans()
    assert [each.status.status_code for each in (inner, outer)] == [trace.StatusCode.ERROR] * 2
    assert inner.status.description == "RuntimeError"
    assert not _events(inner)
    assert not _events(outer)
    assert "Zuvalka" not in inner.to_json() + outer.to_json()


def _events(span: ReadableSpan) -> list[object]:
    return list(span.events)


def test_tracing_requires_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tracing._ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    tracing.start_tracing()()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"memoryos-engine\[otel\]"):
        tracing.start_tracing()


COLLECTED = """
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
import os
got = []
class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200); self.end_headers()
    def log_message(self, *given): pass
server = HTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
from memoryos.doors.http.observability import span
from memoryos.doors.http.tracing import start_tracing
end = start_tracing()
with span("memoryos.recall", pages=3):
    pass
end()
(path, body), = got
assert path == "/v1/traces", path
assert b"memoryos.recall" in body and b"memoryos.pages" in body
"""


def test_spans_are_exported_to_the_configured_endpoint() -> None:
    done = subprocess.run([sys.executable, "-c", COLLECTED], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
