"""What happens in one memory, told live."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

import anyio
from anyio.to_thread import run_sync
from starlette.responses import StreamingResponse

from memoryos.doors.http.authentication import Audit, ScopedMemory
from memoryos.doors.http.change_watcher import ChangeWatcher
from memoryos.doors.http.event_stream import EVENT_STREAM, KEEP_ALIVE, event, event_stream
from memoryos.doors.http.problem_details import problem_of
from memoryos.doors.http.routes.route_base import USER, router
from memoryos.doors.http.server_state import CurrentServer, ServerState
from memoryos.errors import MemoryOSError

__all__ = ["routes"]

routes = router("events")

KEEP_ALIVE_SECONDS = 15.0
ENDING_SECONDS = 0.25
"""So soon a stream notices that the server ends."""
_TOLD = (
    "Server-sent events: first `stats`; then `page_added`, `page_slid_out`, `segment_changed`, `segment_gone`, "
    "`learned`, `gone` and `stats` as they happen; `error` ends it. It goes on until the reader leaves."
)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": _TOLD, "content": {EVENT_STREAM: {"schema": {"type": "string"}}}}
}


@routes.get(f"{USER}/events", response_class=StreamingResponse, responses=_RESPONSES)
def watch(memory: ScopedMemory, server: CurrentServer, audit: Audit) -> StreamingResponse:
    """Tells live what happens: a page slides out, a segment heats up, something is learned."""
    watcher = ChangeWatcher(memory)
    audit.record("read", memory, count=0)
    return event_stream(_told(watcher, server))


async def _told(watcher: ChangeWatcher, server: ServerState) -> AsyncGenerator[bytes, None]:
    yield event("stats", watcher.stats)
    spoke_at = time.monotonic()
    while await _go_on(server):
        try:
            happened = await run_sync(watcher.poll)
        except MemoryOSError as error:
            yield event("error", problem_of(error).model_dump())
            return
        for name, value in happened:
            yield event(name, value)
        if happened or time.monotonic() - spoke_at > KEEP_ALIVE_SECONDS:
            spoke_at = time.monotonic()
            if not happened:
                yield KEEP_ALIVE


async def _go_on(server: ServerState) -> bool:
    """Waits until it is time to look again; returns whether the server goes on."""
    look_at = time.monotonic() + server.settings.event_seconds
    while not server.ending.is_set():
        left = look_at - time.monotonic()
        if left <= 0:
            return True
        await anyio.sleep(min(left, ENDING_SECONDS))
    return False
