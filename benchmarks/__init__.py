"""Benchmarks for the figures that the documentation states."""
