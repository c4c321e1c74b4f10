"""Forgets pages and facts with all data derived from them, and corrects facts."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from memoryos.errors import NotFoundError, StoreConflictError
from memoryos.identifiers import new_id
from memoryos.model import CORRECTION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from memoryos.model import Knowledge
    from memoryos.retrieval.working_sets import WorkingSets
    from memoryos.storage.closure_graph import Closure
    from memoryos.storage.lease import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.leases import Leases
    from memoryos.updating.store_maintenance import Maintenance

__all__ = ["Forgetter", "Forgotten"]

REMAINS = (
    "Copies of facts about the assistant that were shared with other users are kept.",
    "The ids of the user and of the assistant and the token usage of models are kept.",
    "Earlier backups and exports still contain the forgotten data.",
)
REMAINS_ON_A_SERVER = "The database server's write-ahead log, standbys and backups keep deleted rows until they expire."
ERASING_IS_DUE = (
    "Deleted bytes are still in the database files; they are erased in the background or when the store is next opened."
)
MAX_VALUE_WORDS = 4
"""A correction of at most this many words is the new value of the slot that the wrong fact fills."""
MAX_RETRIES = 10
"""Maximum number of retries of a deletion that conflicts with other changes of the scope."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Receipt of a deletion: ids and counts of the forgotten data, without its content.

    Attributes:
        at: Time of the deletion.
        dry_run: Whether nothing was changed. The other attributes then describe what would be forgotten.
        page_ids: Ids of the forgotten pages, oldest first.
        answer_page_ids: Ids of other pages whose answer was based on forgotten pages: either a forgotten page is
            recorded as a source of the answer, or the answer repeats text of a forgotten page. The answer is deleted,
            and the question is kept.
        echo_page_ids: Ids of other pages that repeat a sentence or a code of forgotten pages. They are kept; use a
            second call to forget them.
        knowledge_ids: Ids of the forgotten facts, including superseded ones.
        attributes: Names of profile attributes that were forgotten in all profile versions.
        traits: Names of traits that were forgotten in all profile versions.
        segments: Number of segments that lost pages and their summaries.
        pages_due: Number of pages that will be read again, because the analyst read them together with forgotten pages.
            All facts from these readings are deleted, also those that do not depend on forgotten pages.
        pages_reopened: Number of pages from which traits will be inferred again, because forgotten traits were based on
            them too.
        erased: Whether the deleted bytes are already erased from the database files. False in a dry run. Also False if
            the erasure runs in the background, if another process reads an older snapshot, or if a rebuild uses a
            temporary copy; the erasure is then performed later. Always False on PostgreSQL.
        remains: Sentences for the user. Each names data that still exist after the deletion, such as backups.
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
    """Forgets and corrects data; each call changes one scope.

    Args:
        store: The store.
        working_sets: Searchable copies of scopes in memory; the scope's copy is dropped after a deletion.
        leases: Supplies the lease on the scope, which prevents workers from using pages while they are deleted.
        maintenance: Erases deleted bytes from the database files in the background.
        clock: Returns the current time (aware, UTC).
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
        """Forgets pages and facts by their ids, with all data derived from them.

        Args:
            scope_id: Id of the scope.
            page_ids: Ids of the pages.
            knowledge_ids: Ids of the facts.
            dry_run: Whether only to return the receipt, without deleting anything.
            erase: Whether to wait until the deleted bytes are erased from the database files. False erases them in the
                background. None waits only if the erasure is fast on this database.

        Raises:
            NotFoundError: If an id is not in this scope and was not forgotten earlier; nothing was changed.
            StoreConflictError: If all attempts conflicted with other changes; nothing was changed.
        """
        self._check(scope_id, page_ids, knowledge_ids)
        return self._forget_known(scope_id, page_ids, knowledge_ids, dry_run=dry_run, erase=erase)

    def forget_before(self, scope_id: str, moment: datetime, *, dry_run: bool, erase: bool | None) -> Forgotten:
        """Forgets all pages older than the time ``moment``.

        Arguments, result and errors are those of ``forget``.
        """
        page_ids = self._store.log.ids_before(scope_id, moment)
        return self._forget_known(scope_id, page_ids, (), dry_run=dry_run, erase=erase)

    def forget_everything(self, scope_id: str, *, dry_run: bool, erase: bool | None) -> Forgotten:
        """Forgets all pages, segments, facts and profiles of a scope.

        Arguments, result and errors are those of ``forget``.
        """
        forgetting = self._store.forgetting
        if dry_run:
            return self._receipt(forgetting.closure(scope_id, *forgetting.contents(scope_id)), dry_run=True)
        closure = self._leased(
            scope_id, lambda lease: forgetting.forget_everything(scope_id, self._clock(), lease=lease)
        )
        return self._finish(scope_id, closure, erase=erase)

    def _forget_known(
        self, scope_id: str, page_ids: Sequence[str], knowledge_ids: Sequence[str], *, dry_run: bool, erase: bool | None
    ) -> Forgotten:
        forgetting = self._store.forgetting
        if dry_run:
            return self._receipt(forgetting.closure(scope_id, page_ids, knowledge_ids), dry_run=True)
        closure = self._leased(
            scope_id, lambda lease: forgetting.forget(scope_id, page_ids, knowledge_ids, self._clock(), lease=lease)
        )
        return self._finish(scope_id, closure, erase=erase)

    def _leased(self, scope_id: str, forget: Callable[[Lease], Closure]) -> Closure:
        """Runs a deletion under the scope's lease, and retries it after conflicts.

        The first attempt takes the lease from its holder. Further attempts wait for the lease.
        """
        with contextlib.suppress(StoreConflictError), self._leases.seize(scope_id) as lease:
            return forget(lease)
        for _ in range(MAX_RETRIES):
            with contextlib.suppress(StoreConflictError), self._leases.acquire(scope_id) as lease:
                return forget(lease)
        raise StoreConflictError(
            f"nothing was forgotten, because {MAX_RETRIES + 1} attempts conflicted with other changes; try again"
        )

    def correct(self, scope_id: str, knowledge_id: str, text: str) -> Knowledge:
        """Corrects a fact: stores a new fact that supersedes it, and never learns the old text again.

        Attributes that repeat the old fact and have a source page in common with it are replaced too.

        Raises:
            NotFoundError: If the scope has no current fact with this id.
        """
        now = self._clock()
        current = {entry.knowledge_id: entry for entry in self._store.long_term.knowledge(scope_id, now)}
        wrong = current.get(knowledge_id)
        if wrong is None:
            raise NotFoundError(
                f"no current fact has the knowledge_id {knowledge_id!r}; use an id from the list of current facts"
            )
        text = text.strip()
        value = _corrected_value(wrong, text)
        slot = None if value is None else wrong.slot
        right = replace(
            wrong,
            knowledge_id=new_id(),
            text=text,
            slot=slot,
            value=value,
            recorded_at=now,
            stated_at=now,
            valid_from=wrong.valid_from if wrong.slot is None else None,
            conflicts_with=(),
            origin=CORRECTION,
            reading_id=None,
        )
        return self._store.long_term.correct(scope_id, wrong.knowledge_id, right, now)

    def _check(self, scope_id: str, page_ids: Sequence[str], knowledge_ids: Sequence[str]) -> None:
        stored = self._store.log.existing_ids(scope_id, page_ids)
        missing = [page_id for page_id in page_ids if page_id not in stored]
        if missing:
            forgotten = self._store.forgetting.forgotten_pages(scope_id)
            missing = [page_id for page_id in missing if page_id not in forgotten]
        if knowledge_ids:
            known = {entry.knowledge_id for entry in self._store.long_term.facts(scope_id)}
            missing += [each for each in knowledge_ids if each not in known]
        if missing:
            raise NotFoundError(f"the id {missing[0]!r} is not in this memory, so nothing was forgotten; check the id")

    def _finish(self, scope_id: str, closure: Closure, *, erase: bool | None) -> Forgotten:
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
            segments=len(closure.segment_ids),
            pages_due=len(closure.due_page_ids),
            pages_reopened=len(closure.unprofiled_page_ids),
            erased=erased,
            remains=(*remains, ERASING_IS_DUE) if is_due else remains,
        )


def _corrected_value(wrong: Knowledge, text: str) -> str | None:
    """Returns the value that a correction gives to the slot of a wrong fact; None without one.

    A text in the words of the wrong fact contains the value where that fact contains it. Any other short text is the
    value.
    """
    if wrong.slot is None or wrong.value is None:
        return None
    before, found, after = wrong.text.partition(wrong.value)
    is_in_same_words = bool(found) and text.startswith(before) and text.endswith(after)
    value = text[len(before) : len(text) - len(after)].strip(" .。!！") if is_in_same_words else ""
    if value:
        return value
    return text.strip(" .。!！") if len(text.split()) <= MAX_VALUE_WORDS else None
