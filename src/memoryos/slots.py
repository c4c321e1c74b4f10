"""The slots: the attributes of a person that a fact can fill, such as the name or the home."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MULTI_VALUED", "SINGLE_VALUED", "SLOTS", "slot_named"]

SINGLE_VALUED = (
    "name",
    "birth_date",
    "gender",
    "home",
    "hometown",
    "job",
    "employer",
    "partner",
    "relationship_status",
)
"""Slots with one value at a time. ``birth_date`` is a date in ISO 8601, or only its year."""
MULTI_VALUED = ("allergy", "pet", "family", "language", "diet")
"""Slots with any number of values at a time."""
SLOTS = (*SINGLE_VALUED, *MULTI_VALUED)
"""All slots."""
_OTHER_NAMES: Mapping[str, str] = {
    "birth_year": "birth_date",
    "date_of_birth": "birth_date",
    "residence": "home",
    "occupation": "job",
    "profession": "job",
    "company": "employer",
    "allergies": "allergy",
    "pets": "pet",
    "languages": "language",
}


def slot_named(name: str) -> str | None:
    """Returns the slot that an attribute of this name fills, such as "birth_date" for "birth_year"; None without one.

    Args:
        name: Name of an attribute in snake_case.
    """
    name = _OTHER_NAMES.get(name, name)
    return name if name in SLOTS else None
