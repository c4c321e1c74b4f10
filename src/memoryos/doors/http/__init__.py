"""The HTTP interface: REST, the OpenAI-compatible proxy and MCP. It contains no memory logic."""
