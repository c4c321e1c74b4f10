"""Crash safety: writers that are killed at any moment, disks that fill up, logs that are torn."""
