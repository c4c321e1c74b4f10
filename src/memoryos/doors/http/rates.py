"""How many requests a key, a user and an address may send."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from memoryos.doors.http.callers import Caller
    from memoryos.doors.http.settings import ServerSettings

__all__ = ["Rates"]


class Rates:
    """Counts requests of callers and failed authentications of addresses."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings

    def count(self, connection: HTTPConnection, caller: Caller, address: str) -> None:
        """Counts a request of a caller."""

    def check_failures(self, address: str) -> None:
        """Refuses an address that failed too often."""

    def note_failure(self, address: str) -> None:
        """Counts a failed authentication."""
