"""Crash tests of several servers and workers on one database."""
