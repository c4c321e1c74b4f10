"""Limits on connections, which uvicorn itself does not have: slow headers, slow readers, many of one address."""

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
_LEAST_BYTES_PER_SECOND = 1_024
"""A client that reads a response more slowly is cut off."""
_CLOSING_SECONDS = 5.0
"""A connection that is being closed is cut off after this time, read or not."""


def limited_protocol(settings: ServerSettings) -> type[asyncio.Protocol]:
    """Returns the protocol class of a server: HTTP/1.1 of uvicorn with the limits of the settings."""
    addresses = ClientAddresses(settings.trusted_proxies)
    open_connections: Counter[str] = Counter()

    class Protocol(_LimitedProtocol):
        def __init__(self, **given: Any) -> None:
            super().__init__(settings, addresses, open_connections, **given)

    return Protocol


class _LimitedProtocol(H11Protocol):
    """One connection.

    A deadline runs from the beginning of the connection, and from the end of each response, until the headers of the
    next request are complete. Bytes that arrive meanwhile, also those of an unread body, do not extend it.

    Args:
        settings: The limits.
        addresses: Tells trusted proxies, whose connections are not limited.
        open_connections: Open connections by address, of the whole server.
        **given: The arguments of uvicorn.
    """

    def __init__(
        self,
        settings: ServerSettings,
        addresses: ClientAddresses,
        open_connections: Counter[str],
        **given: Any,
    ) -> None:
        super().__init__(**given)
        self._settings = settings
        self._addresses = addresses
        self._open_connections = open_connections
        self._counted_as: str | None = None
        self._is_refused = False
        self._header_deadline: asyncio.TimerHandle | None = None
        self._send_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins a connection; closes it at once if its address has too many."""
        super().connection_made(transport)  # type: ignore[arg-type]  # narrowed by uvicorn
        peer = self.client[0] if self.client else ""
        if not self._addresses.is_trusted(peer):
            name = rate_limit_name(peer)
            if self._open_connections[name] >= self._settings.address_connections:
                self._is_refused = True
                self.transport.write(_TOO_MANY)
                self._close()
                return
            self._counted_as = name
            self._open_connections[name] += 1
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends a connection."""
        for deadline in (self._header_deadline, self._send_deadline):
            if deadline is not None:
                deadline.cancel()
        if self._counted_as is not None:
            self._open_connections[self._counted_as] -= 1
            if not self._open_connections[self._counted_as]:
                del self._open_connections[self._counted_as]
            self._counted_as = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads what has arrived; the deadline ends when the headers of a request are complete."""
        if self._is_refused:
            return
        super().data_received(data)
        self._stop_waiting_for_headers()

    def on_response_complete(self) -> None:
        """Waits for the next request, or begins it if it has arrived already."""
        self._await_headers()
        super().on_response_complete()
        self._stop_waiting_for_headers()

    def pause_writing(self) -> None:
        """Waits until the client has read, but not for ever."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """Goes on writing."""
        if self._send_deadline is not None:
            self._send_deadline.cancel()
        super().resume_writing()

    def _await_headers(self) -> None:
        if self._header_deadline is not None:
            self._header_deadline.cancel()
        self._header_deadline = self.loop.call_later(self._settings.header_seconds, self._close)

    def _await_reader(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        self._send_deadline = self.loop.call_later(self._settings.send_seconds, self._check_reader, unsent)

    def _check_reader(self, unsent_before: int) -> None:
        """Cuts the connection off if its client has read too little since the last check."""
        read = unsent_before - self.transport.get_write_buffer_size()
        if read < _LEAST_BYTES_PER_SECOND * self._settings.send_seconds:
            self.transport.abort()
        else:
            self._await_reader()

    def _stop_waiting_for_headers(self) -> None:
        """Ends the deadline if a request is being served."""
        if self._header_deadline is not None and self.cycle is not None and not self.cycle.response_complete:
            self._header_deadline.cancel()
            self._header_deadline = None

    def _close(self) -> None:
        """Closes the connection, though its client reads nothing more."""
        self.transport.close()
        self.loop.call_later(_CLOSING_SECONDS, self.transport.abort)
