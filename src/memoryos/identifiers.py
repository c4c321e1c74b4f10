"""Creates ids: UUIDv7 text, which sorts by creation time."""

from __future__ import annotations

from uuid_utils import uuid7

__all__ = ["new_id"]


def new_id() -> str:
    """Returns a new UUIDv7 as 36 characters of text."""
    return str(uuid7())
