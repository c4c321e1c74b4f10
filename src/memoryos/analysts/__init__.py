"""Analysts: who reads conversations and writes what was learned."""
