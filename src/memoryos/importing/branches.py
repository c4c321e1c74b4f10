"""Selects the current branch of a chat whose messages form a tree.

An edited message or a regenerated answer starts a new branch next to the old one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["current_branch"]


def current_branch(parents: Mapping[str, str | None], oldest_first: Sequence[str], leaf: Any = None) -> list[str]:
    """Returns the ids of the messages of the current branch, oldest first.

    If a damaged file lacks a message, the messages before and after it form separate trees. The function returns one
    branch of each tree, so that only the missing message is lost.

    Args:
        parents: For each message, the id of its parent message. For the first message, None or an unknown id.
        oldest_first: The ids of all messages in order of time.
        leaf: Id of the last message of the current branch. Default: the newest message.
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
    """Returns the ids of a message and its ancestors, newest first. Stops at a cycle."""
    path: dict[str, None] = {}
    current: str | None = start
    while current is not None and current in parents and current not in path:
        path[current] = None
        current = parents[current]
    return list(path)


def _roots(parents: Mapping[str, str | None]) -> dict[str, str]:
    """Returns, for each message, a text that identifies the tree of the message.

    The text is the parent id of the tree's first message, or the first message's own id if it has no parent id.
    Alternative first messages with the same parent id therefore belong to one tree.
    """
    roots: dict[str, str] = {}
    for start in parents:
        path: dict[str, None] = {}
        current = start
        while current in parents and current not in roots and current not in path:
            path[current] = None
            current = parents[current] or current
        roots.update(dict.fromkeys(path, roots.get(current, current)))
    return roots
