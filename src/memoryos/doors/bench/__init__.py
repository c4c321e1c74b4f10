"""The measurements and the report of ``memoryos bench``. The scripts in ``benchmarks/`` use the same code."""
