"""Formats the server's log as JSON lines without request data or model output.

Error messages can contain text of users. For most exceptions, the log therefore contains only the type and the stack
frames. Only ``ConfigError`` and ``StoreError`` are logged with their message, which never contains text of users.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from memoryos.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["JsonFormatter", "configure_logs"]

_QUIET = ("uvicorn.access", "httpx", "httpx2", "httpcore", "httpcore2", "openai", "mcp", "sse_starlette", "asyncio")
"""Loggers of other libraries. Their lines below WARNING are dropped, because they contain URLs with search words."""
_MAX_CAUSES = 10
_MAX_FRAMES = 30


class JsonFormatter(logging.Formatter):
    """Formats a log record as one line of JSON.

    The JSON keys are "at", "level", "logger", "message", "error", and the keys of ``extra={"fields": …}``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Returns a log record as one line of JSON."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = list(_error_chain(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False, default=lambda value: type(value).__name__)


def configure_logs(level: str = "INFO") -> None:
    """Writes the log of the whole process to stderr as JSON lines, and removes other handlers of the root logger.

    Args:
        level: Lowest level to write. DEBUG lines can contain text of users.
    """
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[stream], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True
    logging.captureWarnings(capture=True)


def _error_chain(error: BaseException) -> Iterator[dict[str, Any]]:
    """Yields the error and its causes, outermost first."""
    current: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if current is None:
            return
        frames = traceback.extract_tb(current.__traceback__)[-_MAX_FRAMES:]
        entry: dict[str, Any] = {
            "type": f"{type(current).__module__}.{type(current).__qualname__}",
            "places": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        }
        if isinstance(current, (ConfigError, StoreError)):
            entry["message"] = str(current)
        yield entry
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
