"""Creates ids. They are UUIDv7 texts, so their alphabetical order is the order of their creation."""

from __future__ import annotations

from uuid_utils import uuid7

__all__ = ["new_id"]


def new_id() -> str:
    """Returns a new UUIDv7 as 36 characters of text."""
    return str(uuid7())
