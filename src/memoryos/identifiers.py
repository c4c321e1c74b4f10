"""Creates ids: UUIDv7 texts in the order of their creation, and UUIDv8 texts derived from what they identify."""

from __future__ import annotations

import hashlib
import json
from uuid import UUID

from uuid_utils import uuid7

__all__ = ["derived_id", "new_id"]

_VERSION, _VARIANT = 0x8 << 76, 0b10 << 62
_FREE_BITS = ((1 << 128) - 1) ^ (0xF << 76) ^ (0b11 << 62)


def new_id() -> str:
    """Returns a new UUIDv7 as 36 characters of text. The alphabetical order of these ids is that of their creation."""
    return str(uuid7())


def derived_id(*parts: str) -> str:
    """Returns a UUIDv8 as 36 characters of text, from the SHA-256 of texts. Equal texts give equal ids."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return str(UUID(int=int.from_bytes(digest[:16], "big") & _FREE_BITS | _VERSION | _VARIANT))
