"""The HTTP server: REST API, OpenAI-compatible proxy and MCP. Other packages contain the logic of the memory."""
