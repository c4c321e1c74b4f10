"""The interfaces of MemoryOS: command line, MCP server, HTTP server and inspector (a web page).

They only translate requests and replies. Other packages decide what is stored, recalled and forgotten.
"""
