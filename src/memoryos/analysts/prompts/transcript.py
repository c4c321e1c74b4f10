"""Pages as an analyst's prompt shows them: numbered from 1, with their dates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.language.fence import indented, speaker_label
from memoryos.language.text import excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from memoryos.model import Page

__all__ = ["said_lines", "transcript"]


def transcript(pages: Sequence[Page], limit: int) -> list[str]:
    """Returns a line an utterance, the first of each page behind the page's number, under its date.

    An utterance of more than ``limit`` characters stands as an excerpt with a mark of what was left out; its further
    lines are indented, so that only ours begin with the number of a page, a date or a speaker.
    """
    lines: list[str] = []
    day: date | None = None
    for number, page in enumerate(pages, 1):
        if page.day != day:
            day = page.day
            lines.append(f"[{day.isoformat()}]")
        said = said_lines(page, limit)
        lines += [f"{number}. {said[0]}", *said[1:]] if said else [f"{number}."]
    return lines


def said_lines(page: Page, limit: int) -> list[str]:
    """Returns a line an utterance of a page, without its number."""
    return [
        f"{speaker_label(page.speaker(side))}: {indented(excerpt(page.text(side), limit))}" for side in page.speaking()
    ]
