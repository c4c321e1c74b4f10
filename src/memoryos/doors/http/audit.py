"""The audit log: one line for each use of a memory. A line contains ids and numbers, but no stored text."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fastapi import Request

    from memoryos.doors.http.caller import Caller
    from memoryos.memory import Memory

__all__ = ["Action", "AuditLog"]

Action = Literal["read", "write", "answer", "forget", "export", "import", "correct", "rebuild", "list", "refuse"]
"""How a request used a memory. "refuse" means that the caller had no right to the memory."""

_log = logging.getLogger("memoryos.audit")


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Writes the audit log lines of one request.

    Attributes:
        request: The request. The log lines contain its method and route template, not the URL, because URLs can contain
            text of users.
        caller: The authenticated caller of the request.
    """

    request: Request
    caller: Caller

    def record(
        self, action: Action, memory: Memory | None = None, *, count: int = 0, user_id: str | None = None
    ) -> None:
        """Writes one log line.

        Args:
            action: How the memory was used.
            memory: The memory that was used; None if the request concerned the whole server.
            count: Number of pages, facts or other entries that were read, written or deleted.
            user_id: Id of the user, if ``memory`` is None.
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
