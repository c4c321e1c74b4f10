"""Selects the current branch of a conversation tree, in which edited messages and regenerated answers are branches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["current_branch"]


def current_branch(parents: Mapping[str, str | None], oldest_first: Sequence[str], leaf: Any = None) -> list[str]:
    """Returns the ids of the branch that ends in a leaf, oldest first; without a leaf, of the newest message's branch.

    Messages that are not connected to this branch, because a message between them is missing, form further branches,
    which are included. So damage loses only the damaged messages. Alternatives to the first message share an unknown
    parent, so only one of them is included.

    Args:
        parents: The parent of each message; None or an unknown id for a first message.
        oldest_first: All ids in order of time.
        leaf: The last message of the current branch, if known.
    """
    roots = _roots(parents)
    branches: list[list[str]] = []
    seen: set[str] = set()
    for start in ([leaf] if isinstance(leaf, str) and leaf in parents else []) + [*reversed(oldest_first)]:
        if roots[start] not in seen:
            seen.add(roots[start])
            branches.append(_climb(parents, start))
    return [each for branch in reversed(branches) for each in reversed(branch)]


def _climb(parents: Mapping[str, str | None], start: str) -> list[str]:
    """Returns a message and its ancestors, youngest first; stops at a cycle."""
    path: dict[str, None] = {}
    current: str | None = start
    while current is not None and current in parents and current not in path:
        path[current] = None
        current = parents[current]
    return list(path)


def _roots(parents: Mapping[str, str | None]) -> dict[str, str]:
    """Returns an id of each message's tree: the unknown parent of the tree's first message, or that message's id."""
    roots: dict[str, str] = {}
    for start in parents:
        path: dict[str, None] = {}
        current = start
        while current in parents and current not in roots and current not in path:
            path[current] = None
            current = parents[current] or current
        roots.update(dict.fromkeys(path, roots.get(current, current)))
    return roots
