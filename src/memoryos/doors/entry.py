"""Entry point of the command ``memoryos``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command; ``memoryos mcp`` skips the import of the other commands to answer the handshake sooner."""
    if sys.argv[1:2] == ["mcp"]:
        from memoryos.doors.mcp_command import mcp  # noqa: PLC0415  (only the MCP server is imported)

        mcp(sys.argv[2:], prog_name="memoryos mcp")
    else:
        from memoryos.doors.cli import main as command  # noqa: PLC0415  (all other commands)

        command()
