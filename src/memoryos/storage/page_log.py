"""The page log: append-only, the truth that everything else is derived from."""

from __future__ import annotations

from dataclasses import fields
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import NotFoundError
from memoryos.identifiers import new_id
from memoryos.language.instructions import instruction_sides
from memoryos.model import Page, PageDraft
from memoryos.storage.idempotency import IdempotencyKey, check_complete, find_result, save_result
from memoryos.storage.schema import pages, scopes
from memoryos.storage.usage import NO_QUOTA, Quota, Usage, bytes_of, count_again, usage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = ["PageLog"]

_COLUMNS = tuple(pages.c[each.name] for each in fields(Page))
_SELECT = sa.select(*_COLUMNS).order_by(pages.c.seq)
_AT = _SELECT.where(pages.c.scope_id == sa.bindparam("id"), pages.c.seq.in_(sa.bindparam("seqs", expanding=True)))
_INSERT = sa.insert(pages)
_EXTEND = (
    sa.update(scopes)
    .where(scopes.c.scope_id == sa.bindparam("id"))
    .values(
        last_seq=scopes.c.last_seq + sa.bindparam("pages"),
        counted_pages=scopes.c.counted_pages + sa.bindparam("pages"),
        counted_bytes=scopes.c.counted_bytes + sa.bindparam("bytes"),
        revision=scopes.c.revision + 1,
        touched_at=sa.bindparam("now"),
    )
    .returning(scopes.c.last_seq)
)
_SLICE_PAGES = 1_000
_FIRST_DAY = date(1970, 1, 1)
_DAY = 86_400_000_000
"""Microseconds."""


