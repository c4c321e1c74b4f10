"""Benchmarks of many scopes, and of very large scopes."""
