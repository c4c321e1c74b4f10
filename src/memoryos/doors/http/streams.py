"""Server-sent events: what the server tells while it happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable

__all__ = ["EVENT_STREAM", "KEEP_ALIVE", "event", "event_stream"]

EVENT_STREAM = "text/event-stream"
KEEP_ALIVE = b": \n\n"
"""A comment that keeps a quiet connection open."""


def event(name: str, data: Any) -> bytes:
    """Returns one event: its name, and JSON on one line."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def event_stream(events: AsyncIterable[bytes] | Iterable[bytes]) -> StreamingResponse:
    """Returns a response that no cache keeps and no proxy holds back."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type=EVENT_STREAM, headers=headers)
