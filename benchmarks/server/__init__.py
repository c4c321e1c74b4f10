"""Load tests of the HTTP server."""
