"""The proxy: adds memory to the chats of programs that use the OpenAI API, and forwards them to an LLM endpoint.

A program uses the proxy by setting its base URL to the address of the proxy.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from memoryos.doors.http.affinity import set_affinity
from memoryos.doors.http.authentication import AnyCaller, Audit
from memoryos.doors.http.problem_details import RESPONSES
from memoryos.doors.http.proxy_body import read_chat
from memoryos.doors.http.proxy_exchange import Exchange, Repeats
from memoryos.doors.http.proxy_options import ASSISTANT, IDEMPOTENCY_KEY, RECALL, REMEMBER, USER, read_proxy_options
from memoryos.doors.http.proxy_relay import Relay
from memoryos.doors.http.proxy_upstream import Upstream
from memoryos.doors.http.server_state import CurrentServer, ServerState
from memoryos.inputs import read_scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["proxy_router"]

_JSON = "application/json"
_HEADERS = {
    USER: "The user; takes precedence over the field `user`. With the key of one user, only that user is allowed.",
    ASSISTANT: "The assistant; default: the server's setting.",
    RECALL: "`no`: add no memory.",
    REMEMBER: "`no`: do not store the exchange.",
    IDEMPOTENCY_KEY: "Requests with the same key are stored once.",
}
_CHAT = {
    "type": "object",
    "description": "In the format of the LLM endpoint; all fields are forwarded.",
    "required": ["messages"],
    "properties": {
        "model": {"type": "string"},
        "messages": {"type": "array", "items": {"type": "object"}},
        "user": {"type": "string", "description": "The user, unless the header is set."},
        "stream": {"type": "boolean"},
    },
    "example": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Where do I work?"}], "user": "tom"},
}
_REPLY = {
    200: {
        "description": "The unchanged reply or error of the LLM endpoint.",
        "content": {_JSON: {"schema": {"type": "object"}}, "text/event-stream": {"schema": {"type": "string"}}},
        "headers": {
            RECALL: {"description": "Number of recalled pages, `failed` or `off`.", "schema": {"type": "string"}},
        },
    },
    415: {"description": "The body is not JSON."},
    504: {"description": "The LLM endpoint did not answer in time."},
    508: {"description": "The LLM endpoint is this server."},
}
_DOCUMENTED: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in _HEADERS.items()
    ],
    "requestBody": {"required": True, "content": {_JSON: {"schema": _CHAT}}},
}


def proxy_router() -> APIRouter:
    """Returns the routes of the OpenAI API that the proxy offers.

    The lifespan of the router closes the connections to the LLM endpoint.
    """
    connections = _Connections()

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await connections.close()

    router = APIRouter(prefix="/v1", tags=["proxy"], responses=RESPONSES, lifespan=lifespan)
    repeats = Repeats()

    @router.post(
        "/chat/completions",
        operation_id="create_chat_completion",
        summary="Answer in a chat, with memory",
        response_class=Response,
        responses=_REPLY,  # type: ignore[arg-type]
        openapi_extra=_DOCUMENTED,
    )
    async def complete(request: Request, audit: Audit, server: CurrentServer) -> Response:
        """Adds memory for the last user message to a chat, and forwards the chat to the configured LLM endpoint.

        When the answer is complete, the exchange is stored.
        """
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise HTTPException(415, f"the Content-Type must be {_JSON}; send the chat as JSON")
        chat = await run_sync(read_chat, await request.body())
        upstream = await connections.to(server)
        options = read_proxy_options(request, audit.caller, chat, upstream.config)
        read_scope(options.user_id, options.assistant_id)
        set_affinity(request, options.user_id, options.assistant_id)
        headers = upstream.headers(request, audit.caller)
        exchange = Exchange(audit, server, chat, options, repeats.key(options, chat))
        outgoing = upstream.request(request, "/chat/completions", headers, await exchange.body())
        return Relay(upstream.client, outgoing, {RECALL: exchange.recall_status}, exchange.remember)

    @router.get(
        "/models",
        operation_id="list_models",
        summary="Models of the LLM endpoint",
        response_class=Response,
        responses=_REPLY,  # type: ignore[arg-type]
    )
    async def models(request: Request, caller: AnyCaller, server: CurrentServer) -> Response:
        """Returns the list of models from the LLM endpoint."""
        upstream = await connections.to(server)
        return Relay(upstream.client, upstream.request(request, "/models", upstream.headers(request, caller)))

    return router


class _Connections:
    """The pool of connections to the LLM endpoint. It is opened at the first request."""

    def __init__(self) -> None:
        self._upstream: Upstream | None = None

    async def to(self, server: ServerState) -> Upstream:
        if self._upstream is None:
            engine = await run_sync(server.engine)
            settings = server.settings
            self._upstream = self._upstream or Upstream(
                engine.config, settings.proxy_timeout_seconds, settings.proxy_headers
            )
        return self._upstream

    async def close(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            await upstream.client.aclose()
