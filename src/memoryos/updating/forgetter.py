"""The forgetter: what goes with a page or a fact, and its deletion for good."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.errors import NotFoundError, StoreConflictError
from memoryos.identifiers import new_id
from memoryos.model import Knowledge, Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from memoryos.retrieval.working_sets import WorkingSets
    from memoryos.storage.closure import Closure
    from memoryos.storage.scopes import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.leases import Leases
    from memoryos.updating.store_maintenance import Maintenance

__all__ = ["CORRECTION", "Forgetter", "Forgotten"]

CORRECTION = Origin("user", "correction")
"""Origin of a fact that the user put right."""


REMAINS = (
    "Facts about the assistant that were shared with other users stay there.",
    "The ids of the user and of the assistant, and what models cost, stay in the store.",
    "Backups and exports from before still contain everything.",
)
REMAINS_ON_A_SERVER = "The database server's own log, standbys and backups keep deleted rows until these age out."
ERASING_IS_DUE = "Deleted bytes are still in the files; they are erased in the background or at the next opening."
MOST_TRIES = 10
"""How often forgetting begins again because somebody else changed the same memory meanwhile."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A receipt: what was forgotten, or would be, by its ids and without its content.

    Attributes:
        at: When.
        dry_run: Whether nothing was changed.
        page_ids: Pages, oldest first.
        answer_page_ids: Pages whose answer was based on forgotten ones, as recorded or as its words show: the answer
            went, the question stays.
        echo_page_ids: Pages that repeat a sentence or a code of forgotten ones. They stay; forget them too if they
            should not.
        knowledge_ids: Facts, those of history too.
        attributes: Names of attributes of the profile, of all its versions.
        traits: Names of traits, of all its versions.
        segments: Segments whose summaries went; what remains of their pages is consolidated again.
        pages_due: Pages that are consolidated again.
        pages_reopened: Pages that are learned from again, because they supported something that went.
        erased: Whether no byte of it is left in the files. False in a dry run, while another process reads an old state
            or a rebuild has a copy, and where the erasing was left to the background; it is noted as due, and done as
            soon as possible. On PostgreSQL always False.
        remains: What forgetting does not reach, in sentences for people.
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
    remains: tuple[str, ...] = REMAINS


class Forgetter:
    """Forgets and corrects, in one scope at a time.

    Args:
        store: Where everything is kept.
        working_sets: The searchable copies, which forget at once.
        leases: Keep workers from deriving anything while a scope is searched and deleted from.
        maintenance: Erases later what is not erased at once.
        clock: Returns now (aware, UTC).
    """

    def __init__(
        self,
        store: Store,
        working_sets: WorkingSets,
        leases: Leases,
        maintenance: Maintenance,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._working_sets = working_sets
        self._leases = leases
        self._maintenance = maintenance
        self._clock = clock

    def forget(
        self, scope_id: str, page_ids: Sequence[str], knowledge_ids: Sequence[str], *, dry_run: bool, erase: bool | None
    ) -> Forgotten:
        """Forgets pages and facts by their ids, with all that was derived from them.

        Args:
            scope_id: The scope.
            page_ids: Pages.
            knowledge_ids: Facts.
            dry_run: Whether only to say what would go.
            erase: Whether to return when the bytes are erased; False leaves that to the maintenance. None waits only
                where it is quick.

        Raises:
            NotFoundError: If an id is not in this scope and was not forgotten before; nothing was changed.
            StoreConflictError: If others changed the same memory again and again; nothing was changed.
        """
        self._check(scope_id, page_ids, knowledge_ids)
        return self._forget_known(scope_id, page_ids, knowledge_ids, dry_run=dry_run, erase=erase)

    def forget_before(self, scope_id: str, moment: datetime, *, dry_run: bool, erase: bool | None) -> Forgotten:
        """Forgets every page from before a moment."""
        page_ids = self._store.log.ids_before(scope_id, moment)
        return self._forget_known(scope_id, page_ids, (), dry_run=dry_run, erase=erase)

    def forget_everything(self, scope_id: str, *, dry_run: bool, erase: bool | None) -> Forgotten:
        """Forgets whatever was remembered here."""
        forgetting = self._store.forgetting
        if dry_run:
            return self._receipt(forgetting.closure(scope_id, *forgetting.contents(scope_id)), dry_run=True)
        closure = self._leased(
            scope_id, lambda lease: forgetting.forget_everything(scope_id, self._clock(), lease=lease)
        )
        return self._done(scope_id, closure, erase=erase)

    def _forget_known(
        self, scope_id: str, page_ids: Sequence[str], knowledge_ids: Sequence[str], *, dry_run: bool, erase: bool | None
    ) -> Forgotten:
        forgetting = self._store.forgetting
        if dry_run:
            return self._receipt(forgetting.closure(scope_id, page_ids, knowledge_ids), dry_run=True)
        closure = self._leased(
            scope_id, lambda lease: forgetting.forget(scope_id, page_ids, knowledge_ids, self._clock(), lease=lease)
        )
        return self._done(scope_id, closure, erase=erase)

    def _leased(self, scope_id: str, forget: Callable[[Lease], Closure]) -> Closure:
        """Forgets under the lease of the scope, which is taken from a worker, but waited for where others forget."""
        with contextlib.suppress(StoreConflictError), self._leases.seize(scope_id) as lease:
            return forget(lease)
        for _ in range(MOST_TRIES):
            with contextlib.suppress(StoreConflictError), self._leases.acquire(scope_id) as lease:
                return forget(lease)
        raise StoreConflictError("others changed this memory again and again; nothing was forgotten, try again")

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
        there = self._store.log.known_ids(scope_id, page_ids)
        missing = [page_id for page_id in page_ids if page_id not in there]
        if missing:
            gone = self._store.forgetting.forgotten_pages(scope_id)
            missing = [page_id for page_id in missing if page_id not in gone]
        if knowledge_ids:
            known = {entry.knowledge_id for entry in self._store.long_term.knowledge(scope_id, history=True)}
            missing += [each for each in knowledge_ids if each not in known]
        if missing:
            raise NotFoundError(f"{missing[0]} is not in this memory; nothing was forgotten")

    def _done(self, scope_id: str, closure: Closure, *, erase: bool | None) -> Forgotten:
        self._working_sets.drop(scope_id)
        if self._store.erasures.is_quick if erase is None else erase:
            is_erased = self._store.erase(scope_id)
            is_due = not is_erased and self._store.erasures.due_since() is not None
        else:
            is_erased, is_due = False, True
        if is_due:
            self._maintenance.schedule()
        return self._receipt(closure, dry_run=False, erased=is_erased, is_due=is_due)

    def _receipt(self, closure: Closure, *, dry_run: bool, erased: bool = False, is_due: bool = False) -> Forgotten:
        remains = REMAINS if self._store.erasures.is_complete else (*REMAINS, REMAINS_ON_A_SERVER)
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
            remains=(*remains, ERASING_IS_DUE) if is_due else remains,
        )
