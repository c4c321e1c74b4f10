"""Records a latency metric, a log line and an OpenTelemetry span for each request. None of them contains the URL."""

from __future__ import annotations

import logging
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import propagate, trace
from starlette.datastructures import Headers

from memoryos.doors.http.request_state import request_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from memoryos.doors.http.metrics import Metrics

__all__ = ["MatchedRouteMiddleware", "ObservabilityMiddleware", "span"]

_log = logging.getLogger("memoryos.access")
_SERVER_ERROR = 500
_CONVERTOR = re.compile(r":\w+}")


@contextmanager
def span(name: str, **counts: int) -> Iterator[None]:
    """Records the ``with`` block as an OpenTelemetry span. If tracing is off, nothing is recorded.

    Args:
        name: Name of the operation, for example ``memoryos.recall``.
        **counts: Numbers to add to the span as attributes.
    """
    tracer = trace.get_tracer("memoryos")
    with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as current:
        current.set_attributes({f"memoryos.{key}": value for key, value in counts.items()})
        try:
            yield
        except BaseException as error:
            current.set_status(trace.StatusCode.ERROR, type(error).__name__)
            raise


class MatchedRouteMiddleware:
    """Stores the ASGI scope that the router receives, for ``ObservabilityMiddleware``.

    The router adds the matched route to this scope. Other middleware may copy the scope before the router receives it,
    so this middleware must be the innermost one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http":
            request_state(scope).routed_scope = scope
        await self._app(scope, receive, send)


class ObservabilityMiddleware:
    """Records a latency metric, a log line and a span for every request.

    Args:
        app: The application.
        metrics: Receives the latencies.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        response = _ResponseObserver(send)
        parent = propagate.extract(Headers(scope=scope))
        with trace.get_tracer("memoryos").start_as_current_span(
            scope["method"],
            context=parent,
            kind=trace.SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as current:
            try:
                await self._app(scope, receive, response.send)
            finally:
                route = _route_template(scope)
                _complete_span(current, scope["method"], route, response.status)
                self._metrics.observe(scope["method"], route, response.status, response.seconds())
                _write_access_line(scope, route, response)


class _ResponseObserver:
    """Forwards the messages of a response, and records its status and latency."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = time.monotonic()
        self._stream_seconds: float | None = None
        self.status = _SERVER_ERROR

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if Headers(raw=message.get("headers", [])).get("content-type", "").startswith("text/event-stream"):
                self._stream_seconds = time.monotonic() - self._started
        await self._send(message)

    def seconds(self) -> float:
        """Returns the seconds from the request until now; for an event stream, until the stream's start."""
        if self._stream_seconds is not None:
            return self._stream_seconds
        return time.monotonic() - self._started


def _route_template(scope: Scope) -> str:
    """Returns the path template of the matched route, for example ``/v1/users/{user_id}``; "" if no route matched."""
    routed = request_state(scope).routed_scope or scope
    template = getattr(routed.get("route"), "path", None)
    if template is None:
        template = routed["path"] if "endpoint" in routed and not routed.get("path_params") else ""
    return _CONVERTOR.sub("}", str(template))


def _complete_span(current: trace.Span, method: str, route: str, status: int) -> None:
    if route:
        current.update_name(f"{method} {route}")
        current.set_attribute("http.route", route)
    current.set_attribute("http.request.method", method)
    current.set_attribute("http.response.status_code", status)
    if status >= _SERVER_ERROR:
        current.set_status(trace.StatusCode.ERROR)


def _write_access_line(scope: Scope, route: str, response: _ResponseObserver) -> None:
    caller = request_state(scope).caller
    fields = {
        "method": scope["method"],
        "route": route,
        "status": response.status,
        "seconds": round(response.seconds(), 4),
        "key_id": None if caller is None else caller.key_id,
    }
    _log.info("request", extra={"fields": fields})
