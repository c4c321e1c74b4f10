"""The prompts of the LLM analyst: each with its version and the schema of its reply in one file."""
