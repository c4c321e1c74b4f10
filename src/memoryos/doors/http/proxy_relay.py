"""The reply of the endpoint, passed on byte by byte as it comes; at its end the exchange is remembered."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import httpx2
from fastapi import HTTPException
from starlette.responses import Response

from memoryos.doors.http.proxy_reply_parser import parser_for
from memoryos.doors.http.proxy_upstream import returned_headers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from memoryos.doors.http.proxy_reply_parser import ReplyParser

__all__ = ["Relay"]

_log = logging.getLogger(__name__)


class Relay(Response):
    """Sends a request to the endpoint and passes its reply on: status, headers and body as they are.

    One piece is in memory at a time, and the next is read when the client took it. A client that leaves ends the call
    of the endpoint.

    Args:
        client: Keeps the connections.
        request: What goes to the endpoint.
        headers: What is added to the headers of its reply.
        remember: Is given the text of an answer that came to its end, before its last byte is passed on; raises
            nothing. None remembers nothing.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        request: httpx2.Request,
        headers: dict[str, str] | None = None,
        remember: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__()
        self._client = client
        self._request = request
        self._added = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        self._remember = remember
        self._reader: ReplyParser | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  (of Response)
        """Serves one request.

        Raises:
            HTTPException: 502, 503 or 504 if the endpoint can't be reached; nothing was sent then.
        """
        refusal: HTTPException | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(_wait_until_gone, receive, group.cancel_scope)
            refusal = await self._pass(send)
            group.cancel_scope.cancel()
        await self._note_answer()
        if refusal is not None:
            raise refusal

    async def _pass(self, send: Send) -> HTTPException | None:
        try:
            response = await self._client.send(self._request, stream=True)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return _refusal(error)
        headers = [*returned_headers(response.headers.raw), *self._added]
        if self._remember is not None:
            self._reader = parser_for(response.status_code, response.headers)
        try:
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async with aclosing(self._read(response)) as pieces:
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except httpx2.HTTPError as error:
            _log.warning("the endpoint behind the proxy broke off: %s", type(error).__name__)
        finally:
            await response.aclose()
        return None

    async def _read(self, response: httpx2.Response) -> AsyncGenerator[bytes, None]:
        """Yields the pieces; the one behind which the answer is whole comes when it was remembered."""
        reader, held = self._reader, b""
        async for piece in response.aiter_raw():
            if reader is None:
                yield piece
                continue
            reader.feed(piece)
            if reader.is_done:
                await self._note_answer()
            if reader.holds_last:
                held, piece = piece, held  # noqa: PLW2901  (the last piece waits)
            if piece:
                yield piece
        await self._note_answer()
        if held:
            yield held

    async def _note_answer(self) -> None:
        """Remembers the answer if it came to its end and was not remembered yet, though the client may be gone."""
        reader, self._reader = self._reader, None
        answer = None if reader is None else reader.answer()
        if answer is not None and self._remember is not None:
            with anyio.CancelScope(shield=True):
                await self._remember(answer)


async def _wait_until_gone(receive: Receive, passing: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    passing.cancel()


def _refusal(error: Exception) -> HTTPException:
    if isinstance(error, httpx2.PoolTimeout):
        return HTTPException(503, "too many chats are under way", headers={"Retry-After": "1"})
    if isinstance(error, httpx2.TimeoutException):
        return HTTPException(504, "the endpoint behind the proxy did not answer in time")
    return HTTPException(502, f"the endpoint behind the proxy can't be reached: {type(error).__name__}")
