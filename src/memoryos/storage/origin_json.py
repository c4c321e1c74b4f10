"""Converts origins (the analyst and its version) to and from JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.model import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_origin", "write_origin"]


def write_origin(origin: Origin) -> dict[str, str]:
    """Returns an origin as a JSON object."""
    return {"analyst": origin.analyst, "version": origin.version}


def read_origin(body: Mapping[str, str]) -> Origin:
    """Returns the origin that a JSON object represents."""
    return Origin(body["analyst"], body["version"])
