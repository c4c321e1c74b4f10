"""Costs and failures of an LLM, measured with a simulated endpoint."""
