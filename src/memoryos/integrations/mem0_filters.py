"""Interprets the ids and filters in calls of mem0's methods, and selects the stored texts to which they apply."""

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
"""The user id under which texts are stored if a call names only an agent or a run."""
_IDS = ("user_id", "agent_id", "run_id")


@dataclass(frozen=True, slots=True)
class Owner:
    """The ids (user, agent, run) in a call of a mem0 method. At least one of them is not None."""

    user_id: str | None
    agent_id: str | None
    run_id: str | None

    @property
    def scope(self) -> Scope:
        """The scope (a user and an assistant) in which new texts are stored."""
        return Scope(self.user_id or NO_USER, self.agent_id or DEFAULT_ASSISTANT_ID)

    def owns(self, scope: Scope) -> bool:
        """Returns whether the ids select a scope (a user and an assistant).

        Without ``agent_id``, they select the scopes of the user with all assistants.
        """
        return scope.user_id == self.scope.user_id and self.agent_id in {None, scope.assistant_id}


def read_owner(given: tuple[Any, Any, Any], filters: Mapping[str, Any] | None) -> Owner:
    """Reads the ids from a call's arguments and filters.

    In filters, an id may be at the top level or inside an ``AND``.

    Raises:
        InputError: If no id is given, an id is not a single text or number, or two ids contradict each other.
    """
    conditions = dict(filters or {})
    sources = [dict(zip(_IDS, given, strict=True)), conditions, *conditions.get("AND", ())]
    ids: dict[str, str] = {}
    for name, value in ((name, source[name]) for source in sources for name in _IDS if source.get(name) is not None):
        text = str(value).strip() if isinstance(value, (str, int)) else ""
        if text in {"", "*"}:
            raise InputError(name, "must be one id: a text or a number")
        if ids.setdefault(name, text) != text:
            raise InputError(name, "occurs twice with different values; pass this id once")
    if not ids:
        raise InputError("user_id", "is missing; pass user_id, agent_id or run_id as an argument or in filters")
    return Owner(*(ids.get(name) for name in _IDS))


def belongs(owner: Owner, filters: Mapping[str, Any] | None, item: Mapping[str, Any]) -> bool:
    """Returns whether a memory in mem0's format has the run id of ``owner`` and satisfies the filters.

    If ``owner`` has no run id, only the filters are checked.

    Raises:
        InputError: If a filter is invalid.
    """
    values = {**(item["metadata"] or {}), **item}
    return owner.run_id in {None, item.get("run_id")} and _accepts(filters or {}, values)


def _accepts(filters: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return all(_satisfies(name, condition, values) for name, condition in filters.items())


def _satisfies(name: str, condition: Any, values: Mapping[str, Any]) -> bool:
    if name in {"AND", "OR", "NOT"}:
        results: Iterable[bool] = (_accepts(each, values) for each in condition)
        return all(results) if name == "AND" else any(results) != (name == "NOT")
    value = values.get(name)
    if isinstance(condition, dict):
        return all(compares(operator, value, operand) for operator, operand in condition.items())
    if condition == "*":
        return value is not None
    return bool(value == (str(condition).strip() if name in _IDS else condition))
