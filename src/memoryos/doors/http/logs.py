"""The log of a server as JSON lines. What callers sent and what models said is in none of them.

An error's message may quote what somebody wrote, so that of a foreign error is left out: its type and its place stand
in the line. Of our own errors those of settings and of the store say what an operator has to do, and quote nothing.
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
"""Loggers whose lines below a warning name addresses, which hold ids and searched words, or are no news."""
_CAUSES = 10
_PLACES = 30


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON: at, level, logger, message, the fields in ``extra={"fields": …}``, error."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = list(_told(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False, default=lambda value: type(value).__name__)


def configure_logs(level: str = "INFO") -> None:
    """Lets every logger of this process write JSON lines to stderr, in the place of what was set up before.

    Args:
        level: Name of the least level that is written; DEBUG is for developers: it may quote what users said.
    """
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[stream], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True
    logging.captureWarnings(capture=True)


def _told(error: BaseException) -> Iterator[dict[str, Any]]:
    """Yields the error and its causes, the outermost first."""
    at: BaseException | None = error
    for _ in range(_CAUSES):
        if at is None:
            return
        frames = traceback.extract_tb(at.__traceback__)[-_PLACES:]
        told: dict[str, Any] = {
            "type": f"{type(at).__module__}.{type(at).__qualname__}",
            "places": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        }
        if isinstance(at, (ConfigError, StoreError)):
            told["message"] = str(at)
        yield told
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