class PageLog:
    """Appends pages and reads them back.

    Args:
        database: Where they are.
        quota: The most that one scope may store.
    """

    def __init__(self, database: Database, quota: Quota = NO_QUOTA) -> None:
        self._database = database
        self._quota = quota

    def append(
        self,
        scope_id: str,
        drafts: Sequence[PageDraft],
        now: datetime,
        *,
        idempotency_key: IdempotencyKey | None = None,
    ) -> list[Page]:
        """Commits the exchanges as pages, all or none; they are on disk when this returns.

        Threads that append at the same time share a commit.

        Args:
            scope_id: The owner.
            drafts: What was said, oldest first; at least one.
            now: Time of the engine's clock, by which idleness is judged.
            idempotency_key: The mark of the request; if it was done already nothing is added.

        Returns:
            The pages, with ids and positions, in the order given; those of the first time if it was done already.

        Raises:
            InputError: If another request was done under the same key.
            NotFoundError: If there is no such scope, or the request was done and its pages were forgotten since.
            QuotaExceededError: If the scope would store more than its quota; nothing was added.
        """
        quota = self._quota
        sides = [_judged(draft) for draft in drafts]  # before the write lock is taken
        return self._database.write_grouped(
            scope_id, lambda connection: _append(connection, scope_id, drafts, sides, now, idempotency_key, quota)
        )

    def check_quota(self, scope_id: str, more: Callable[[], Usage]) -> None:
        """Raises an error if more would not fit, so that an import in several transactions is not cut short.

        Args:
            scope_id: The owner.
            more: Returns what is to be added; called only if there is a quota.

        Raises:
            QuotaExceededError: If it would not fit.
        """
        if self._quota.is_set:
            with self._database.read(scope_id) as connection:
                usage = usage_of(connection, scope_id)
            added = more()
            self._quota.check(Usage(usage.pages + added.pages, usage.bytes + added.bytes))

    def usage(self, scope_id: str) -> Usage:
        """Returns how many pages and bytes a scope stores."""
        with self._database.read(scope_id) as connection:
            return usage_of(connection, scope_id)

    def find_repeated(self, scope_id: str, idempotency_key: IdempotencyKey) -> list[Page] | None:
        """Returns the pages that a request became, None if it was not done yet.

        Raises:
            InputError: If another request was done under the same key.
            NotFoundError: If it was done and its pages were forgotten since.
        """
        with self._database.read(scope_id) as connection:
            return _done(connection, scope_id, idempotency_key)

    def newest(self, scope_id: str, count: int) -> list[Page]:
        """Returns the newest ``count`` pages, oldest first."""
        if count == 0:
            return []
        statement = sa.select(*_COLUMNS).where(pages.c.scope_id == scope_id).order_by(pages.c.seq.desc()).limit(count)
        return self._read(scope_id, statement)[::-1]

    def newest_before(self, scope_id: str, seq: int | None, count: int) -> list[Page]:
        """Returns the newest ``count`` pages in front of a position (of all, without one), newest first."""
        where = [pages.c.scope_id == scope_id] + ([] if seq is None else [pages.c.seq < seq])
        return self._read(scope_id, sa.select(*_COLUMNS).where(*where).order_by(pages.c.seq.desc()).limit(count))

    def at(self, scope_id: str, positions: Iterable[int]) -> dict[int, Page]:
        """Returns the pages at these positions, by position; positions without a page are left out."""
        wanted = sorted(set(positions))
        found: dict[int, Page] = {}
        for start in range(0, len(wanted), _SLICE_PAGES):
            part = wanted[start : start + _SLICE_PAGES]
            found |= {page.seq: page for page in self._read(scope_id, _AT, {"id": scope_id, "seqs": part})}
        return found

    def by_id(self, scope_id: str, page_ids: Iterable[str]) -> list[Page]:
        """Returns the pages with these ids in the order of the log; unknown ids are left out."""
        wanted = sorted(set(page_ids))
        found: list[Page] = []
        for start in range(0, len(wanted), _SLICE_PAGES):
            part = wanted[start : start + _SLICE_PAGES]
            found += self._read(scope_id, _SELECT.where(pages.c.scope_id == scope_id, pages.c.page_id.in_(part)))
        return sorted(found, key=lambda page: page.seq)

    def existing_ids(self, scope_id: str, page_ids: Iterable[str]) -> set[str]:
        """Returns those of the ids that pages have."""
        wanted = sorted(set(page_ids))
        found: set[str] = set()
        with self._database.read(scope_id) as connection:
            for start in range(0, len(wanted), _SLICE_PAGES):
                mine = (pages.c.scope_id == scope_id, pages.c.page_id.in_(wanted[start : start + _SLICE_PAGES]))
                found.update(connection.execute(sa.select(pages.c.page_id).where(*mine)).scalars())
        return found

    def ids_before(self, scope_id: str, moment: datetime) -> list[str]:
        """Returns the ids of the pages from before a moment, in the order of the log."""
        statement = sa.select(pages.c.page_id).where(pages.c.scope_id == scope_id, pages.c.at < moment)
        with self._database.read(scope_id) as connection:
            return list(connection.execute(statement.order_by(pages.c.seq)).scalars())

    def days(self, scope_id: str) -> list[tuple[date, int]]:
        """Returns the days (UTC) on which something was said, oldest first, with how many pages each has."""
        number = _day_number().label("number")
        statement = sa.select(number, sa.func.count()).where(pages.c.scope_id == scope_id)
        with self._database.read(scope_id) as connection:
            rows = connection.execute(statement.group_by(number).order_by(number)).all()
            return [(_FIRST_DAY + timedelta(days=row[0]), row[1]) for row in rows]

    def of_day(self, scope_id: str, day: date, count: int, *, after_seq: int = 0) -> list[Page]:
        """Returns ``count`` pages of a day (UTC) at most that stand behind a position, in the order of the log."""
        where = pages.c.scope_id == scope_id, pages.c.seq > after_seq, _day_number() == (day - _FIRST_DAY).days
        return self._read(scope_id, _SELECT.where(*where).limit(count))

    def after(self, scope_id: str, seq: int = 0) -> Iterator[Page]:
        """Yields every page behind a position in the order of the log, read in slices so that no log is too long."""
        while True:
            rows = self._read(
                scope_id, _SELECT.where(pages.c.scope_id == scope_id, pages.c.seq > seq).limit(_SLICE_PAGES)
            )
            yield from rows
            if len(rows) < _SLICE_PAGES:
                return
            seq = rows[-1].seq

    def last_seq_outside_window(self, scope_id: str, window: int) -> int:
        """Returns the position of the newest page outside the window of the newest ``window`` pages; 0 if none is."""
        statement = sa.select(pages.c.seq).where(pages.c.scope_id == scope_id).order_by(pages.c.seq.desc())
        with self._database.read(scope_id) as connection:
            return connection.execute(statement.offset(window).limit(1)).scalar_one_or_none() or 0

    def count(self, scope_id: str) -> int:
        """Returns how many pages there are."""
        return self._count(scope_id, pages.c.scope_id == scope_id)

    def due(self, scope_id: str, up_to_seq: int, limit: int) -> list[Page]:
        """Returns the oldest pages up to a position that have no segment yet."""
        return self._read(scope_id, _SELECT.where(*_due(scope_id, up_to_seq)).limit(limit))

    def count_due(self, scope_id: str, up_to_seq: int) -> int:
        """Returns how many pages up to a position have no segment yet."""
        return self._count(scope_id, *_due(scope_id, up_to_seq))

    def unlearned(self, scope_id: str, segment_id: str, limit: int) -> list[Page]:
        """Returns the oldest pages of a segment that long-term memory has not read."""
        where = (pages.c.scope_id == scope_id, pages.c.segment_id == segment_id, pages.c.learned.is_(False))
        return self._read(scope_id, _SELECT.where(*where).limit(limit))

    def of_segment(self, scope_id: str, segment_id: str) -> list[Page]:
        """Returns the pages of a segment in the order of the log."""
        return self._read(scope_id, _SELECT.where(pages.c.scope_id == scope_id, pages.c.segment_id == segment_id))

    def unembedded(self, scope_id: str, model: str, limit: int) -> list[Page]:
        """Returns the oldest pages whose utterances have no vector of this model."""
        other = sa.or_(pages.c.embedded_with.is_(None), pages.c.embedded_with < model, pages.c.embedded_with > model)
        return self._read(scope_id, _SELECT.where(pages.c.scope_id == scope_id, other).limit(limit))

    def count_unembedded(self, scope_id: str, model: str) -> int:
        """Returns how many pages have no vector of this model."""
        other = sa.or_(pages.c.embedded_with.is_(None), pages.c.embedded_with < model, pages.c.embedded_with > model)
        return self._count(scope_id, pages.c.scope_id == scope_id, other)

    def is_switching(self, scope_id: str, model: str) -> bool:
        """Returns whether a page still has vectors of another model only."""
        other = sa.or_(pages.c.embedded_with < model, pages.c.embedded_with > model)
        statement = sa.select(pages.c.seq).where(pages.c.scope_id == scope_id, other).limit(1)
        with self._database.read(scope_id) as connection:
            return connection.execute(statement).scalar_one_or_none() is not None

    def count_learned(self, scope_id: str) -> int:
        """Returns how many pages long-term memory has read."""
        return self._count(scope_id, pages.c.scope_id == scope_id, pages.c.learned.is_(True))

    def placed_provisionally(self, scope_id: str, limit: int) -> list[Page]:
        """Returns the oldest run of neighbouring pages that a stand-in gave their segments."""
        where = (pages.c.scope_id == scope_id, pages.c.placed_provisionally.is_(True))
        found = self._read(scope_id, _SELECT.where(*where).limit(limit))
        return [page for number, page in enumerate(found) if page.seq == found[0].seq + number]

    def learned_provisionally(self, scope_id: str, limit: int) -> list[Page]:
        """Returns the oldest pages that a stand-in learned from, all of one segment."""
        where = (pages.c.scope_id == scope_id, pages.c.learned_provisionally.is_(True))
        first = sa.select(pages.c.segment_id).where(*where).order_by(pages.c.seq).limit(1).scalar_subquery()
        return self._read(scope_id, _SELECT.where(*where, pages.c.segment_id == first).limit(limit))

    def count_provisional(self, scope_id: str) -> int:
        """Returns how many pages a stand-in placed or learned from."""
        mark = sa.or_(pages.c.placed_provisionally.is_(True), pages.c.learned_provisionally.is_(True))
        return self._count(scope_id, pages.c.scope_id == scope_id, mark)

    def segments_of(self, scope_id: str, segment_ids: Iterable[str], from_seq: int) -> list[tuple[int, str]]:
        """Returns (position, segment id) of the pages of these segments from a position on."""
        wanted = sorted(set(segment_ids))
        found: list[tuple[int, str]] = []
        with self._database.read(scope_id) as connection:
            for start in range(0, len(wanted), _SLICE_PAGES):
                part = wanted[start : start + _SLICE_PAGES]
                where = (pages.c.scope_id == scope_id, pages.c.segment_id.in_(part), pages.c.seq >= from_seq)
                rows = connection.execute(sa.select(pages.c.seq, pages.c.segment_id).where(*where))
                found += [(row.seq, str(row.segment_id)) for row in rows]
        return sorted(found)

    def _read(self, scope_id: str, statement: sa.Select[Any], values: dict[str, Any] | None = None) -> list[Page]:
        with self._database.read(scope_id) as connection:
            return [Page(*row) for row in connection.execute(statement, values or {}).all()]

    def _count(self, scope_id: str, *where: sa.ColumnElement[bool]) -> int:
        with self._database.read(scope_id) as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(pages).where(*where)).scalar_one()


