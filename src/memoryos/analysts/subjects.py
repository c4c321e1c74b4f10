"""Determines whom a fact or trait describes: "user", "assistant" or the name of another person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.model import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memoryos.model import Page, Side
    from memoryos.seams import Batch, Material

__all__ = ["SubjectNames", "subject_of"]


def subject_of(source: Batch | Material, page: Page, side: Side) -> str:
    """Returns the subject of what a speaker states about themselves, by the rule of ``Batch.subject``."""
    name = page.user_name if side == "user" else page.assistant_name
    main = source.user_name if side == "user" else source.assistant_name
    return side if name is None or main is None or name.casefold() == main.casefold() else name


class SubjectNames:
    """Finds the subjects that a reply of an LLM names.

    Args:
        source: The pages, and the names of the main user and assistant.
    """

    def __init__(self, source: Batch | Material) -> None:
        self._source = source
        self._sides: dict[str, Side] = {}
        for side, name in zip(SIDES, (source.user_name, source.assistant_name), strict=True):
            self._sides[side] = side
            if name is not None:
                self._sides[name.casefold()] = side
        for page in source.pages:
            for side in page.speaking():
                if subject_of(source, page, side) == side:
                    self._sides.setdefault(page.speaker(side).casefold(), side)

    def find(self, name: str, pages: Iterable[Page]) -> str:
        """Returns the subject that a name in a reply means.

        "user" means the user's side of the pages. It is another person if the user has another name in all of them.

        Args:
            name: "user", "assistant" or a name.
            pages: The source pages of the fact or trait.
        """
        side = self._sides.get(name.casefold())
        if side is None or name.casefold() != side:
            return side or name
        speakers = {subject_of(self._source, page, side) for page in pages}
        return speakers.pop() if len(speakers) == 1 else side
