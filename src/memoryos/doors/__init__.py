"""Interfaces of MemoryOS: command line, MCP server, HTTP server and inspector. They contain no memory policy."""
