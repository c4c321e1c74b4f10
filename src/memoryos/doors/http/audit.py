"""The audit log: who read and who deleted how much of whose memory. Ids and counts, never text."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fastapi import Request

    from memoryos.doors.http.callers import Caller
    from memoryos.memory import Memory

__all__ = ["Action", "audit"]

Action = Literal["read", "write", "answer", "forget", "export", "import", "correct", "rebuild", "list", "refuse"]
"""What was done with a memory, or refused to who may not."""

_log = logging.getLogger("memoryos.audit")


def audit(
    request: Request,
    caller: Caller,
    action: Action,
    memory: Memory | None = None,
    *,
    count: int = 0,
    user_id: str | None = None,
) -> None:
    """Writes one line about what a caller did.

    Args:
        request: The request; its method and route's template are noted, not its address, which may hold text.
        caller: Who did it.
        action: What was done.
        memory: With whose memory; None for what concerns the whole server.
        count: How many things were read, written or deleted.
        user_id: Whose memory it was about where none was opened.
    """
    route = request.scope.get("route")
    fields = {
        "action": action,
        "count": count,
        "key_id": caller.key_id,
        "method": request.method,
        "route": getattr(route, "path", ""),
        "user_id": user_id if memory is None else memory.scope.user_id,
        "assistant_id": None if memory is None else memory.scope.assistant_id,
    }
    _log.info("%s", action, extra={"fields": fields})
