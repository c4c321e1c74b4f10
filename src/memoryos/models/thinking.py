"""Takes out of a reply what is not for the reader: what a reasoning model thinks before it speaks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["spoken", "without_thoughts"]

OPENING = "<think>"
CLOSING = "</think>"
_SPACE = re.compile(r"\s*")
_END_OF_THOUGHT = re.compile(rf"\n[ \t]*{CLOSING}|{CLOSING}[ \t]*\n")


def spoken(text: str) -> str:
    """Returns a whole reply without its thoughts and without blank space around it.

    Where the prompt has opened the thought already, the reply has a closing tag only, at the end of a line or on one
    of its own: what stands before it is thought. In a stream that can't be told, for what was shown is shown.
    """
    end = _END_OF_THOUGHT.search(text)
    if end is not None and OPENING not in text[: end.start()]:
        text = text[end.end() :]
    return "".join(without_thoughts([text])).strip()


def without_thoughts(pieces: Iterable[str]) -> Iterator[str]:
    """Yields the pieces without the thoughts that they begin with, and without leading blank space.

    A thought stands between ``<think>`` and ``</think>``, which may be spread over pieces; one that is never closed is
    thought to the end. Once something was said, tags are text: people talk about them too.
    """
    left = iter(pieces)
    held = ""
    is_thinking = False
    for piece in left:
        held, is_thinking = _behind_thoughts(held + piece, is_thinking=is_thinking)
        if held and not is_thinking and not OPENING.startswith(held):
            yield held
            yield from filter(None, left)
            return
    if held and not is_thinking:
        yield held


def _behind_thoughts(text: str, *, is_thinking: bool) -> tuple[str, bool]:
    """Returns what stands behind the thoughts, and whether one is open: then it is the end of what was thought."""
    place = 0
    while True:
        if is_thinking:
            end = text.find(CLOSING, place)
            if end == -1:
                return text[max(place, len(text) + 1 - len(CLOSING)) :], True
            place = end + len(CLOSING)
        space = _SPACE.match(text, place)
        place = space.end() if space else place
        is_thinking = text.startswith(OPENING, place)
        if not is_thinking:
            return text[place:], False
        place += len(OPENING)
