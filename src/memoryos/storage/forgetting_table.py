"""Forgetting: deletes a closure in short transactions, so that no other writer waits long.

The first transaction commits a plan, which lists what goes by ids, and that an erasure is due. The deletion follows the
plan slice by slice and removes derived content before the pages it came from; the last slice removes the plan. Each
slice may be repeated. So after a crash the plan is still there, and whoever works on the scope next, or opens the
store, completes it. Readers see single slices until ``forget`` returns, and nothing of the closure afterwards.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from memoryos.errors import StoreConflictError
from memoryos.identifiers import new_id
from memoryos.model import SIDES
from memoryos.storage.closure import Closure, search
from memoryos.storage.erasures import note_erasure
from memoryos.storage.idempotency import drop_request_hashes
from memoryos.storage.lease import Lease, advance, invalidate_working_sets, revoke_lease
from memoryos.storage.schema import chains, forgettings, knowledge, pages, profiles, scopes, segments, vectors
from memoryos.storage.tombstones import Marks, note_tombstones, read_marks, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = ["ForgettingTable", "mark_unlearned"]

SLICE_ROWS = 500
"""Rows that one transaction deletes: about 30 ms on SQLite with the vectors of their pages."""
PAUSE_SECONDS = 0.005
"""Between two transactions, in which writers that wait take their turn; they look every half millisecond."""
_SLICE_SEGMENTS = 50
_NO_PLACE = {"segment_id": None, "chain_id": None, "placed_provisionally": False}
Item = TypeVar("Item", str, int)


class ForgettingTable:
    """Deletes for good."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def closure(self, scope_id: str, page_ids: Iterable[str], knowledge_ids: Iterable[str] = ()) -> Closure:
        """Returns what would go with these pages and entries; nothing is changed."""
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
    ) -> Closure:
        """Deletes these pages and entries with everything that was derived from them.

        Args:
            scope_id: The scope.
            page_ids: Pages; unknown ones are left out.
            knowledge_ids: Entries of long-term memory.
            now: When.
            lease: Keeps everybody else from deriving anything in the scope meanwhile. Without one the scope is taken
                from whoever holds it, and must not change while it is searched.
            by_words: As for ``closure.search``.

        Raises:
            StoreConflictError: If the lease was lost, or the scope changed, before the deletion began; nothing was
                forgotten then.
        """
        wanted = (page_ids, knowledge_ids)
        return self._forget(scope_id, wanted, now, lease, by_words=by_words, everything=False)

    def forget_everything(self, scope_id: str, now: datetime, *, lease: Lease | None = None) -> Closure:
        """Deletes whatever was remembered for a scope; the ids of user and assistant, and costs, stay.

        Raises:
            StoreConflictError: As ``forget``.
        """
        return self._forget(scope_id, self.contents(scope_id), now, lease, by_words=False, everything=True)

    def contents(self, scope_id: str) -> tuple[list[str], list[str]]:
        """Returns the ids of all pages and of all entries of long-term memory, those of history too."""
        with self._database.read(scope_id) as connection:
            all_pages = sa.select(pages.c.page_id).where(pages.c.scope_id == scope_id)
            entries = sa.select(knowledge.c.knowledge_id).where(knowledge.c.scope_id == scope_id)
            return [*connection.execute(all_pages).scalars()], [*connection.execute(entries).scalars()]

    def unfinished(self) -> list[str]:
        """Returns the ids of the scopes in which a deletion began and is not complete."""
        with self._database.read() as connection:
            return [*connection.execute(sa.select(forgettings.c.scope_id).distinct()).scalars()]

    def complete(self, scope_id: str) -> bool:
        """Completes what a process began to delete and did not finish; returns whether there was any.

        The caller holds the lease of the scope.
        """
        mine = sa.select(forgettings).where(forgettings.c.scope_id == scope_id)
        with self._database.read(scope_id) as connection:
            begun = connection.execute(mine.order_by(forgettings.c.forgetting_id)).all()
        for row in begun:
            _Deletion(self._database, scope_id, row.forgetting_id, row.plan, row.begun_at).run()
        return bool(begun)

    def refusals(self, scope_id: str) -> Marks:
        """Returns the texts that are not to be learned again."""
        with self._database.read(scope_id) as connection:
            return read_marks(connection, scope_id, "text")

    def forgotten_pages(self, scope_id: str) -> Marks:
        """Returns the ids of the pages that were forgotten, to be asked with ``in``."""
        with self._database.read(scope_id) as connection:
            return read_marks(connection, scope_id, "page")

    def _forget(
        self,
        scope_id: str,
        wanted: tuple[Iterable[str], Iterable[str]],
        now: datetime,
        lease: Lease | None,
        *,
        by_words: bool,
        everything: bool,
    ) -> Closure:
        self.complete(scope_id)
        with self._database.read(scope_id) as connection:
            revision = _revision(connection, scope_id)
            found = search(connection, scope_id, *wanted, by_words=by_words)
        forgetting_id = new_id()
        with self._database.write(scope_id) as connection:
            if lease is not None:
                advance(connection, lease)
            elif _revision(connection, scope_id) != revision:
                raise StoreConflictError("the memory changed while it was searched; nothing was forgotten, try again")
            else:
                revoke_lease(connection, scope_id)
            closure = found.extended(connection)
            plan = _plan(closure, everything=everything)
            values = {"scope_id": scope_id, "forgetting_id": forgetting_id, "plan": plan, "begun_at": now}
            connection.execute(sa.insert(forgettings).values(**values))
            note_erasure(connection, forgetting_id, now)
        _Deletion(self._database, scope_id, forgetting_id, plan, now).run()
        return closure


