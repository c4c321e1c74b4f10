"""The comparison operators in filters of LangGraph and mem0, for example "gte" for "at least"."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from memoryos.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compares"]


def compares(name: str, value: Any, operand: Any) -> bool:
    """Returns whether a stored value satisfies a comparison in a filter.

    For values that can't be ordered, gt, gte, lt and lte are false.

    Args:
        name: The operator: eq, ne, gt, gte, lt, lte, in, nin, contains or icontains.
        value: The stored value; None if the value is missing.
        operand: The value in the filter.

    Raises:
        InputError: If the operator is unknown.
    """
    if name not in _COMPARISONS:
        raise InputError("filters", f"has an unknown operator {name!r}; use one of {', '.join(_COMPARISONS)}")
    return _COMPARISONS[name](value, operand)


def _ordered(order: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(value: Any, operand: Any) -> bool:
        try:
            return order(float(value), float(operand))
        except (TypeError, ValueError):
            return isinstance(value, str) and isinstance(operand, str) and order(value, operand)

    return compare


def _contains(value: Any, operand: Any) -> bool:
    return (
        operand in value if isinstance(value, list) or (isinstance(value, str) and isinstance(operand, str)) else False
    )


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": _ordered(operator.gt),
    "gte": _ordered(operator.ge),
    "lt": _ordered(operator.lt),
    "lte": _ordered(operator.le),
    "in": lambda value, operand: any(value == each for each in operand),
    "nin": lambda value, operand: all(value != each for each in operand),
    "contains": _contains,
    "icontains": lambda value, operand: _contains(str(value).casefold(), str(operand).casefold()),
}
