"""What is seen of a request: its latency, its line in the log, its span. Its address is in none of them."""

from __future__ import annotations

import logging
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import propagate, trace
from starlette.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from memoryos.doors.http.authentication import Caller
    from memoryos.doors.http.metrics import Metrics

__all__ = ["MatchedRouteMiddleware", "ObservabilityMiddleware", "span"]

_log = logging.getLogger("memoryos.access")
_FAILED = 500
_CONVERTOR = re.compile(r":\w+}")


@contextmanager
def span(name: str, **counts: int) -> Iterator[None]:
    """Wraps what is done in a span of OpenTelemetry; does nothing where no tracing was set up.

    Args:
        name: What is done, as ``memoryos.recall``.
        **counts: Numbers to note with it.
    """
    tracer = trace.get_tracer("memoryos")
    with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as begun:
        begun.set_attributes({f"memoryos.{key}": value for key, value in counts.items()})
        try:
            yield
        except BaseException as error:
            begun.set_status(trace.StatusCode.ERROR, type(error).__name__)
            raise


class MatchedRouteMiddleware:
    """Stands right in front of the routes and lets ``ObservabilityMiddleware`` know which of them was taken."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        scope.setdefault("state", {})["memoryos_routed"] = scope
        await self._app(scope, receive, send)


class ObservabilityMiddleware:
    """Takes down every request.

    Args:
        app: What is observed.
        metrics: Where latencies go.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        seen = _Seen(send)
        parent = propagate.extract(Headers(scope=scope))
        with trace.get_tracer("memoryos").start_as_current_span(
            scope["method"],
            context=parent,
            kind=trace.SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as begun:
            try:
                await self._app(scope, receive, seen.send)
            finally:
                route = _template(scope)
                _finish(begun, scope["method"], route, seen.status)
                self._metrics.observe(scope["method"], route, seen.status, seen.seconds())
                _write(scope, route, seen)


class _Seen:
    """What was sent so far."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = time.monotonic()
        self._answered_seconds: float | None = None
        self.status = _FAILED

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if Headers(raw=message.get("headers", [])).get("content-type", "").startswith("text/event-stream"):
                self._answered_seconds = time.monotonic() - self._started
        await self._send(message)

    def seconds(self) -> float:
        """Returns how long the answer took; that of a stream of events until it began."""
        if self._answered_seconds is not None:
            return self._answered_seconds
        return time.monotonic() - self._started


def _template(scope: Scope) -> str:
    """Returns the template of the route that was taken, or a path without parameters; "" if none was."""
    routed = scope["state"].get("memoryos_routed", scope)
    template = getattr(routed.get("route"), "path", None)
    if template is None:
        template = routed["path"] if "endpoint" in routed and not routed.get("path_params") else ""
    return _CONVERTOR.sub("}", str(template))


def _finish(begun: trace.Span, method: str, route: str, status: int) -> None:
    if route:
        begun.update_name(f"{method} {route}")
        begun.set_attribute("http.route", route)
    begun.set_attribute("http.request.method", method)
    begun.set_attribute("http.response.status_code", status)
    if status >= _FAILED:
        begun.set_status(trace.StatusCode.ERROR)


def _write(scope: Scope, route: str, seen: _Seen) -> None:
    caller: Caller | None = scope["state"].get("memoryos_caller")
    fields = {
        "method": scope["method"],
        "route": route,
        "status": seen.status,
        "seconds": round(seen.seconds(), 4),
        "key_id": None if caller is None else caller.key_id,
    }
    _log.info("request", extra={"fields": fields})
