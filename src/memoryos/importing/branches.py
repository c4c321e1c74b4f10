"""Conversations as trees: an edited message or another answer starts a branch beside the one that went on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["current_branch"]


def current_branch(parents: Mapping[str, str | None], oldest_first: Sequence[str], leaf: Any = None) -> list[str]:
    """Returns the ids of the branch that ends in a leaf, oldest first; without a leaf it ends in the newest message.

    Messages that hang together with none of these, as where a message between is lost, give a branch of their own, so
    that damage never drops more than what it hit. Alternatives to the first message share a parent that is not there.

    Args:
        parents: The parent of each message; None or an unknown id for a first one.
        oldest_first: All ids in order of time.
        leaf: The last message of the branch, if it is known.
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
    path: dict[str, None] = {}
    here: str | None = start
    while here is not None and here in parents and here not in path:
        path[here] = None
        here = parents[here]
    return list(path)


def _roots(parents: Mapping[str, str | None]) -> dict[str, str]:
    """Returns what names the tree of each message: the unknown parent of its first message, else that message."""
    roots: dict[str, str] = {}
    for start in parents:
        path: dict[str, None] = {}
        here = start
        while here in parents and here not in roots and here not in path:
            path[here] = None
            here = parents[here] or here
        roots.update(dict.fromkeys(path, roots.get(here, here)))
    return roots
