"""The route that streams the changes of one memory as events."""

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
POLL_SECONDS = 0.25
"""Interval at which a waiting stream checks whether the server shuts down."""
_DESCRIPTION = (
    "Server-sent events: first `stats`; then `page_added`, `page_slid_out`, `segment_changed`, `segment_gone`, "
    "`learned`, `gone` and `stats` when they occur; `error` ends the stream. It has no other end."
)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": _DESCRIPTION, "content": {EVENT_STREAM: {"schema": {"type": "string"}}}}
}


@routes.get(f"{USER}/events", response_class=StreamingResponse, responses=_RESPONSES)
def watch(memory: ScopedMemory, server: CurrentServer, audit: Audit) -> StreamingResponse:
    """Streams the changes of a memory as server-sent events, e.g. new pages, changed segments and new facts."""
    watcher = ChangeWatcher(memory)
    audit.record("read", memory, count=0)
    return event_stream(_events(watcher, server))


async def _events(watcher: ChangeWatcher, server: ServerState) -> AsyncGenerator[bytes, None]:
    yield event("stats", watcher.stats)
    sent_at = time.monotonic()
    while await _wait_for_next_poll(server):
        try:
            changes = await run_sync(watcher.poll)
        except MemoryOSError as error:
            yield event("error", problem_of(error).model_dump())
            return
        for name, value in changes:
            yield event(name, value)
        if changes or time.monotonic() - sent_at > KEEP_ALIVE_SECONDS:
            sent_at = time.monotonic()
            if not changes:
                yield KEEP_ALIVE


async def _wait_for_next_poll(server: ServerState) -> bool:
    """Waits until the next poll is due. Returns False if the server shuts down meanwhile."""
    poll_at = time.monotonic() + server.settings.event_seconds
    while not server.ending.is_set():
        left = poll_at - time.monotonic()
        if left <= 0:
            return True
        await anyio.sleep(min(left, POLL_SECONDS))
    return False
