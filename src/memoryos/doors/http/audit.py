"""The audit log: one line for each use of a memory, with ids and counts, never with stored text."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fastapi import Request

    from memoryos.doors.http.caller import Caller
    from memoryos.memory import Memoryos

__all__ = ["Action", "AuditLog"]

Action = Literal["read", "write", "answer", "forget", "export", "import", "correct", "rebuild", "list", "refuse"]
"""The use of a memory; "refuse" means that the caller had no right to it."""

_log = logging.getLogger("memoryos.audit")


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Writes audit lines for one request.

    Attributes:
        request: The request. Lines contain its method and its route template, not its URL, which can contain text.
        caller: Its authenticated caller.
    """

    request: Request
    caller: Caller

    def record(
        self, action: Action, memory: Memoryos | None = None, *, count: int = 0, user_id: str | None = None
    ) -> None:
        """Writes one line.

        Args:
            action: The use.
            memory: The memory that was used; None for the whole server.
            count: Number of pages, facts or other entries that were read, written or deleted.
            user_id: The user, if no memory was opened.
        """
        route = self.request.scope.get("route")
        fields = {
            "action": action,
            "count": count,
            "key_id": self.caller.key_id,
            "method": self.request.method,
            "route": getattr(route, "path", ""),
            "user_id": user_id if memory is None else memory.scope.user_id,
            "assistant_id": None if memory is None else memory.scope.assistant_id,
        }
        _log.info("%s", action, extra={"fields": fields})
