"""What an LLM costs and what happens when it fails, measured with a stand-in."""
