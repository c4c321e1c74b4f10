"""Retrieval (§3.4): snapshots of a scope in memory, pure ranking and packing, and the retriever that uses them."""
