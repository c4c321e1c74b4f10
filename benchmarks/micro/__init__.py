"""Micro benchmarks: they measure the speed and the memory use of single operations."""
