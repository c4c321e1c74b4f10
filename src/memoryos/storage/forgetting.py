"""Forgetting: deletes a closure in one transaction, leaves tombstones without content, and erases the bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.language.text import fold
from memoryos.storage.closure import Closure, find_closure
from memoryos.storage.schema import chains, knowledge, pages, profiles, scopes, segments, tombstones, vectors
from memoryos.storage.scopes import Lease, advance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = ["ForgettingTable", "Refusals", "interrupt", "refuse", "reopen"]

_PAGE = "page"
_TEXT = "text"
_SLICE = 500


@dataclass(frozen=True, slots=True)
class Refusals:
    """What was forgotten or corrected in a scope, as hashes: it is not to be learned again."""

    marks: frozenset[str]

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and _mark(text) in self.marks


class ForgettingTable:
    """Deletes for good."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def closure(self, scope_id: str, page_ids: Iterable[str], knowledge_ids: Iterable[str] = ()) -> Closure:
        """Returns what would go with these pages and entries; nothing is changed."""
        with self._database.read(scope_id) as connection:
            return find_closure(connection, scope_id, page_ids, knowledge_ids)

    def forget(
        self,
        scope_id: str,
        page_ids: Iterable[str],
        knowledge_ids: Iterable[str],
        now: datetime,
        *,
        lease: Lease | None = None,
    ) -> Closure:
        """Deletes these pages and entries with everything that was derived from them, in one transaction.

        A worker that reads them at this moment loses its lease, and what it would have written with it; the worker who
        forgets says so by its lease.

        Raises:
            StoreConflictError: If that lease was lost; nothing was forgotten then.
        """
        with self._database.write(scope_id) as connection:
            closure = find_closure(connection, scope_id, page_ids, knowledge_ids)
            if lease is not None:
                advance(connection, lease)
            revision = interrupt(connection, scope_id, lease)
            _bury(connection, scope_id, closure, now)
            _delete_pages(connection, scope_id, closure)
            reopen(connection, scope_id, closure.reopened_page_ids, revision)
            _delete_learned(connection, scope_id, closure)
        return closure

    def forget_everything(self, scope_id: str, now: datetime) -> Closure:
        """Deletes whatever was remembered for a scope; the ids of user and assistant, and costs, stay."""
        with self._database.read(scope_id) as connection:
            where = pages.c.scope_id == scope_id
            page_ids = list(connection.execute(sa.select(pages.c.page_id).where(where)).scalars())
            where = knowledge.c.scope_id == scope_id
            knowledge_ids = list(connection.execute(sa.select(knowledge.c.knowledge_id).where(where)).scalars())
        closure = self.forget(scope_id, page_ids, knowledge_ids, now)
        with self._database.write(scope_id) as connection:
            connection.execute(sa.delete(profiles).where(profiles.c.scope_id == scope_id))
        return closure

    def erase(self) -> bool:
        """Writes the file anew and empties the write-ahead log, so that no deleted byte is left in either.

        Returns:
            Whether that was possible now; a reader in another process may hold an old state of the database.
        """
        return self._database.rewrite()

    def refusals(self, scope_id: str) -> Refusals:
        """Returns what is not to be learned again."""
        statement = sa.select(tombstones.c.mark).where(tombstones.c.scope_id == scope_id, tombstones.c.kind == _TEXT)
        with self._database.read(scope_id) as connection:
            return Refusals(frozenset(connection.execute(statement).scalars()))

    def forgotten_pages(self, scope_id: str) -> frozenset[str]:
        """Returns the ids of the pages that were forgotten."""
        statement = sa.select(tombstones.c.mark).where(tombstones.c.scope_id == scope_id, tombstones.c.kind == _PAGE)
        with self._database.read(scope_id) as connection:
            return frozenset(connection.execute(statement).scalars())


def refuse(connection: sa.Connection, scope_id: str, texts: Iterable[str], now: datetime) -> None:
    """Notes hashes of texts that are not to be learned again, inside the caller's transaction."""
    _note(connection, scope_id, _TEXT, {_mark(text) for text in texts}, now)


def interrupt(connection: sa.Connection, scope_id: str, lease: Lease | None = None) -> int:
    """Takes the scope from whoever else works on it and makes working sets read anew; returns the new revision."""
    statement = (
        sa.update(scopes)
        .where(scopes.c.scope_id == scope_id)
        .values(
            revision=scopes.c.revision + 1,
            reset_revision=scopes.c.revision + 1,
            learned_revision=scopes.c.revision + 1,
            lease_owner=None if lease is None else lease.owner,
            lease_until=None if lease is None else lease.until,
        )
        .returning(scopes.c.revision)
    )
    return int(connection.execute(statement).scalar_one())


def _bury(connection: sa.Connection, scope_id: str, closure: Closure, now: datetime) -> None:
    _note(connection, scope_id, _PAGE, closure.page_ids, now)
    where = (knowledge.c.scope_id == scope_id, knowledge.c.knowledge_id.in_(closure.knowledge_ids))
    refuse(connection, scope_id, connection.execute(sa.select(knowledge.c.text).where(*where)).scalars(), now)


