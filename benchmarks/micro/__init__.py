"""Micro benchmarks of speed and memory."""
