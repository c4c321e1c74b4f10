"""Removes the hidden reasoning (``<think> … </think>``) of a reasoning model from its replies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["strip_thinking", "without_thoughts"]

OPENING = "<think>"
CLOSING = "</think>"
_SPACE = re.compile(r"\s*")
_CLOSING_LINE_END = re.compile(rf"\n[ \t]*{CLOSING}|{CLOSING}[ \t]*\n")


def strip_thinking(text: str) -> str:
    """Returns a whole reply without its reasoning and without surrounding white space.

    If the prompt already contains the opening tag, the reply has only a closing tag, at the end of a line or on its
    own line; the text before it is reasoning. ``without_thoughts`` can't handle that case in a stream, because the
    reasoning has already been passed on when the closing tag arrives.
    """
    end = _CLOSING_LINE_END.search(text)
    if end is not None and OPENING not in text[: end.start()]:
        text = text[end.end() :]
    return "".join(without_thoughts([text])).strip()


def without_thoughts(pieces: Iterable[str]) -> Iterator[str]:
    """Yields the pieces of a reply without its leading reasoning and leading white space.

    Tags may be split over pieces. Reasoning without a closing tag extends to the end. After the first visible text,
    tags are ordinary text, because a reply may talk about them.
    """
    remaining = iter(pieces)
    buffer = ""
    is_thinking = False
    for piece in remaining:
        buffer, is_thinking = _after_thoughts(buffer + piece, is_thinking=is_thinking)
        if buffer and not is_thinking and not OPENING.startswith(buffer):
            yield buffer
            yield from filter(None, remaining)
            return
    if buffer and not is_thinking:
        yield buffer


def _after_thoughts(text: str, *, is_thinking: bool) -> tuple[str, bool]:
    """Removes leading reasoning from the text read so far.

    Returns:
        The text after the reasoning, and False. If the reasoning is not closed yet: the last characters of the text,
        which may be the beginning of the closing tag, and True.
    """
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
