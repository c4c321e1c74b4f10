"""Crash tests: killed writers, full disks, and damaged write-ahead logs."""
