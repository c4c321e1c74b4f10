"""Retrieval (§3.4): pure ranking, and the retriever that applies it."""
