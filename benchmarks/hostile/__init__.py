"""The HTTP server while one user attacks it."""
