"""A trial of the MCP server: it is started once as a client would start it, and asked what it offers."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError

from memoryos.errors import MemoryOSError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Trial", "TrialError", "try_server"]

TIMEOUT_SECONDS = 60.0
_LINES_SHOWN = 3


class TrialError(MemoryOSError):
    """The server did not start, or does not work; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it.

    Attributes:
        seconds: From the start of the process until the tools were listed.
        tools: Names of the tools.
        analyst: Who would read and answer.
    """

    seconds: float
    tools: tuple[str, ...]
    analyst: str


def try_server(command: Sequence[str]) -> Trial:
    """Starts a server on a store of its own that is thrown away, lists the tools, calls one, and ends it.

    Args:
        command: The program and its arguments, as in the file of a client.

    Raises:
        TrialError: If any of that fails or takes a minute.
    """
    with tempfile.TemporaryDirectory(prefix="memoryos-trial-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log"
        own = {"MEMORYOS_DATABASE_URL": f"sqlite:///{(Path(folder) / 'memoryos.db').as_posix()}"}
        server = StdioServerParameters(command=command[0], args=list(command[1:]), env=dict(os.environ) | own)
        try:
            return anyio.run(_try, server, log)
        except Exception as error:
            causes = list(_within(error))
            if all(isinstance(each, _EXPECTED) for each in causes):
                raise TrialError(_explained(causes[0], log)) from error
            raise


class _RefusedError(Exception):
    """A tool answered with an error."""


_EXPECTED = (OSError, MCPError, _RefusedError)


async def _try(server: StdioServerParameters, log: Path) -> Trial:
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as stderr, anyio.fail_after(TIMEOUT_SECONDS):
        wire = stdio_client(server, errlog=stderr)
        async with Client(wire, mode="legacy", read_timeout_seconds=TIMEOUT_SECONDS) as client:
            tools = tuple(tool.name for tool in (await client.list_tools()).tools)
            seconds = time.monotonic() - started
            stats = await client.call_tool("memory_stats", {})
            if stats.is_error:
                raise _RefusedError(" ".join(getattr(each, "text", "") for each in stats.content))
            return Trial(seconds, tools, str((stats.structured_content or {}).get("analyst", "")))


def _explained(error: BaseException, log: Path) -> str:
    if isinstance(error, TimeoutError):
        says = f"it did not answer within {TIMEOUT_SECONDS:g} s"
    elif isinstance(error, MCPError):
        says = f"it did not answer: {error.message}"
    else:
        says = str(error)
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
    told = [line.strip() for line in lines if line.strip()][-_LINES_SHOWN:]
    return f"{says} ({' / '.join(told)})" if told else says


def _within(error: BaseException) -> Iterator[BaseException]:
    """Yields the errors of a group and of the groups in it; an error that is none, itself."""
    within = getattr(error, "exceptions", None)  # of ExceptionGroup, which Python 3.10 does not have
    if within is None:
        yield error
        return
    for each in within:
        yield from _within(each)