class _Deletion:
    """One plan, executed in slices, each of which is one transaction and may be repeated."""

    def __init__(
        self, database: Database, scope_id: str, forgetting_id: str, plan: Mapping[str, Any], begun_at: datetime
    ) -> None:
        self._database = database
        self._scope_id = scope_id
        self._forgetting_id = forgetting_id
        self._plan = plan
        self._begun_at = begun_at
        self._gone = frozenset(plan["page_ids"])

    def run(self) -> None:
        """Deletes what the plan lists, derived content first."""
        plan = self._plan
        self._slices(plan["knowledge_ids"], self._delete_knowledge)
        self._slices(plan["restored_ids"], self._restore_knowledge)
        self._slices(self._profile_versions(), self._clean_profiles)
        self._slices(plan["reopened_page_ids"], self._reopen)
        self._slices(plan["segment_ids"], self._delete_segments, _SLICE_SEGMENTS)
        self._slices(plan["blank_segment_ids"], self._blank_segments, _SLICE_SEGMENTS)
        self._slices(plan["due_page_ids"], self._displace)
        self._slices(plan["chain_ids"], self._delete_chains)
        self._slices(plan["blank_chain_ids"], self._blank_chains)
        self._slices(plan["answer_page_ids"], self._delete_answers)
        drop_request_hashes(self._database, self._scope_id, {*plan["page_ids"], *plan["answer_page_ids"]})
        self._slices(plan["page_ids"], self._delete_pages)
        self._finish()

    def _slices(
        self, ids: Sequence[Item], work: Callable[[sa.Connection, list[Item]], None], size: int = SLICE_ROWS
    ) -> None:
        for start in range(0, len(ids), size):
            with self._database.write(self._scope_id) as connection:
                work(connection, list(ids[start : start + size]))
            time.sleep(PAUSE_SECONDS)

    def _delete_knowledge(self, connection: sa.Connection, ids: list[str]) -> None:
        mine = (knowledge.c.scope_id == self._scope_id, knowledge.c.knowledge_id.in_(ids))
        texts = connection.execute(sa.select(knowledge.c.text).where(*mine)).scalars().all()
        refuse(connection, self._scope_id, texts, self._begun_at)
        self._delete_vectors(connection, ("knowledge",), ids)
        connection.execute(sa.delete(knowledge).where(*mine))

    def _restore_knowledge(self, connection: sa.Connection, ids: list[str]) -> None:
        mine = (knowledge.c.scope_id == self._scope_id, knowledge.c.knowledge_id.in_(ids))
        connection.execute(sa.update(knowledge).where(*mine).values(superseded_by=None))

    def _profile_versions(self) -> Sequence[int]:
        if not (self._plan["everything"] or self._plan["is_profile_changed"]):
            return ()
        with self._database.read(self._scope_id) as connection:
            mine = sa.select(profiles.c.version).where(profiles.c.scope_id == self._scope_id)
            return connection.execute(mine.order_by(profiles.c.version.desc())).scalars().all()

    def _clean_profiles(self, connection: sa.Connection, versions: list[int]) -> None:
        mine = (profiles.c.scope_id == self._scope_id, profiles.c.version.in_(versions))
        if self._plan["everything"]:
            connection.execute(sa.delete(profiles).where(*mine))
            return
        page_ids = self._gone.union(self._plan["answer_page_ids"])
        for row in connection.execute(sa.select(profiles.c.version, profiles.c.body).where(*mine)).all():
            body = _without(row.body, page_ids)
            if body != row.body:
                this = (profiles.c.scope_id == self._scope_id, profiles.c.version == row.version)
                connection.execute(sa.update(profiles).where(*this).values(body=body))

    def _reopen(self, connection: sa.Connection, page_ids: list[str]) -> None:
        mark_unlearned(connection, self._scope_id, page_ids, invalidate_working_sets(connection, self._scope_id))

    def _delete_segments(self, connection: sa.Connection, ids: list[str]) -> None:
        held = (pages.c.scope_id == self._scope_id, pages.c.segment_id.in_(ids))
        connection.execute(sa.update(pages).where(*held).values(**_NO_PLACE))
        mine = (segments.c.scope_id == self._scope_id, segments.c.segment_id.in_(ids))
        connection.execute(sa.delete(segments).where(*mine))

    def _displace(self, connection: sa.Connection, page_ids: list[str]) -> None:
        placed = sa.or_(pages.c.segment_id.is_not(None), pages.c.chain_id.is_not(None))
        where = (pages.c.scope_id == self._scope_id, pages.c.page_id.in_(page_ids), placed)
        connection.execute(sa.update(pages).where(*where).values(**_NO_PLACE))

    def _blank_segments(self, connection: sa.Connection, ids: list[str]) -> None:
        """Removes the words from archived segments, takes the deleted pages out and counts those that remain."""
        held = (pages.c.scope_id == self._scope_id, pages.c.segment_id.in_(ids))
        inside = connection.execute(sa.select(pages.c.page_id).where(*held)).scalars()
        for part in _parts([each for each in inside if each in self._gone]):
            self._displace(connection, part)
        counted = (pages.c.scope_id == self._scope_id, pages.c.segment_id == segments.c.segment_id)
        count = sa.select(sa.func.count()).select_from(pages).where(*counted)
        unlearned = count.where(pages.c.learned.is_(False)).scalar_subquery()
        values = {"summary": "", "keywords": [], "page_count": count.scalar_subquery(), "length": unlearned}
        mine = (segments.c.scope_id == self._scope_id, segments.c.segment_id.in_(ids))
        connection.execute(sa.update(segments).where(*mine).values(**values))
        connection.execute(sa.delete(segments).where(*mine, segments.c.page_count == 0))

    def _delete_chains(self, connection: sa.Connection, ids: list[str]) -> None:
        mine = (chains.c.scope_id == self._scope_id, chains.c.chain_id.in_(ids))
        connection.execute(sa.delete(chains).where(*mine))

    def _blank_chains(self, connection: sa.Connection, ids: list[str]) -> None:
        mine = (chains.c.scope_id == self._scope_id, chains.c.chain_id.in_(ids))
        connection.execute(sa.update(chains).where(*mine).values(summary=""))

    def _delete_answers(self, connection: sa.Connection, page_ids: list[str]) -> None:
        self._delete_vectors(connection, SIDES, page_ids)
        where = (pages.c.scope_id == self._scope_id, pages.c.page_id.in_(page_ids))
        connection.execute(sa.update(pages).where(*where).values(assistant_text="", embedded_with=None))

    def _delete_pages(self, connection: sa.Connection, page_ids: list[str]) -> None:
        note_tombstones(connection, self._scope_id, "page", page_ids, self._begun_at)
        self._delete_vectors(connection, SIDES, page_ids)
        mine = (pages.c.scope_id == self._scope_id, pages.c.page_id.in_(page_ids))
        connection.execute(sa.delete(pages).where(*mine))

    def _delete_vectors(self, connection: sa.Connection, kinds: Sequence[str], ids: list[str]) -> None:
        owned = (vectors.c.owner_kind.in_(kinds), vectors.c.owner_id.in_(ids))
        connection.execute(sa.delete(vectors).where(vectors.c.scope_id == self._scope_id, *owned))

    def _finish(self) -> None:
        """Removes the plan and makes every process read its working set anew."""
        this = (forgettings.c.scope_id == self._scope_id, forgettings.c.forgetting_id == self._forgetting_id)
        with self._database.write(self._scope_id) as connection:
            invalidate_working_sets(connection, self._scope_id)
            connection.execute(sa.delete(forgettings).where(*this))


