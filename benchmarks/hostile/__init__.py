"""Measures the HTTP server while one user attacks it."""
