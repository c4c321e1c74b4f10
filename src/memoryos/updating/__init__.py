"""Updating (§3.3): pure policies, and the updater that applies them."""
