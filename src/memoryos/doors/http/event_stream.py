"""Server-sent events: formats events and sends them as a streaming response."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

from anyio import CancelScope
from anyio.to_thread import run_sync
from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["EVENT_STREAM", "KEEP_ALIVE", "event", "event_stream"]

EVENT_STREAM = "text/event-stream"
Events = AsyncGenerator[bytes, None] | Generator[bytes, None, None]
KEEP_ALIVE = b": \n\n"
"""A comment in an event stream. Clients ignore it; sending it keeps an idle connection open."""


def event(name: str, data: Any) -> bytes:
    """Returns one server-sent event, with a name and with JSON data on one line."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def event_stream(events: Events) -> StreamingResponse:
    """Returns a streaming response of server-sent events.

    Its headers forbid proxies to cache or buffer it. When the client disconnects, the generator is closed.
    """
    return _ClosingResponse(events)


class _ClosingResponse(StreamingResponse):
    """A streaming response that closes its generator when the response ends. Starlette's own class does not."""

    def __init__(self, events: Events) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type=EVENT_STREAM, headers=headers)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                if isinstance(self._events, Generator):
                    await run_sync(self._events.close)
                else:
                    await self._events.aclose()
