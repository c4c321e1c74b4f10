"""Doors: ways in from outside; no policy."""
