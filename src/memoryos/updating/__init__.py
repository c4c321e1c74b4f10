"""Updates the memory in the background: pure functions decide, and ``Updater`` executes.

The rules follow §3.3 of Kang et al. 2025.
"""