def _note(connection: sa.Connection, scope_id: str, kind: str, marks: Iterable[str], now: datetime) -> None:
    where = (tombstones.c.scope_id == scope_id, tombstones.c.kind == kind)
    there = set(connection.execute(sa.select(tombstones.c.mark).where(*where)).scalars())
    rows = [
        {"scope_id": scope_id, "kind": kind, "mark": mark, "forgotten_at": now} for mark in sorted({*marks} - there)
    ]
    if rows:
        connection.execute(sa.insert(tombstones), rows)


def _delete_pages(connection: sa.Connection, scope_id: str, closure: Closure) -> None:
    for part in _parts(closure.page_ids):
        mine = (vectors.c.scope_id == scope_id, vectors.c.owner_id.in_(part))
        connection.execute(sa.delete(vectors).where(*mine, vectors.c.owner_kind.in_(("user", "assistant"))))
        connection.execute(sa.delete(pages).where(pages.c.scope_id == scope_id, pages.c.page_id.in_(part)))
    for part in _parts(closure.answer_page_ids):
        mine = (vectors.c.scope_id == scope_id, vectors.c.owner_id.in_(part))
        connection.execute(sa.delete(vectors).where(*mine, vectors.c.owner_kind.in_(("user", "assistant"))))
        where = (pages.c.scope_id == scope_id, pages.c.page_id.in_(part))
        connection.execute(sa.update(pages).where(*where).values(assistant_text="", embedded_with=None))
    place = {"segment_id": None, "chain_id": None, "placed_provisionally": False}
    for part in _parts(closure.due_page_ids):
        where = (pages.c.scope_id == scope_id, pages.c.page_id.in_(part))
        connection.execute(sa.update(pages).where(*where).values(**place))
    gone = (segments.c.scope_id == scope_id, segments.c.segment_id.in_(closure.segment_ids))
    connection.execute(sa.delete(segments).where(*gone))
    _blank(connection, scope_id, closure)
    held = sa.select(pages.c.chain_id).where(pages.c.scope_id == scope_id, pages.c.chain_id.is_not(None))
    connection.execute(sa.delete(chains).where(chains.c.scope_id == scope_id, chains.c.chain_id.not_in(held)))


def _blank(connection: sa.Connection, scope_id: str, closure: Closure) -> None:
    """Takes the words out of what stays of archived segments, and of chains that still have pages there."""
    mine = (segments.c.scope_id == scope_id, segments.c.segment_id.in_(closure.blank_segment_ids))
    held = (pages.c.scope_id == scope_id, pages.c.segment_id == segments.c.segment_id)
    count = sa.select(sa.func.count()).select_from(pages).where(*held)
    unlearned = count.where(pages.c.learned.is_(False)).scalar_subquery()
    values = {"summary": "", "keywords": [], "page_count": count.scalar_subquery(), "length": unlearned}
    connection.execute(sa.update(segments).where(*mine).values(**values))
    connection.execute(sa.delete(segments).where(*mine, segments.c.page_count == 0))
    touched = (chains.c.scope_id == scope_id, chains.c.chain_id.in_(closure.chain_ids))
    connection.execute(sa.update(chains).where(*touched).values(summary=""))


def reopen(connection: sa.Connection, scope_id: str, page_ids: Iterable[str], revision: int) -> None:
    """Makes pages unlearned, inside the caller's transaction; their segments grow hot by them again."""
    for part in _parts(page_ids):
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


def _delete_learned(connection: sa.Connection, scope_id: str, closure: Closure) -> None:
    for part in _parts(closure.knowledge_ids):
        mine = (vectors.c.scope_id == scope_id, vectors.c.owner_kind == "knowledge", vectors.c.owner_id.in_(part))
        connection.execute(sa.delete(vectors).where(*mine))
        where = (knowledge.c.scope_id == scope_id, knowledge.c.superseded_by.in_(part))
        connection.execute(sa.update(knowledge).where(*where).values(superseded_by=None))
        where = (knowledge.c.scope_id == scope_id, knowledge.c.knowledge_id.in_(part))
        connection.execute(sa.delete(knowledge).where(*where))
    if not closure.attributes and not closure.traits:
        return
    mine_ = profiles.c.scope_id == scope_id
    for row in connection.execute(sa.select(profiles.c.version, profiles.c.body).where(mine_)).all():
        body = _without(row.body, set(closure.page_ids) | set(closure.answer_page_ids))
        if body != row.body:
            connection.execute(sa.update(profiles).where(mine_, profiles.c.version == row.version).values(body=body))


def _without(body: Mapping[str, Any], page_ids: set[str]) -> dict[str, Any]:
    return {
        "attributes": [each for each in body["attributes"] if page_ids.isdisjoint(each["source_page_ids"])],
        "traits": [each for each in body["traits"] if page_ids.isdisjoint(each["evidence_page_ids"])],
    }


def _mark(text: str) -> str:
    return hashlib.sha256(fold(text).strip(" .。!！").encode("utf-8", "replace")).hexdigest()


def _parts(ids: Iterable[str]) -> Iterable[list[str]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), _SLICE):
        yield ordered[start : start + _SLICE]
