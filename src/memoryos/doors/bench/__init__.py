"""Measurements of ``memoryos bench`` and their report; the scripts in ``benchmarks/`` import the same code."""
