"""Citing: an LLM ends its answer with the numbers of the pages that it is based on; they are read and taken out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from memoryos.retrieval.recall import Recall

__all__ = ["CitationReader"]

TAG = "<sources"
_SOURCES = re.compile(r"\s*<sources\s*>([^<]*)(?:</?\s*sources\s*/?\s*>)?\s*", re.IGNORECASE)


class CitationReader:
    """Passes an answer on without its tag of sources and remembers the numbers.

    Args:
        recall: Whose pages were numbered in the prompt, from 1, as ``Recall.numbered_pages`` has them.
    """

    def __init__(self, recall: Recall) -> None:
        self._recall = recall
        self._numbers: list[int] = []
        self._has_cited = False

    def read(self, pieces: Iterable[str]) -> Iterator[str]:
        """Yields the text piece by piece; what may be the tag is held back until that is certain."""
        held = ""
        for piece in pieces:
            held += piece
            safe = _safe_length(held)
            if safe:
                yield held[:safe]
                held = held[safe:]
        rest = _SOURCES.sub(self._note, held)
        if rest:
            yield rest

    def page_ids(self) -> tuple[str, ...]:
        """Returns the pages that the answer names, in its order; all that it was shown, best first, if it names none."""
        shown = self._recall.numbered_pages()
        if self._has_cited:
            cited = [shown[number - 1].page_id for number in self._numbers if 1 <= number <= len(shown)]
            return tuple(dict.fromkeys(cited))
        return tuple(each.page.page_id for each in self._recall.pages)

    def _note(self, match: re.Match[str]) -> str:
        self._has_cited = True
        self._numbers += [int(number) for number in re.findall(r"\d{1,4}", match.group(1))]
        return ""


def _safe_length(text: str) -> int:
    """Returns how much of the text can't be part of the tag or of the blank space in front of it."""
    lowered = text.lower()
    at = lowered.find(TAG)
    if at == -1:
        at = next((len(text) - size for size in range(len(TAG) - 1, 0, -1) if lowered.endswith(TAG[:size])), len(text))
    return len(text[:at].rstrip())
