"""Entry point of the command ``memoryos``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command line ``memoryos``.

    ``memoryos mcp`` does not import the other commands, so that it answers the client's handshake sooner.
    """
    if sys.argv[1:2] == ["mcp"]:
        from memoryos.doors.mcp_command import mcp  # noqa: PLC0415  (only the MCP server is imported)

        mcp(sys.argv[2:], prog_name="memoryos mcp")
    else:
        from memoryos.doors.cli import main as command  # noqa: PLC0415  (all other commands)

        command()
