"""What ``memoryos bench`` measures, and its report; ``benchmarks`` measures by the same code."""
