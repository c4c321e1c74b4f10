"""Embedders and chat models: implementations of the protocols in ``memoryos.seams``."""
