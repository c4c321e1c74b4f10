"""The HTTP server: REST, the OpenAI-compatible proxy, MCP; no policy in it."""
