"""Takes out of a stream what is not for the reader: what a reasoning model thinks before it speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["without_thoughts"]

OPENING = "<think>"
CLOSING = "</think>"


def without_thoughts(pieces: Iterable[str]) -> Iterator[str]:
    """Yields the pieces without what stands between ``<think>`` and ``</think>``, and without leading blank space.

    A tag may be spread over pieces. What follows an opening tag that is never closed is thought to the end. Some
    models open no tag: a text that comes whole is cut behind its closing tag as well; in a stream what was shown
    can't be taken back.
    """
    held = ""
    is_thinking = False
    has_spoken = False
    for piece in pieces:
        held += piece
        said, held, is_thinking = _spoken(held, is_thinking=is_thinking)
        if not has_spoken:
            said = said.lstrip()
        if said:
            has_spoken = True
            yield said
    if held and not is_thinking:
        yield held if has_spoken else held.lstrip()


def _spoken(text: str, *, is_thinking: bool) -> tuple[str, str, bool]:
    """Returns what can be said now, what must be held back until more is known, and whether a thought is open."""
    said = ""
    while True:
        if is_thinking:
            _, closed, text = text.partition(CLOSING)
            if not closed:
                return said, _tail(_, CLOSING), True
            is_thinking = False
            continue
        before, closed, after = text.partition(CLOSING)
        opening = text.find(OPENING)
        if closed and (opening == -1 or len(before) < opening):
            said, text = "", after
            continue
        if opening == -1:
            tail = max(_tail(text, OPENING), _tail(text, CLOSING), key=len)
            return said + text[: len(text) - len(tail)], tail, False
        said, text, is_thinking = said + text[:opening], text[opening + len(OPENING) :], True


def _tail(text: str, tag: str) -> str:
    """Returns the end of the text that may be the beginning of the tag."""
    return next(
        (text[-size:] for size in range(min(len(text), len(tag) - 1), 0, -1) if tag.startswith(text[-size:])), ""
    )
