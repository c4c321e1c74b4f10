"""The forgetter: what goes with a page or a fact, and its deletion for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.errors import NotFoundError
from memoryos.identifiers import new_id
from memoryos.model import Knowledge, Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from memoryos.retrieval.working_sets import WorkingSets
    from memoryos.storage.closure import Closure
    from memoryos.storage.store import Store

__all__ = ["CORRECTION", "Forgetter", "Forgotten"]

CORRECTION = Origin("user", "correction")
"""Origin of a fact that the user put right."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A receipt: what was forgotten, or would be, by its ids and without its content.

    Attributes:
        at: When.
        dry_run: Whether nothing was changed.
        page_ids: Pages, oldest first.
        answer_page_ids: Pages whose answer was based on forgotten ones: the answer went, the question stays.
        echo_page_ids: Pages that repeat a sentence of forgotten ones word for word. They stay; forget them too if they
            should not.
        knowledge_ids: Facts, those of history too.
        attributes: Names of attributes of the profile, of all its versions.
        traits: Names of traits, of all its versions.
        segments: Segments whose summaries went; what remains of their pages is consolidated again.
        pages_due: Pages that are consolidated again.
        pages_reopened: Pages that are learned from again, because they supported something that went.
        erased: Whether no byte of it is left in the files. False while another process reads an old state or a rebuild
            has a copy: call ``forget`` again.
    """

    at: datetime
    dry_run: bool
    page_ids: tuple[str, ...]
    answer_page_ids: tuple[str, ...]
    echo_page_ids: tuple[str, ...]
    knowledge_ids: tuple[str, ...]
    attributes: tuple[str, ...]
    traits: tuple[str, ...]
    segments: int
    pages_due: int
    pages_reopened: int
    erased: bool


class Forgetter:
    """Forgets and corrects, in one scope at a time.

    Args:
        store: Where everything is kept.
        working_sets: The searchable copies, which forget at once.
        clock: Returns now (aware, UTC).
    """

    def __init__(self, store: Store, working_sets: WorkingSets, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._working_sets = working_sets
        self._clock = clock

    def forget(
        self, scope_id: str, page_ids: Sequence[str], knowledge_ids: Sequence[str], *, dry_run: bool
    ) -> Forgotten:
        """Forgets pages and facts by their ids, with all that was derived from them.

        Raises:
            NotFoundError: If an id is not in this scope and was not forgotten before; nothing was changed.
        """
        self._check(scope_id, page_ids, knowledge_ids)
        if dry_run:
            closure = self._store.forgetting.closure(scope_id, page_ids, knowledge_ids)
            return self._receipt(closure, dry_run=True, erased=False)
        closure = self._store.forgetting.forget(scope_id, page_ids, knowledge_ids, self._clock())
        return self._erased(scope_id, closure)

    def forget_before(self, scope_id: str, moment: datetime, *, dry_run: bool) -> Forgotten:
        """Forgets every page from before a moment."""
        page_ids = self._store.log.ids_before(scope_id, moment)
        return self.forget(scope_id, page_ids, (), dry_run=dry_run)

    def forget_everything(self, scope_id: str, *, dry_run: bool) -> Forgotten:
        """Forgets whatever was remembered here."""
        if dry_run:
            page_ids = [page.page_id for page in self._store.log.after(scope_id)]
            known = [entry.knowledge_id for entry in self._store.long_term.knowledge(scope_id, history=True)]
            return self.forget(scope_id, page_ids, known, dry_run=True)
        return self._erased(scope_id, self._store.forgetting.forget_everything(scope_id, self._clock()))

    def correct(self, scope_id: str, knowledge_id: str, text: str) -> Knowledge:
        """Puts a fact right: the new one supersedes it, and the old wording is not learned again.

        Attributes that say the same as the old fact, from the same pages, go; the pages are learned from again.

        Raises:
            NotFoundError: If there is no such current fact.
        """
        current = {entry.knowledge_id: entry for entry in self._store.long_term.knowledge(scope_id)}
        wrong = current.get(knowledge_id)
        if wrong is None:
            raise NotFoundError(f"no current knowledge {knowledge_id}")
        now = self._clock()
        right = Knowledge(
            new_id(), wrong.about, text.strip(), now, wrong.valid_from, None, None, wrong.source_page_ids, CORRECTION
        )
        self._store.long_term.correct(scope_id, wrong, right, now)
        return right

    def _check(self, scope_id: str, page_ids: Sequence[str], knowledge_ids: Sequence[str]) -> None:
        there = {page.page_id for page in self._store.log.by_id(scope_id, page_ids)}
        missing = [page_id for page_id in page_ids if page_id not in there]
        if missing:
            gone = self._store.forgetting.forgotten_pages(scope_id)
            missing = [page_id for page_id in missing if page_id not in gone]
        if knowledge_ids:
            known = {entry.knowledge_id for entry in self._store.long_term.knowledge(scope_id, history=True)}
            missing += [each for each in knowledge_ids if each not in known]
        if missing:
            raise NotFoundError(f"{missing[0]} is not in this memory; nothing was forgotten")

    def _erased(self, scope_id: str, closure: Closure) -> Forgotten:
        self._working_sets.drop(scope_id)
        return self._receipt(closure, dry_run=False, erased=self._store.erase(scope_id))

    def _receipt(self, closure: Closure, *, dry_run: bool, erased: bool) -> Forgotten:
        return Forgotten(
            at=self._clock(),
            dry_run=dry_run,
            page_ids=closure.page_ids,
            answer_page_ids=closure.answer_page_ids,
            echo_page_ids=closure.echo_page_ids,
            knowledge_ids=tuple(sorted(closure.knowledge_ids)),
            attributes=tuple(sorted(closure.attributes)),
            traits=tuple(sorted(dimension for _, dimension in closure.traits)),
            segments=len(closure.segment_ids | closure.blank_segment_ids),
            pages_due=len(closure.due_page_ids),
            pages_reopened=len(closure.reopened_page_ids),
            erased=erased,
        )
