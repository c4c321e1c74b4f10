"""Comparisons that the filters of other programs are made of, by their names without a dollar sign."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from memoryos.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compares"]


def compares(name: str, value: Any, wanted: Any) -> bool:
    """Returns whether a value compares so with what is wanted; what has no order is neither more nor less.

    Args:
        name: eq, ne, gt, gte, lt, lte, in, nin, contains or icontains.
        value: The value; None where there is none.
        wanted: What the filter names.

    Raises:
        InputError: If there is no such comparison.
    """
    if name not in _COMPARISONS:
        raise InputError("filters", f"know no {name!r}; there are {', '.join(_COMPARISONS)}")
    return _COMPARISONS[name](value, wanted)


def _ordered(order: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(value: Any, wanted: Any) -> bool:
        try:
            return order(float(value), float(wanted))
        except (TypeError, ValueError):
            return isinstance(value, str) and isinstance(wanted, str) and order(value, wanted)

    return compare


def _holds(value: Any, wanted: Any) -> bool:
    return wanted in value if isinstance(value, list) or (isinstance(value, str) and isinstance(wanted, str)) else False


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": _ordered(operator.gt),
    "gte": _ordered(operator.ge),
    "lt": _ordered(operator.lt),
    "lte": _ordered(operator.le),
    "in": lambda value, wanted: any(value == each for each in wanted),
    "nin": lambda value, wanted: all(value != each for each in wanted),
    "contains": _holds,
    "icontains": lambda value, wanted: _holds(str(value).casefold(), str(wanted).casefold()),
}
