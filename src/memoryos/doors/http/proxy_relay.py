"""Forwards the reply of the LLM endpoint to the client unchanged, and stores the exchange when the reply ends."""

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
    """Sends a request to the LLM endpoint, and forwards the reply's status, headers and body to the client.

    The reply is forwarded in pieces. Each piece is read after the client has received the previous piece. If the client
    disconnects, the request to the LLM endpoint is cancelled.

    Args:
        client: The pool of connections to the LLM endpoint.
        request: The request to the LLM endpoint.
        headers: Headers to add to the reply.
        remember: Stores the text of a complete answer. It is called before the last byte is forwarded, and must not
            raise errors. None: nothing is stored.
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
        self._parser: ReplyParser | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Serves one request.

        Raises:
            HTTPException: 502, 503 or 504 if the LLM endpoint is not reachable. Nothing was sent to the client.
        """
        failure: HTTPException | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_on_disconnect, receive, group.cancel_scope)
            failure = await self._relay(send)
            group.cancel_scope.cancel()
        await self._store_answer()
        if failure is not None:
            raise failure

    async def _relay(self, send: Send) -> HTTPException | None:
        try:
            response = await self._client.send(self._request, stream=True)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return _error_of(error)
        headers = [*returned_headers(response.headers.raw), *self._added]
        if self._remember is not None:
            self._parser = parser_for(response.status_code, response.headers)
        try:
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async with aclosing(self._read(response)) as pieces:
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except httpx2.HTTPError as error:
            _log.warning(
                "the LLM endpoint ended its reply early: %s; an incomplete answer is not stored", type(error).__name__
            )
        finally:
            await response.aclose()
        return None

    async def _read(self, response: httpx2.Response) -> AsyncGenerator[bytes, None]:
        """Yields the pieces of the reply. Stores the answer before the last piece of the reply is yielded."""
        parser, last_piece = self._parser, b""
        async for piece in response.aiter_raw():
            if parser is None:
                yield piece
                continue
            parser.feed(piece)
            if parser.is_done:
                await self._store_answer()
            if parser.ends_at_last_byte:
                last_piece, piece = piece, last_piece  # noqa: PLW2901  (holds back the last piece)
            if piece:
                yield piece
        await self._store_answer()
        if last_piece:
            yield last_piece

    async def _store_answer(self) -> None:
        """Stores the answer if it is complete and not yet stored, even if the client has disconnected."""
        parser, self._parser = self._parser, None
        answer = None if parser is None else parser.answer()
        if answer is not None and self._remember is not None:
            with anyio.CancelScope(shield=True):
                await self._remember(answer)


async def _cancel_on_disconnect(receive: Receive, cancel_scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    cancel_scope.cancel()


def _error_of(error: Exception) -> HTTPException:
    if isinstance(error, httpx2.PoolTimeout):
        busy = "all connections to the LLM endpoint are in use; try again in 1 s"
        return HTTPException(503, busy, headers={"Retry-After": "1"})
    if isinstance(error, httpx2.TimeoutException):
        return HTTPException(504, "the LLM endpoint timed out; try again, or raise the setting proxy_timeout_seconds")
    return HTTPException(502, f"the LLM endpoint is not reachable: {type(error).__name__}; check openai_base_url")
