"""Benchmarks on the LoCoMo data set."""
