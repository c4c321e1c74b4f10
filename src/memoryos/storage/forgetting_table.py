"""Forgetting: deletes pages and all data derived from them, in short transactions.

Short transactions let other writers work in between.

1. The first transaction stores a plan: the ids to delete. It also records that an erasure of the deleted bytes is due.
2. Further transactions execute the plan in batches: first the derived data, then the pages. A batch can be repeated
   without harm.
3. The last transaction deletes the plan.

After a crash the plan still exists, and the next worker of the scope or the next process that opens the store completes
it. Other readers may see some of the deleted data until ``forget`` returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import StoreConflictError
from memoryos.identifiers import new_id
from memoryos.storage.closure import search
from memoryos.storage.deletion import Deletion
from memoryos.storage.erasures import note_erasure
from memoryos.storage.fact_rows import read_facts
from memoryos.storage.lease import Lease, advance, revoke_lease
from memoryos.storage.schema import facts, forgettings, pages, scopes
from memoryos.storage.tombstones import Marks, read_marks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from memoryos.storage.closure_graph import Closure
    from memoryos.storage.database import Database

__all__ = ["ForgettingTable"]


class ForgettingTable:
    """Permanently deletes pages and facts, with everything derived from them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def closure(self, scope_id: str, page_ids: Iterable[str], knowledge_ids: Iterable[str] = ()) -> Closure:
        """Returns everything that ``forget`` would change if these pages and facts were deleted. Writes nothing."""
        with self._database.read(scope_id) as connection:
            return search(connection, scope_id, page_ids, knowledge_ids).closure

    def forget(
        self,
        scope_id: str,
        page_ids: Iterable[str],
        knowledge_ids: Iterable[str],
        now: datetime,
        *,
        lease: Lease | None = None,
        by_words: bool = True,
        keeps_archived: bool = False,
    ) -> Closure:
        """Deletes pages and facts, with everything derived from them.

        Args:
            scope_id: Id of the scope.
            page_ids: Ids of the pages to delete; unknown ids are ignored.
            knowledge_ids: Ids of the facts to delete; unknown ids are ignored.
            now: Time of the deletion.
            lease: The caller's lease on the scope. With this lease, no other worker changes the scope while this method
                searches for derived data. If None, this method revokes any lease on the scope, and fails if the scope
                changes during the search.
            by_words: See ``closure.search``.
            keeps_archived: See ``closure.search``. Such a deletion is an expiry: the same facts may be extracted again
                when they are stated again.

        Raises:
            StoreConflictError: If another worker took the lease or changed the scope before the deletion started;
                nothing was deleted.
        """
        selected = (page_ids, knowledge_ids)
        return self._forget(
            scope_id, selected, now, lease, by_words=by_words, keeps_archived=keeps_archived, everything=False
        )

    def forget_everything(self, scope_id: str, now: datetime, *, lease: Lease | None = None) -> Closure:
        """Deletes all memories of a scope. Keeps the ids of user and assistant, and the costs of model calls.

        Raises:
            StoreConflictError: As for ``forget``.
        """
        contents = self.contents(scope_id)
        return self._forget(scope_id, contents, now, lease, by_words=False, keeps_archived=False, everything=True)

    def contents(self, scope_id: str) -> tuple[list[str], list[str]]:
        """Returns the ids of all pages and the ids of all facts of a scope.

        Facts that are not current are included.
        """
        with self._database.read(scope_id) as connection:
            all_pages = sa.select(pages.c.page_id).where(pages.c.scope_id == scope_id)
            entries = sa.select(facts.c.fact_id).where(facts.c.scope_id == scope_id)
            return [*connection.execute(all_pages).scalars()], [*connection.execute(entries).scalars()]

    def unfinished(self) -> list[str]:
        """Returns the ids of the scopes with a deletion that is not complete."""
        with self._database.read() as connection:
            return [*connection.execute(sa.select(forgettings.c.scope_id).distinct()).scalars()]

    def complete(self, scope_id: str) -> bool:
        """Completes the interrupted deletions of a scope; returns whether there were any.

        The caller must hold the lease on the scope.
        """
        statement = sa.select(forgettings).where(forgettings.c.scope_id == scope_id)
        with self._database.read(scope_id) as connection:
            plans = connection.execute(statement.order_by(forgettings.c.forgetting_id)).all()
        for row in plans:
            plan = self._with_migrated_facts(scope_id, row.plan)
            Deletion(self._database, scope_id, row.forgetting_id, plan, row.begun_at).run()
        return bool(plans)

    def _with_migrated_facts(self, scope_id: str, plan: Mapping[str, Any]) -> Mapping[str, Any]:
        """Adds the facts that a migration made from attributes after an earlier release began the deletion."""
        if "rederived_fact_ids" in plan:
            return plan
        page_ids = frozenset((*plan["page_ids"], *plan["answer_page_ids"]))
        with self._database.read(scope_id) as connection:
            found = [
                each.knowledge_id
                for each in read_facts(connection, scope_id)
                if not page_ids.isdisjoint(each.source_page_ids)
            ]
        return dict(plan) | {"knowledge_ids": [*dict.fromkeys((*plan["knowledge_ids"], *found))]}

    def refusals(self, scope_id: str) -> Marks:
        """Returns the tombstones of texts that must not be learned again.

        A tombstone is a keyed hash of a text. The operator ``in`` tests whether the result contains a text.
        """
        with self._database.read(scope_id) as connection:
            return read_marks(connection, scope_id, "text")

    def forgotten_pages(self, scope_id: str) -> Marks:
        """Returns the tombstones of forgotten pages.

        A tombstone is a keyed hash of a page id. The operator ``in`` tests whether the result contains a page id.
        """
        with self._database.read(scope_id) as connection:
            return read_marks(connection, scope_id, "page")

    def _forget(
        self,
        scope_id: str,
        selected: tuple[Iterable[str], Iterable[str]],
        now: datetime,
        lease: Lease | None,
        *,
        by_words: bool,
        keeps_archived: bool,
        everything: bool,
    ) -> Closure:
        self.complete(scope_id)
        with self._database.read(scope_id) as connection:
            revision = _revision(connection, scope_id)
            found = search(connection, scope_id, *selected, by_words=by_words, keeps_archived=keeps_archived)
        forgetting_id = new_id()
        with self._database.write(scope_id) as connection:
            if lease is not None:
                advance(connection, lease)
            elif _revision(connection, scope_id) != revision:
                raise StoreConflictError(
                    "nothing was forgotten, because the memory changed during the search for related data; try again"
                )
            else:
                revoke_lease(connection, scope_id)
            closure = found.extended(connection)
            plan = _plan(closure, everything=everything) | {"is_expiry": keeps_archived}
            values = {"scope_id": scope_id, "forgetting_id": forgetting_id, "plan": plan, "begun_at": now}
            connection.execute(sa.insert(forgettings).values(**values))
            note_erasure(connection, forgetting_id, now)
        Deletion(self._database, scope_id, forgetting_id, plan, now).run()
        return closure


def _revision(connection: sa.Connection, scope_id: str) -> int | None:
    return connection.execute(sa.select(scopes.c.revision).where(scopes.c.scope_id == scope_id)).scalar_one_or_none()


def _plan(closure: Closure, *, everything: bool) -> dict[str, Any]:
    return {
        "everything": everything,
        "is_profile_changed": bool(closure.attributes or closure.traits),
        "page_ids": closure.page_ids,
        "answer_page_ids": closure.answer_page_ids,
        "knowledge_ids": sorted(closure.knowledge_ids),
        "rederived_fact_ids": sorted(closure.rederived_fact_ids),
        "unprofiled_page_ids": sorted(closure.unprofiled_page_ids),
        "reading_ids": sorted(closure.reading_ids),
        "segment_ids": sorted(closure.segment_ids),
        "due_page_ids": sorted(closure.due_page_ids),
        "chain_ids": sorted(closure.chain_ids),
        "blank_chain_ids": sorted(closure.blank_chain_ids),
    }
