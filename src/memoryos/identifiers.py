"""Ids: UUIDv7 text, so that they sort by the time they were made."""

from __future__ import annotations

from uuid_utils import uuid7

__all__ = ["new_id"]


def new_id() -> str:
    """Returns a new UUIDv7 as 36 characters of text."""
    return str(uuid7())