def mark_unlearned(connection: sa.Connection, scope_id: str, page_ids: Iterable[str], revision: int) -> None:
    """Makes pages unlearned, inside the caller's transaction; their segments grow hot by them again."""
    for part in _parts(sorted(page_ids)):
        where = (pages.c.scope_id == scope_id, pages.c.page_id.in_(part), pages.c.learned.is_(True))
        placed = sa.select(pages.c.segment_id, sa.func.count()).where(*where, pages.c.segment_id.is_not(None))
        for segment_id, count in connection.execute(placed.group_by(pages.c.segment_id)).all():
            connection.execute(
                sa.update(segments)
                .where(segments.c.scope_id == scope_id, segments.c.segment_id == segment_id)
                .values(length=segments.c.length + count, revision=revision)
            )
        fresh = {"learned": False, "learned_provisionally": False}
        connection.execute(sa.update(pages).where(*where).values(**fresh))


def _revision(connection: sa.Connection, scope_id: str) -> int | None:
    return connection.execute(sa.select(scopes.c.revision).where(scopes.c.scope_id == scope_id)).scalar_one_or_none()


def _plan(closure: Closure, *, everything: bool) -> dict[str, Any]:
    return {
        "everything": everything,
        "is_profile_changed": bool(closure.attributes or closure.traits),
        "page_ids": closure.page_ids,
        "answer_page_ids": closure.answer_page_ids,
        "knowledge_ids": sorted(closure.knowledge_ids),
        "restored_ids": sorted(closure.restored_ids),
        "reopened_page_ids": sorted(closure.reopened_page_ids),
        "segment_ids": sorted(closure.segment_ids),
        "blank_segment_ids": sorted(closure.blank_segment_ids),
        "due_page_ids": sorted(closure.due_page_ids),
        "chain_ids": sorted(closure.chain_ids),
        "blank_chain_ids": sorted(closure.blank_chain_ids),
    }


def _without(body: Mapping[str, Any], page_ids: frozenset[str]) -> dict[str, Any]:
    return {
        "attributes": [each for each in body["attributes"] if page_ids.isdisjoint(each["source_page_ids"])],
        "traits": [each for each in body["traits"] if page_ids.isdisjoint(each["evidence_page_ids"])],
    }


def _parts(ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), SLICE_ROWS):
        yield list(ids[start : start + SLICE_ROWS])
