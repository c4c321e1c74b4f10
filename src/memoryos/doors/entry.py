"""Where the command ``memoryos`` begins: the MCP server starts without the rest of the command line."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command."""
    if sys.argv[1:2] == ["mcp"]:
        from memoryos.doors.mcp_command import mcp  # noqa: PLC0415  (a client waits for the handshake)

        mcp(sys.argv[2:], prog_name="memoryos mcp")
    else:
        from memoryos.doors.cli import main as command  # noqa: PLC0415

        command()
