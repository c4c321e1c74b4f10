"""Benchmarks of databases with many memories, and of very large memories."""
