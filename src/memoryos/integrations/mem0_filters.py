"""Whose memories mem0's arguments mean, and which of them its filters accept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memoryos.config import DEFAULT_ASSISTANT_ID
from memoryos.errors import InputError
from memoryos.integrations.filters import compares
from memoryos.model import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["NO_USER", "Owner", "belongs", "read_owner"]

NO_USER = "(no user)"
"""The user of what is added for an agent or a run alone."""
_IDS = ("user_id", "agent_id", "run_id")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose memories are meant: any of these ids may be None, not all."""

    user_id: str | None
    agent_id: str | None
    run_id: str | None

    @property
    def scope(self) -> Scope:
        """The scope that something is added to."""
        return Scope(self.user_id or NO_USER, self.agent_id or DEFAULT_ASSISTANT_ID)

    def owns(self, scope: Scope) -> bool:
        """Returns whether memories of a scope are meant: those of a user with every agent unless one is named."""
        return scope.user_id == self.scope.user_id and self.agent_id in {None, scope.assistant_id}


def read_owner(given: tuple[Any, Any, Any], filters: Mapping[str, Any] | None) -> Owner:
    """Returns the owner that arguments and filters name; in filters at the top or in the conditions of an AND.

    Raises:
        InputError: If there is no id, one is no single id, or two contradict each other.
    """
    told = dict(filters or {})
    places = [dict(zip(_IDS, given, strict=True)), told, *(each for each in told.get("AND", ()))]
    ids: dict[str, str] = {}
    for name, value in ((name, place[name]) for place in places for name in _IDS if place.get(name) is not None):
        text = str(value).strip() if isinstance(value, (str, int)) else ""
        if text in {"", "*"}:
            raise InputError(name, "must be one id: a text or a number")
        if ids.setdefault(name, text) != text:
            raise InputError(name, "is given twice, and not the same")
    if not ids:
        raise InputError("user_id", "or agent_id or run_id has to be given, as an argument or in filters")
    return Owner(*(ids.get(name) for name in _IDS))


def belongs(owner: Owner, filters: Mapping[str, Any] | None, item: Mapping[str, Any]) -> bool:
    """Returns whether a memory, as mem0 shows it, is the owner's and accepted.

    Raises:
        InputError: If a filter can't be read.
    """
    values = {**(item["metadata"] or {}), **item}
    return owner.run_id in {None, item.get("run_id")} and _accepts(filters or {}, values)


def _accepts(filters: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return all(_agrees(name, wanted, values) for name, wanted in filters.items())


def _agrees(name: str, wanted: Any, values: Mapping[str, Any]) -> bool:
    if name in {"AND", "OR", "NOT"}:
        met: Iterable[bool] = (_accepts(each, values) for each in wanted)
        return all(met) if name == "AND" else any(met) != (name == "NOT")
    value = values.get(name)
    if isinstance(wanted, dict):
        return all(compares(each, value, other) for each, other in wanted.items())
    if wanted == "*":
        return value is not None
    return bool(value == (str(wanted).strip() if name in _IDS else wanted))
