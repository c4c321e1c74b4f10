"""Searches the pages of a scope for a literal text, newest pages first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.model import SIDES

if TYPE_CHECKING:
    from memoryos.model import Page
    from memoryos.storage.page_log import PageLog

__all__ = ["search_text"]

MAX_PAGES_READ = 5_000
"""Maximum number of pages that one call reads."""
PAGES_PER_READ = 500


def search_text(
    log: PageLog, scope_id: str, text: str, count: int, *, before_seq: int | None = None
) -> tuple[list[Page], int | None]:
    """Finds pages that contain a literal text, newest first. The search is not case-sensitive.

    Args:
        log: The page log.
        scope_id: Id of the scope.
        text: The text to find in the user's or the assistant's text.
        count: Maximum number of pages to return.
        before_seq: Searches only pages before this log position; None for all pages.

    Returns:
        The pages found, and the value of ``before_seq`` for the next call. This value is None if all pages were
        searched. One call reads at most ``MAX_PAGES_READ`` pages, so it may find nothing although older pages contain
        the text.
    """
    found: list[Page] = []
    folded, pages_read = text.casefold(), 0
    while pages_read < MAX_PAGES_READ:
        pages = log.newest_before(scope_id, before_seq, PAGES_PER_READ)
        for page in pages:
            before_seq = page.seq
            if any(folded in page.text(side).casefold() for side in SIDES):
                found.append(page)
                if len(found) == count:
                    return found, before_seq
        pages_read += len(pages)
        if len(pages) < PAGES_PER_READ:
            return found, None
    return found, before_seq
