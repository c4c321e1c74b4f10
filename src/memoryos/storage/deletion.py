"""Executes the plan of one deletion, in short transactions."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from memoryos.language.text import keywords
from memoryos.model import SIDES
from memoryos.slots import slot_named
from memoryos.storage.fact_rows import delete_facts, drop_replaced
from memoryos.storage.idempotency import drop_request_hashes
from memoryos.storage.lease import invalidate_working_sets
from memoryos.storage.schema import chains, facts, forgettings, pages, profiles, readings, segments, vectors
from memoryos.storage.tombstones import note_tombstones, refuse
from memoryos.storage.undone_readings import UNREAD, delete_unused_readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = ["BATCH_ROWS", "PAUSE_SECONDS", "Deletion"]

BATCH_ROWS = 500
"""Maximum number of rows that one transaction deletes.

Deleting them, including the vectors of pages, takes about 30 ms on SQLite.
"""
PAUSE_SECONDS = 0.005
"""Pause after each transaction, so that waiting writers can acquire the file lock.

Waiting writers try to acquire the lock every 0.5 ms.
"""
_BATCH_SEGMENTS = 50
MAX_SUMMARIES = 20
"""Maximum number of chain summaries from which the keywords of a shortened segment are taken."""
KEYWORDS_OF_SUMMARIES = 12
"""Number of keywords of a shortened segment."""
Item = TypeVar("Item", str, int)


class _CompletedElsewhereError(Exception):
    """Another process has completed the deletion."""


class Deletion:
    """Executes the plan of one deletion in batches.

    Each batch is one transaction. After a crash, batches can be executed a second time without harm.
    """

    def __init__(
        self, database: Database, scope_id: str, forgetting_id: str, plan: Mapping[str, Any], begun_at: datetime
    ) -> None:
        self._database = database
        self._scope_id = scope_id
        self._forgetting_id = forgetting_id
        self._plan = _read_plan(plan)
        self._begun_at = begun_at
        self._page_ids = frozenset(plan["page_ids"])
        self._forgotten_values: frozenset[tuple[str, str]] = frozenset()

    def run(self) -> None:
        """Executes the plan: first deletes derived data, then pages."""
        with contextlib.suppress(_CompletedElsewhereError):
            self._run_all()

    def _run_all(self) -> None:
        plan = self._plan
        self._forgotten_values = self._read_values()
        self._run_batches(self._profile_versions(), self._clean_profiles)
        self._drop_replaced()
        self._run_batches(plan["knowledge_ids"], self._forget_facts)
        self._run_batches(plan["rederived_fact_ids"], self._delete_facts)
        self._run_batches(plan["unprofiled_page_ids"], self._mark_unprofiled)
        self._run_batches(plan["due_page_ids"], self._mark_unread)
        self._run_batches(plan["reading_ids"], self._delete_readings)
        self._run_batches(plan["segment_ids"], self._shorten_segments, _BATCH_SEGMENTS)
        self._run_batches(plan["chain_ids"], self._delete_chains)
        self._run_batches(plan["blank_chain_ids"], self._blank_chains)
        self._run_batches(plan["answer_page_ids"], self._delete_answers)
        drop_request_hashes(self._database, self._scope_id, {*plan["page_ids"], *plan["answer_page_ids"]})
        self._run_batches(plan["page_ids"], self._delete_pages)
        self._finish()

    def _run_batches(
        self, ids: Sequence[Item], work: Callable[[sa.Connection, list[Item]], None], size: int = BATCH_ROWS
    ) -> None:
        for start in range(0, len(ids), size):
            with self._write() as connection:
                work(connection, list(ids[start : start + size]))
            time.sleep(PAUSE_SECONDS)

    @contextlib.contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        """Opens a write transaction, unless another process has completed the plan.

        After that, pages may have been read again, and a batch of this process would damage the result.

        Raises:
            _CompletedElsewhereError: If the plan does not exist any more.
        """
        with self._database.write(self._scope_id) as connection:
            if connection.execute(sa.select(forgettings.c.scope_id).where(*self._plan_where())).first() is None:
                raise _CompletedElsewhereError
            yield connection

    def _plan_where(self) -> tuple[sa.ColumnElement[bool], ...]:
        return forgettings.c.scope_id == self._scope_id, forgettings.c.forgetting_id == self._forgetting_id

    def _read_values(self) -> frozenset[tuple[str, str]]:
        """Returns the slots and values of the facts to forget. Old profile versions may contain them as attributes."""
        found: set[tuple[str, str]] = set()
        with self._database.read(self._scope_id) as connection:
            for ids in _batches(self._plan["knowledge_ids"]):
                where = (facts.c.scope_id == self._scope_id, facts.c.fact_id.in_(ids), facts.c.value.is_not(None))
                rows = connection.execute(sa.select(facts.c.slot, facts.c.value).where(*where))
                found.update((str(row.slot), row.value.casefold()) for row in rows)
        return frozenset(found)

    def _forget_facts(self, connection: sa.Connection, ids: list[str]) -> None:
        """Deletes facts, and prevents that an analyst extracts them again, unless their pages expired."""
        if not self._plan["is_expiry"]:
            where = (facts.c.scope_id == self._scope_id, facts.c.fact_id.in_(ids))
            texts = connection.execute(sa.select(facts.c.text).where(*where)).scalars().all()
            refuse(connection, self._scope_id, texts, self._begun_at)
        self._delete_facts(connection, ids)

    def _delete_facts(self, connection: sa.Connection, ids: list[str]) -> None:
        delete_facts(connection, self._scope_id, facts.c.fact_id.in_(ids))

    def _drop_replaced(self) -> None:
        """Removes the ids of the facts to forget from those that replaced them, which inherit what they replaced.

        Facts that may be extracted again keep their ids, and so they stay replaced.
        """
        ids = frozenset(self._plan["knowledge_ids"])
        if ids:
            with self._write() as connection:
                drop_replaced(connection, self._scope_id, ids, inherits=True)

    def _profile_versions(self) -> Sequence[int]:
        if not (self._plan["everything"] or self._plan["is_profile_changed"]):
            return ()
        with self._database.read(self._scope_id) as connection:
            statement = sa.select(profiles.c.version).where(profiles.c.scope_id == self._scope_id)
            return connection.execute(statement.order_by(profiles.c.version.desc())).scalars().all()

    def _clean_profiles(self, connection: sa.Connection, versions: list[int]) -> None:
        where = (profiles.c.scope_id == self._scope_id, profiles.c.version.in_(versions))
        if self._plan["everything"]:
            connection.execute(sa.delete(profiles).where(*where))
            return
        page_ids = self._page_ids.union(self._plan["answer_page_ids"])
        for row in connection.execute(sa.select(profiles.c.version, profiles.c.body).where(*where)).all():
            body = _profile_without(row.body, page_ids, self._forgotten_values)
            if body != row.body:
                version_where = (profiles.c.scope_id == self._scope_id, profiles.c.version == row.version)
                connection.execute(sa.update(profiles).where(*version_where).values(body=body))

    def _mark_unprofiled(self, connection: sa.Connection, page_ids: list[str]) -> None:
        """Marks pages so that traits are inferred from them again, and updates the lengths of their segments."""
        where = (pages.c.scope_id == self._scope_id, pages.c.page_id.in_(page_ids), pages.c.profiled.is_(True))
        segment_ids = connection.execute(sa.select(pages.c.segment_id).where(*where)).scalars().all()
        marks = {"profiled": False, "profiled_provisionally": False}
        connection.execute(sa.update(pages).where(*where).values(**marks))
        for segment_id, count in Counter(segment_ids).items():
            connection.execute(
                sa.update(segments)
                .where(segments.c.scope_id == self._scope_id, segments.c.segment_id == segment_id)
                .values(length=segments.c.length + count)
            )

    def _mark_unread(self, connection: sa.Connection, page_ids: list[str]) -> None:
        where = (pages.c.scope_id == self._scope_id, pages.c.page_id.in_(page_ids))
        connection.execute(sa.update(pages).where(*where).values(**UNREAD))

    def _delete_readings(self, connection: sa.Connection, ids: list[str]) -> None:
        of_readings = (pages.c.scope_id == self._scope_id, pages.c.reading_id.in_(ids))
        connection.execute(sa.update(pages).where(*of_readings).values(reading_id=None, read_provisionally=False))
        where = (readings.c.scope_id == self._scope_id, readings.c.reading_id.in_(ids))
        connection.execute(sa.delete(readings).where(*where))

    def _shorten_segments(self, connection: sa.Connection, ids: list[str]) -> None:
        """Removes deleted pages from segments, and replaces their texts by those of the remaining chains."""
        in_segments = (pages.c.scope_id == self._scope_id, pages.c.segment_id.in_(ids))
        members = connection.execute(sa.select(pages.c.page_id).where(*in_segments)).scalars()
        for batch in _batches([each for each in members if each in self._page_ids]):
            self._mark_unread(connection, batch)
        counted = (pages.c.scope_id == self._scope_id, pages.c.segment_id == segments.c.segment_id)
        count = sa.select(sa.func.count()).select_from(pages).where(*counted)
        unprofiled = count.where(pages.c.profiled.is_(False)).scalar_subquery()
        values = {"page_count": count.scalar_subquery(), "length": unprofiled}
        where = (segments.c.scope_id == self._scope_id, segments.c.segment_id.in_(ids))
        connection.execute(sa.update(segments).where(*where).values(**values))
        connection.execute(sa.delete(segments).where(*where, segments.c.page_count == 0))
        changed_chain_ids = {*self._plan["chain_ids"], *self._plan["blank_chain_ids"]}
        for segment_id in connection.execute(sa.select(segments.c.segment_id).where(*where)).scalars().all():
            texts = self._summaries(connection, segment_id, changed_chain_ids)
            words = keywords(texts, KEYWORDS_OF_SUMMARIES)
            connection.execute(
                sa.update(segments)
                .where(segments.c.scope_id == self._scope_id, segments.c.segment_id == segment_id)
                .values(summary=texts[0] if texts else "", keywords=sorted(words))
            )

    def _summaries(self, connection: sa.Connection, segment_id: str, changed_chain_ids: set[str]) -> list[str]:
        """Returns the summaries of the chains in a segment that the deletion does not change, newest first."""
        newest = sa.func.max(pages.c.seq).label("newest")
        of_segment = (
            sa.select(pages.c.chain_id, newest)
            .where(pages.c.scope_id == self._scope_id, pages.c.segment_id == segment_id)
            .group_by(pages.c.chain_id)
        )
        rows = connection.execute(of_segment.order_by(newest.desc())).all()
        ids = [row.chain_id for row in rows if row.chain_id not in changed_chain_ids][:MAX_SUMMARIES]
        where = (chains.c.scope_id == self._scope_id, chains.c.chain_id.in_(ids))
        found = {row.chain_id: row.summary for row in connection.execute(sa.select(chains).where(*where))}
        return [found[each] for each in ids if found.get(each)]

    def _delete_chains(self, connection: sa.Connection, ids: list[str]) -> None:
        where = (chains.c.scope_id == self._scope_id, chains.c.chain_id.in_(ids))
        connection.execute(sa.delete(chains).where(*where))

    def _blank_chains(self, connection: sa.Connection, ids: list[str]) -> None:
        where = (chains.c.scope_id == self._scope_id, chains.c.chain_id.in_(ids))
        connection.execute(sa.update(chains).where(*where).values(summary=""))

    def _delete_answers(self, connection: sa.Connection, page_ids: list[str]) -> None:
        self._delete_vectors(connection, SIDES, page_ids)
        where = (pages.c.scope_id == self._scope_id, pages.c.page_id.in_(page_ids))
        connection.execute(sa.update(pages).where(*where).values(assistant_text="", embedded_with=None))

    def _delete_pages(self, connection: sa.Connection, page_ids: list[str]) -> None:
        note_tombstones(connection, self._scope_id, "page", page_ids, self._begun_at)
        self._delete_vectors(connection, SIDES, page_ids)
        where = (pages.c.scope_id == self._scope_id, pages.c.page_id.in_(page_ids))
        connection.execute(sa.delete(pages).where(*where))

    def _delete_vectors(self, connection: sa.Connection, kinds: Sequence[str], ids: list[str]) -> None:
        owned = (vectors.c.owner_kind.in_(kinds), vectors.c.owner_id.in_(ids))
        connection.execute(sa.delete(vectors).where(vectors.c.scope_id == self._scope_id, *owned))

    def _finish(self) -> None:
        """Deletes the plan, and the readings that have no pages and facts left.

        Makes every process reload its working set (searchable copy) of the scope.
        """
        with self._write() as connection:
            delete_unused_readings(connection, self._scope_id)
            invalidate_working_sets(connection, self._scope_id)
            connection.execute(sa.delete(forgettings).where(*self._plan_where()))


def _read_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a stored plan in the present form; an earlier release may have begun the deletion."""
    missing = {
        "is_expiry": False,
        "rederived_fact_ids": [],
        "reading_ids": [],
        "unprofiled_page_ids": plan.get("reopened_page_ids", []),
    }
    segment_ids = [*plan["segment_ids"], *plan.get("blank_segment_ids", [])]
    return missing | dict(plan) | {"segment_ids": segment_ids}


def _profile_without(
    body: Mapping[str, Any], page_ids: frozenset[str], values: frozenset[tuple[str, str]]
) -> dict[str, Any]:
    return {
        "attributes": [
            each
            for each in body["attributes"]
            if page_ids.isdisjoint(each["source_page_ids"])
            and (slot_named(each["name"]) or "", each["value"].casefold()) not in values
        ],
        "traits": [each for each in body["traits"] if page_ids.isdisjoint(each["evidence_page_ids"])],
    }


def _batches(ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), BATCH_ROWS):
        yield list(ids[start : start + BATCH_ROWS])