def _day_number() -> sa.ColumnElement[int]:
    """Returns the days from 1970 to a page's day; databases divide towards nought, and a day begins before it."""
    moment = sa.type_coerce(pages.c.at, sa.BigInteger)
    rest = (moment % _DAY + _DAY) % _DAY
    return (moment - rest) // _DAY


def _due(scope_id: str, up_to_seq: int) -> tuple[sa.ColumnElement[bool], ...]:
    return pages.c.scope_id == scope_id, pages.c.segment_id.is_(None), pages.c.seq <= up_to_seq


def _append(
    connection: sa.Connection,
    scope_id: str,
    drafts: Sequence[PageDraft],
    sides: Sequence[int],
    now: datetime,
    idempotency_key: IdempotencyKey | None,
    quota: Quota,
) -> list[Page]:
    done = None if idempotency_key is None else _done(connection, scope_id, idempotency_key)
    if done is not None:
        return done
    size = sum(map(bytes_of, drafts))
    if quota.is_set:
        usage = count_again(connection, scope_id)
        quota.check(Usage(usage.pages + len(drafts), usage.bytes + size))
    extent = {"id": scope_id, "pages": len(drafts), "bytes": size, "now": now}
    last_seq = connection.execute(_EXTEND, extent).scalar_one_or_none()
    if last_seq is None:
        raise NotFoundError(f"no scope {scope_id}")
    first = last_seq - len(drafts) + 1
    added = [_page(draft, seq, judged) for seq, (draft, judged) in enumerate(zip(drafts, sides, strict=True), first)]
    connection.execute(_INSERT, [_row(scope_id, page) for page in added])
    if idempotency_key is not None:
        save_result(connection, scope_id, idempotency_key, [page.page_id for page in added], now)
    return added


