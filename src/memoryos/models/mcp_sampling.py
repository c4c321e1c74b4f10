"""A chat model that uses the model of an MCP client through MCP sampling.

The client may ask its user for consent. Protocol version 2026-07-28 and later versions do not allow sampling outside of
a client's call, so this model needs an earlier version. It also needs a connection that stays open, such as stdio.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio import BrokenResourceError, ClosedResourceError
from anyio.from_thread import BlockingPortal
from mcp.shared.exceptions import MCPError
from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ModelPreferences,
    SamplingMessage,
    TextContent,
)
from pydantic import ValidationError

from memoryos.errors import AnalystUnavailableError, InvalidReplyError
from memoryos.models.thinking import strip_thinking
from memoryos.seams import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mcp.server.session import ServerSession

    from memoryos.seams import ChatRequest, Meter

__all__ = ["ClientModel"]

MAX_REPLY_TOKENS = 4_000


class ClientModel:
    """A ``ChatModel`` that sends its requests to the client of an MCP session.

    Args:
        timeout_seconds: Maximum time to wait for a reply.
    """

    def __init__(self, timeout_seconds: float = 60.0) -> None:
        self.timeout_seconds = timeout_seconds
        self._handshake_done = threading.Event()
        self._session: ServerSession | None = None
        self._portal: BlockingPortal | None = None

    @property
    def name(self) -> str:
        """Returns "mcp-client". The client chooses a model per call; the cost records contain that model's name."""
        return "mcp-client"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Accepts calls from other threads while the block runs. At its end, cancels the calls that still wait."""
        async with BlockingPortal() as portal:
            self._portal = portal
            try:
                yield
            finally:
                self._handshake_done.set()
                await portal.stop(cancel_remaining=True)

    def meet(self, session: ServerSession) -> None:
        """Records the client's capabilities. Called at the client's first request after the handshake."""
        if not self._handshake_done.is_set():
            capabilities = session.client_capabilities
            if capabilities is not None and capabilities.sampling is not None and session.can_send_request:
                self._session = session
            self._handshake_done.set()

    def is_offered(self) -> bool:
        """Waits for the handshake, then returns whether the client supports sampling."""
        self._handshake_done.wait()
        return self._session is not None

    def complete(self, request: ChatRequest, meter: Meter) -> str:
        """Returns the reply.

        Raises:
            AnalystUnavailableError: If the client refuses, is disconnected, or does not reply in time.
            InvalidReplyError: If the reply is empty or not text.
        """
        from memoryos.language.text import estimate_tokens  # noqa: PLC0415  (its stemmers would delay the handshake)

        started = time.monotonic()
        prompt_tokens = round(sum(estimate_tokens(each.content) for each in request.messages))
        try:
            result = self._request(request)
        except AnalystUnavailableError:
            meter(Usage(self.name, prompt_tokens, 0, time.monotonic() - started, estimated=True, failed=True))
            raise
        text = strip_thinking(result.content.text) if isinstance(result.content, TextContent) else ""
        reply_tokens = round(estimate_tokens(text))
        seconds = time.monotonic() - started
        meter(Usage(result.model or self.name, prompt_tokens, reply_tokens, seconds, estimated=True, failed=not text))
        if not text:
            raise InvalidReplyError("the MCP client sent an empty reply")
        return text

    def stream(self, request: ChatRequest, meter: Meter) -> Iterator[str]:
        """Yields the whole reply as one piece, because MCP sampling does not stream."""
        yield self.complete(request, meter)

    def _request(self, request: ChatRequest) -> CreateMessageResult:
        if self._portal is None or self._session is None:
            raise AnalystUnavailableError("the MCP client does not support sampling; configure an LLM instead")
        system = "\n\n".join(each.content for each in request.messages if each.role == "system")
        parameters = CreateMessageRequestParams(
            messages=[
                SamplingMessage(role=each.role, content=TextContent(type="text", text=each.content))
                for each in request.messages
                if each.role != "system"
            ],
            system_prompt=system or None,
            max_tokens=MAX_REPLY_TOKENS,
            model_preferences=ModelPreferences(cost_priority=0.7, speed_priority=0.5, intelligence_priority=0.5),
        )
        message = CreateMessageRequest(params=parameters)
        try:
            reply: CreateMessageResult = self._portal.call(
                self._session.send_request, message, CreateMessageResult, self.timeout_seconds
            )
        except MCPError as error:
            raise AnalystUnavailableError(f"the MCP client refused the request or failed (code {error.code})") from None
        except ValidationError:
            raise AnalystUnavailableError("the MCP client sent a malformed reply") from None
        except (RuntimeError, CancelledError, ClosedResourceError, BrokenResourceError) as error:
            raise AnalystUnavailableError("the MCP client is disconnected") from error
        return reply
