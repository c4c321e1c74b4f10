"""Limits that uvicorn lacks: timeouts for slow clients, and a maximum number of connections for each address."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from memoryos.doors.http.addresses import ClientAddresses, rate_limit_name

if TYPE_CHECKING:
    from memoryos.doors.http.settings import ServerSettings

__all__ = ["limited_protocol"]

_TOO_MANY = b"HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"
_MIN_BYTES_PER_SECOND = 1_024
"""A client that reads a response more slowly than this is disconnected."""
_CLOSING_SECONDS = 5.0
"""Timeout for closing a connection; after it, the connection is aborted."""


def limited_protocol(settings: ServerSettings) -> type[asyncio.Protocol]:
    """Returns a protocol class for uvicorn: uvicorn's own HTTP/1.1 class, extended by the limits of the settings."""
    addresses = ClientAddresses(settings.trusted_proxies)
    open_connections: Counter[str] = Counter()

    class Protocol(_LimitedProtocol):
        def __init__(self, **uvicorn_arguments: Any) -> None:
            super().__init__(settings, addresses, open_connections, **uvicorn_arguments)

    return Protocol


class _LimitedProtocol(H11Protocol):
    """A connection with timeouts for slow clients.

    The headers of the first request must arrive within a timeout after the start of the connection. The headers of
    each further request must arrive within the same timeout after the end of the previous response. Receiving single
    bytes does not extend the timeout.

    Args:
        settings: The limits.
        addresses: Recognises trusted proxies. Their connections are not counted.
        open_connections: Number of open connections from each address.
        **uvicorn_arguments: Arguments of the base class.
    """

    def __init__(
        self,
        settings: ServerSettings,
        addresses: ClientAddresses,
        open_connections: Counter[str],
        **uvicorn_arguments: Any,
    ) -> None:
        super().__init__(**uvicorn_arguments)
        self._settings = settings
        self._addresses = addresses
        self._open_connections = open_connections
        self._counted_name: str | None = None
        self._is_refused = False
        self._header_timeout: asyncio.TimerHandle | None = None
        self._send_timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepts a connection. If its address already has the maximum number of connections, closes it at once."""
        super().connection_made(transport)  # type: ignore[arg-type]  # narrowed by uvicorn
        peer = self.client[0] if self.client else ""
        if not self._addresses.is_trusted(peer):
            name = rate_limit_name(peer)
            if self._open_connections[name] >= self._settings.address_connections:
                self._is_refused = True
                self.transport.write(_TOO_MANY)
                self._close()
                return
            self._counted_name = name
            self._open_connections[name] += 1
        self._start_header_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancels the timeouts, and decrements the number of open connections of the address."""
        for timeout in (self._header_timeout, self._send_timeout):
            if timeout is not None:
                timeout.cancel()
        if self._counted_name is not None:
            self._open_connections[self._counted_name] -= 1
            if not self._open_connections[self._counted_name]:
                del self._open_connections[self._counted_name]
            self._counted_name = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses received data. When the headers of a request are complete, cancels the header timeout."""
        if self._is_refused:
            return
        super().data_received(data)
        self._cancel_header_timeout()

    def on_response_complete(self) -> None:
        """Starts the header timeout of the next request, unless that request has already arrived."""
        self._start_header_timeout()
        super().on_response_complete()
        self._cancel_header_timeout()

    def pause_writing(self) -> None:
        """Pauses writing because the client reads too slowly, and starts the timeout for slow readers."""
        super().pause_writing()
        self._start_send_timeout()

    def resume_writing(self) -> None:
        """Resumes writing, and cancels the timeout for slow readers."""
        if self._send_timeout is not None:
            self._send_timeout.cancel()
        super().resume_writing()

    def _start_header_timeout(self) -> None:
        if self._header_timeout is not None:
            self._header_timeout.cancel()
        self._header_timeout = self.loop.call_later(self._settings.header_seconds, self._close)

    def _start_send_timeout(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        self._send_timeout = self.loop.call_later(self._settings.send_seconds, self._check_reader, unsent)

    def _check_reader(self, previously_unsent: int) -> None:
        """Aborts the connection if the client has read too few bytes since the last check."""
        read = previously_unsent - self.transport.get_write_buffer_size()
        if read < _MIN_BYTES_PER_SECOND * self._settings.send_seconds:
            self.transport.abort()
        else:
            self._start_send_timeout()

    def _cancel_header_timeout(self) -> None:
        """Cancels the header timeout if the headers of a request have arrived and the response is not complete."""
        if self._header_timeout is not None and self.cycle is not None and not self.cycle.response_complete:
            self._header_timeout.cancel()
            self._header_timeout = None

    def _close(self) -> None:
        """Sends the remaining data, then closes the connection. After a timeout, aborts the connection."""
        self.transport.close()
        self.loop.call_later(_CLOSING_SECONDS, self.transport.abort)