def _done(connection: sa.Connection, scope_id: str, idempotency_key: IdempotencyKey) -> list[Page] | None:
    page_ids = find_result(connection, scope_id, idempotency_key)
    if page_ids is None:
        return None
    found: list[Page] = []
    for start in range(0, len(page_ids), _SLICE_PAGES):
        part = page_ids[start : start + _SLICE_PAGES]
        rows = connection.execute(_SELECT.where(pages.c.scope_id == scope_id, pages.c.page_id.in_(part)))
        found += [Page(*row) for row in rows]
    check_complete(found, page_ids)
    return found


def _judged(draft: PageDraft) -> int:
    return instruction_sides((draft.user_text, draft.user_name), (draft.assistant_text, draft.assistant_name))


def _page(draft: PageDraft, seq: int, judged: int) -> Page:
    return Page(
        page_id=new_id(),
        seq=seq,
        at=draft.at,
        user_text=draft.user_text,
        assistant_text=draft.assistant_text,
        user_name=draft.user_name,
        assistant_name=draft.assistant_name,
        metadata=draft.metadata,
        instruction_sides=judged,
    )


def _row(scope_id: str, page: Page) -> dict[str, Any]:
    return {
        "scope_id": scope_id,
        "seq": page.seq,
        "page_id": page.page_id,
        "at": page.at,
        "user_text": page.user_text,
        "assistant_text": page.assistant_text,
        "user_name": page.user_name,
        "assistant_name": page.assistant_name,
        "metadata": dict(page.metadata),
        "learned": False,
        "instruction_sides": page.instruction_sides,
    }
