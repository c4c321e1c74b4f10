"""The model of an MCP client as a chat model: the client is asked to sample it, and may ask its user first.

Only clients of the handshake era (protocols before 2026-07-28, which withdrew it) can be asked outside of a call of
theirs, and only over a connection that stays open, as stdio.
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
from memoryos.models.thinking import spoken
from memoryos.seams import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mcp.server.session import ServerSession

    from memoryos.seams import ChatRequest, Meter

__all__ = ["ClientModel"]

MOST_REPLY_TOKENS = 4_000


class ClientModel:
    """A ``ChatModel`` that asks the client at the other end of a session.

    Args:
        timeout_seconds: A client that is silent for so long has not answered.
    """

    def __init__(self, timeout_seconds: float = 60.0) -> None:
        self.timeout_seconds = timeout_seconds
        self._met = threading.Event()
        self._session: ServerSession | None = None
        self._portal: BlockingPortal | None = None

    @property
    def name(self) -> str:
        """Returns "mcp-client": the client chooses its model anew for each call; the ledger names that one."""
        return "mcp-client"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Lets other threads ask while the block runs; behind it no call waits any more."""
        async with BlockingPortal() as portal:
            self._portal = portal
            try:
                yield
            finally:
                self._met.set()
                await portal.stop(cancel_remaining=True)

    def meet(self, session: ServerSession) -> None:
        """Notes what the client offers, at its first request behind the handshake."""
        if not self._met.is_set():
            offered = session.client_capabilities
            if offered is not None and offered.sampling is not None and session.can_send_request:
                self._session = session
            self._met.set()

    def is_offered(self) -> bool:
        """Waits for the handshake; returns whether the client lets its model be used."""
        self._met.wait()
        return self._session is not None

    def complete(self, request: ChatRequest, meter: Meter) -> str:
        """Returns the reply.

        Raises:
            AnalystUnavailableError: If the client refuses, is gone, or stays silent.
            InvalidReplyError: If the reply is empty or no text.
        """
        from memoryos.language.text import estimate_tokens  # noqa: PLC0415  (its stemmers can wait for the handshake)

        started = time.monotonic()
        asked = round(sum(estimate_tokens(each.content) for each in request.messages))
        try:
            result = self._asked(request)
        except AnalystUnavailableError:
            meter(Usage(self.name, asked, 0, time.monotonic() - started, estimated=True, failed=True))
            raise
        text = spoken(result.content.text) if isinstance(result.content, TextContent) else ""
        written = round(estimate_tokens(text))
        seconds = time.monotonic() - started
        meter(Usage(result.model or self.name, asked, written, seconds, estimated=True, failed=not text))
        if not text:
            raise InvalidReplyError("the reply was empty")
        return text

    def stream(self, request: ChatRequest, meter: Meter) -> Iterator[str]:
        """Yields the reply whole: sampling has no pieces."""
        yield self.complete(request, meter)

    def _asked(self, request: ChatRequest) -> CreateMessageResult:
        if self._portal is None or self._session is None:
            raise AnalystUnavailableError("the client offers no model")
        system = "\n\n".join(each.content for each in request.messages if each.role == "system")
        parameters = CreateMessageRequestParams(
            messages=[
                SamplingMessage(role=each.role, content=TextContent(type="text", text=each.content))
                for each in request.messages
                if each.role != "system"
            ],
            system_prompt=system or None,
            max_tokens=MOST_REPLY_TOKENS,
            model_preferences=ModelPreferences(cost_priority=0.7, speed_priority=0.5, intelligence_priority=0.5),
        )
        wanted = CreateMessageRequest(params=parameters)
        try:
            reply: CreateMessageResult = self._portal.call(
                self._session.send_request, wanted, CreateMessageResult, self.timeout_seconds
            )
        except MCPError as error:
            raise AnalystUnavailableError(f"the client's model did not answer (code {error.code})") from None
        except ValidationError:
            raise AnalystUnavailableError("the client sent something that is no reply") from None
        except (RuntimeError, CancelledError, ClosedResourceError, BrokenResourceError) as error:
            raise AnalystUnavailableError("the client is gone") from error
        return reply
