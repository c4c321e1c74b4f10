"""Limits the number of open requests of each API key, and ends the open requests of revoked keys."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING

import anyio
from starlette.datastructures import Headers

from memoryos.doors.http.event_stream import EVENT_STREAM, event
from memoryos.doors.http.problem_details import Problem, problem_response
from memoryos.errors import MemoryOSError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from memoryos.doors.http.access import AccessPolicy
    from memoryos.doors.http.caller import Caller
    from memoryos.doors.http.keyring import Keyring

__all__ = ["OpenRequests"]

CHECK_SECONDS = 0.25
"""Interval between two checks of the keys of open requests."""
LAST_MESSAGE_SECONDS = 1.0
"""Timeout for sending the last message of a response to a slow client."""
_TOO_MANY = Problem(
    type="urn:memoryos:too-many-requests",
    title="Too Many Requests",
    status=429,
    detail="Too many requests and streams of this key are open; close some, or raise the setting key_open_requests.",
)
_NO_LONGER_VALID = Problem(
    type="urn:memoryos:unauthorized",
    title="Unauthorized",
    status=401,
    detail="The key was revoked or has expired, or the server now requires a key; use a valid key.",
)

_log = logging.getLogger(__name__)


class OpenRequests:
    """Serves requests, counts the open requests of each API key, and ends the requests of keys that become invalid.

    The class is not thread-safe. Use it only in the thread of the event loop.

    Args:
        max_per_key: Maximum number of open requests and streams of one key.
    """

    def __init__(self, max_per_key: int) -> None:
        self._max_per_key = max_per_key
        self._open: defaultdict[str | None, set[_OpenRequest]] = defaultdict(set)

    async def serve(self, app: ASGIApp, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request of a caller. If the caller's key has too many open requests, answers 429."""
        key_id = caller.key_id
        if key_id is not None and len(self._open.get(key_id, ())) >= self._max_per_key:
            await problem_response(_TOO_MANY, {"Retry-After": "1"})(scope, receive, send)
            return
        request = _OpenRequest(scope, receive, send)
        self._open[key_id].add(request)
        try:
            with request.cancel_scope:
                await app(scope, receive, request.send)
        finally:
            self._open[key_id].discard(request)
            if not self._open[key_id]:
                del self._open[key_id]

    async def watch(self, access: AccessPolicy, keyring: Keyring) -> None:
        """Ends open requests that the server would now refuse.

        These are requests whose key was revoked or has expired. If the server now requires keys, requests without a
        key are ended, too. The method checks all open requests at a fixed interval until its task is cancelled. While
        the store can't be read, no request is ended.
        """
        while True:
            await anyio.sleep(CHECK_SECONDS)
            try:
                refused = await self._refused(access, keyring)
            except MemoryOSError as error:
                _log.debug("can't check the keys of open requests: %s; retrying", type(error).__name__)
                continue
            async with anyio.create_task_group() as group:
                for request in refused:
                    group.start_soon(request.end)

    async def _refused(self, access: AccessPolicy, keyring: Keyring) -> list[_OpenRequest]:
        key_ids = {each for each in self._open if each is not None}
        refused: set[str | None] = set()
        if key_ids:
            refused |= key_ids - await keyring.valid(key_ids)
        if None in self._open and await access.needs_keys():
            refused.add(None)
        return [request for key_id in refused for request in self._open.get(key_id, ())]


class _OpenRequest:
    """A request that the server is answering, and the progress of the response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.cancel_scope = anyio.CancelScope()
        self._scope = scope
        self._receive = receive
        self._send = send
        self._has_started = False
        self._is_event_stream = False
        self._is_ended = False

    async def send(self, message: Message) -> None:
        """Forwards a response message of the application to the client, unless the request was ended."""
        if self._is_ended:
            return
        if message["type"] == "http.response.start":
            self._has_started = True
            content_type = Headers(raw=message.get("headers", [])).get("content-type", "")
            self._is_event_stream = content_type.startswith(EVENT_STREAM)
        elif not message.get("more_body", False):
            self._is_ended = True
        await self._send(message)

    async def end(self) -> None:
        """Cancels the request and, if possible, sends the reason to the client.

        If no response has started, the reason is the response. In an event stream, the reason is the last event. Any
        other response stays incomplete, so that the client detects the error.
        """
        if self._is_ended:
            return
        self._is_ended = True
        self.cancel_scope.cancel()
        with anyio.move_on_after(LAST_MESSAGE_SECONDS):
            if not self._has_started:
                await problem_response(_NO_LONGER_VALID)(self._scope, self._receive, self._send)
            elif self._is_event_stream:
                last = event("error", _NO_LONGER_VALID.model_dump())
                await self._send({"type": "http.response.body", "body": last, "more_body": False})
