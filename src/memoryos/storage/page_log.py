"""The page log: the append-only list of all pages, from which all other data is derived.

A page is one exchange: a text of the user and the assistant's answer.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import date, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import NotFoundError
from memoryos.identifiers import new_id
from memoryos.language.instructions import instruction_sides
from memoryos.model import Page, PageDraft
from memoryos.seams import MAX_BATCH_PAGES
from memoryos.storage.idempotency import IdempotencyKey, check_complete, find_result, save_result
from memoryos.storage.schema import pages, scopes
from memoryos.storage.undone_readings import whole_readings
from memoryos.storage.usage import NO_QUOTA, Quota, Usage, bytes_of, refresh_counters, usage_of

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
_BATCH_PAGES = 1_000
_EPOCH_DAY = date(1970, 1, 1)
_MICROSECONDS_PER_MINUTE = 60_000_000
_MICROSECONDS_PER_DAY = 24 * 60 * _MICROSECONDS_PER_MINUTE


class PageLog:
    """Appends and reads pages.

    A page is one exchange: a text of the user and the assistant's answer.

    Args:
        database: The database.
        quota: Maximum storage of each scope.
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
        """Stores exchanges as pages in one transaction: all of them or none.

        The pages are on disk when this method returns. Concurrent calls of several threads share one commit.

        Args:
            scope_id: Id of the scope.
            drafts: The exchanges, oldest first; at least one.
            now: Current time. It is stored as the time of the scope's newest append.
            idempotency_key: Hashes that identify the request. If the same request was executed before, nothing is
                added.

        Returns:
            The new pages, with ids and log positions, in the given order. For a repeated request, the pages that its
            first execution added.

        Raises:
            InputError: If the idempotency key was used for another request.
            NotFoundError: If the scope does not exist, or a page that the first execution added was forgotten.
            QuotaExceededError: If the scope would exceed its quota; nothing was added.
        """
        quota = self._quota
        sides = [_instruction_sides_of(draft) for draft in drafts]  # slow: do it before acquiring the write lock
        return self._database.write_grouped(
            scope_id, lambda connection: _append(connection, scope_id, drafts, sides, now, idempotency_key, quota)
        )

    def check_quota(self, scope_id: str, more: Callable[[], Usage]) -> None:
        """Checks that a planned import will not exceed the quota of the scope.

        Args:
            scope_id: Id of the scope.
            more: Function that returns the storage to be added. It is called only if a quota is set.

        Raises:
            QuotaExceededError: If the scope would exceed its quota.
        """
        if self._quota.is_set:
            with self._database.read(scope_id) as connection:
                usage = usage_of(connection, scope_id)
            added = more()
            self._quota.check(Usage(usage.pages + added.pages, usage.bytes + added.bytes))

    def usage(self, scope_id: str) -> Usage:
        """Returns the number of pages and bytes that a scope stores."""
        with self._database.read(scope_id) as connection:
            return usage_of(connection, scope_id)

    def find_repeated(self, scope_id: str, idempotency_key: IdempotencyKey) -> list[Page] | None:
        """Returns the pages that the first execution of a request added.

        Returns None if the request has not been executed yet.

        Raises:
            InputError: If the idempotency key was used for another request.
            NotFoundError: If a page that the first execution added was forgotten.
        """
        with self._database.read(scope_id) as connection:
            return _find_repeated(connection, scope_id, idempotency_key)

    def newest(self, scope_id: str, count: int) -> list[Page]:
        """Returns the newest ``count`` pages, oldest first."""
        if count == 0:
            return []
        statement = sa.select(*_COLUMNS).where(pages.c.scope_id == scope_id).order_by(pages.c.seq.desc()).limit(count)
        return self._read(scope_id, statement)[::-1]

    def newest_before(self, scope_id: str, seq: int | None, count: int) -> list[Page]:
        """Returns the newest ``count`` pages before a log position, newest first.

        Args:
            scope_id: Id of the scope.
            seq: The log position, which is excluded; None for the end of the log.
            count: Maximum number of pages.
        """
        where = [pages.c.scope_id == scope_id] + ([] if seq is None else [pages.c.seq < seq])
        return self._read(scope_id, sa.select(*_COLUMNS).where(*where).order_by(pages.c.seq.desc()).limit(count))

    def at(self, scope_id: str, positions: Iterable[int]) -> dict[int, Page]:
        """Returns a dictionary from log position to page. Positions without a page are left out."""
        unique = sorted(set(positions))
        found: dict[int, Page] = {}
        for start in range(0, len(unique), _BATCH_PAGES):
            batch = unique[start : start + _BATCH_PAGES]
            found |= {page.seq: page for page in self._read(scope_id, _AT, {"id": scope_id, "seqs": batch})}
        return found

    def by_id(self, scope_id: str, page_ids: Iterable[str]) -> list[Page]:
        """Returns the pages with these ids, in log order; ignores unknown ids."""
        unique = sorted(set(page_ids))
        found: list[Page] = []
        for start in range(0, len(unique), _BATCH_PAGES):
            batch = unique[start : start + _BATCH_PAGES]
            found += self._read(scope_id, _SELECT.where(pages.c.scope_id == scope_id, pages.c.page_id.in_(batch)))
        return sorted(found, key=lambda page: page.seq)

    def existing_ids(self, scope_id: str, page_ids: Iterable[str]) -> set[str]:
        """Returns those of the given ids that belong to existing pages."""
        unique = sorted(set(page_ids))
        found: set[str] = set()
        with self._database.read(scope_id) as connection:
            for start in range(0, len(unique), _BATCH_PAGES):
                where = (pages.c.scope_id == scope_id, pages.c.page_id.in_(unique[start : start + _BATCH_PAGES]))
                found.update(connection.execute(sa.select(pages.c.page_id).where(*where)).scalars())
        return found

    def ids_before(self, scope_id: str, moment: datetime) -> list[str]:
        """Returns the ids of the pages older than the time ``moment``, in log order."""
        statement = sa.select(pages.c.page_id).where(pages.c.scope_id == scope_id, pages.c.at < moment)
        with self._database.read(scope_id) as connection:
            return list(connection.execute(statement.order_by(pages.c.seq)).scalars())

    def days(self, scope_id: str) -> list[tuple[date, int]]:
        """Returns each day that has pages, with its number of pages, oldest day first. A day is the sender's day."""
        number = _day_number().label("number")
        statement = sa.select(number, sa.func.count()).where(pages.c.scope_id == scope_id)
        with self._database.read(scope_id) as connection:
            rows = connection.execute(statement.group_by(number).order_by(number)).all()
            return [(_EPOCH_DAY + timedelta(days=row[0]), row[1]) for row in rows]

    def of_day(self, scope_id: str, day: date, count: int, *, after_seq: int = 0) -> list[Page]:
        """Returns pages of a day, in log order. The day of a page is the day of its sender.

        Args:
            scope_id: Id of the scope.
            day: The day.
            count: Maximum number of pages.
            after_seq: Returns only pages after this log position.
        """
        where = pages.c.scope_id == scope_id, pages.c.seq > after_seq, _day_number() == (day - _EPOCH_DAY).days
        return self._read(scope_id, _SELECT.where(*where).limit(count))

    def after(self, scope_id: str, seq: int = 0) -> Iterator[Page]:
        """Yields all pages after a log position, in log order. Reads them in batches to limit memory use."""
        while True:
            rows = self._read(
                scope_id, _SELECT.where(pages.c.scope_id == scope_id, pages.c.seq > seq).limit(_BATCH_PAGES)
            )
            yield from rows
            if len(rows) < _BATCH_PAGES:
                return
            seq = rows[-1].seq

    def count(self, scope_id: str) -> int:
        """Returns the number of pages in a scope."""
        return self._count(scope_id, pages.c.scope_id == scope_id)

    def due(self, scope_id: str, limit: int) -> list[Page]:
        """Returns the oldest pages to read: neighbours without a segment, in log order.

        The result ends at ``limit`` pages, or before the next page that has a segment.
        """
        is_due = (pages.c.scope_id == scope_id, pages.c.segment_id.is_(None))
        first = sa.select(sa.func.min(pages.c.seq)).where(*is_due).scalar_subquery()
        found = self._read(scope_id, _SELECT.where(pages.c.scope_id == scope_id, pages.c.seq >= first).limit(limit))
        return list(takewhile(lambda page: page.segment_id is None, found))

    def count_due(self, scope_id: str, limit: int | None = None) -> int:
        """Returns the number of pages without a segment, which are due to be read; at most ``limit``."""
        is_due = sa.select(pages.c.seq).where(pages.c.scope_id == scope_id, pages.c.segment_id.is_(None))
        with self._database.read(scope_id) as connection:
            statement = sa.select(sa.func.count()).select_from(is_due.limit(limit).subquery())
            return connection.execute(statement).scalar_one()

    def first_names(self, scope_id: str) -> tuple[str | None, str | None]:
        """Returns the names of the user and of the assistant in the first page that contains such a name, or None."""
        first = [
            sa.select(each).where(pages.c.scope_id == scope_id, each.is_not(None)).order_by(pages.c.seq).limit(1)
            for each in (pages.c.user_name, pages.c.assistant_name)
        ]
        with self._database.read(scope_id) as connection:
            user, assistant = (connection.execute(each).scalar_one_or_none() for each in first)
        return user, assistant

    def unprofiled(self, scope_id: str, segment_id: str, limit: int) -> list[Page]:
        """Returns the oldest ``limit`` pages of a segment from which no traits were inferred yet."""
        where = (pages.c.scope_id == scope_id, pages.c.segment_id == segment_id, pages.c.profiled.is_(False))
        return self._read(scope_id, _SELECT.where(*where).limit(limit))

    def profiled_ids(self, scope_id: str) -> frozenset[str]:
        """Returns the ids of the pages from which traits were inferred: the pages of segments that were hot."""
        statement = sa.select(pages.c.page_id).where(pages.c.scope_id == scope_id, pages.c.profiled.is_(True))
        with self._database.read(scope_id) as connection:
            return frozenset(connection.execute(statement).scalars())

    def of_segment(self, scope_id: str, segment_id: str) -> list[Page]:
        """Returns the pages of a segment in log order."""
        return self._read(scope_id, _SELECT.where(pages.c.scope_id == scope_id, pages.c.segment_id == segment_id))

    def unembedded(self, scope_id: str, model: str, limit: int, *, after_seq: int = 0) -> list[Page]:
        """Returns the oldest ``limit`` pages after a position that have no vectors of the model."""
        other = sa.or_(pages.c.embedded_with.is_(None), pages.c.embedded_with < model, pages.c.embedded_with > model)
        where = (pages.c.scope_id == scope_id, pages.c.seq > after_seq, other)
        return self._read(scope_id, _SELECT.where(*where).limit(limit))

    def count_unembedded(self, scope_id: str, model: str) -> int:
        """Returns the number of pages without vectors of the model."""
        other = sa.or_(pages.c.embedded_with.is_(None), pages.c.embedded_with < model, pages.c.embedded_with > model)
        return self._count(scope_id, pages.c.scope_id == scope_id, other)

    def is_switching(self, scope_id: str, model: str) -> bool:
        """Returns whether some page has only vectors of another model.

        Such pages exist after a change of the embedder, until the new embedder has processed them.
        """
        other = sa.or_(pages.c.embedded_with < model, pages.c.embedded_with > model)
        statement = sa.select(pages.c.seq).where(pages.c.scope_id == scope_id, other).limit(1)
        with self._database.read(scope_id) as connection:
            return connection.execute(statement).scalar_one_or_none() is not None

    def count_learned(self, scope_id: str) -> int:
        """Returns the number of pages from which facts have been extracted."""
        is_learned = sa.or_(pages.c.reading_id.is_not(None), pages.c.profiled.is_(True))
        return self._count(scope_id, pages.c.scope_id == scope_id, is_learned)

    def read_provisionally(self, scope_id: str, limit: int) -> list[Page]:
        """Returns the oldest neighbouring pages that the fallback analyst has read, in log order.

        Returns at most ``limit`` pages, and of each reading all pages or none; but always the first reading.
        """
        is_provisional = (pages.c.scope_id == scope_id, pages.c.read_provisionally.is_(True))
        first = sa.select(sa.func.min(pages.c.seq)).where(*is_provisional).scalar_subquery()
        where = (pages.c.scope_id == scope_id, pages.c.seq >= first)
        count = max(limit, MAX_BATCH_PAGES) + 1
        columns = (*_COLUMNS, pages.c.read_provisionally.label("is_provisional"))
        statement = sa.select(*columns).where(*where).order_by(pages.c.seq).limit(count)
        with self._database.read(scope_id) as connection:
            rows = takewhile(lambda row: row.is_provisional, connection.execute(statement).all())
            return whole_readings([Page(*row[:-1]) for row in rows], limit)

    def profiled_provisionally(self, scope_id: str, limit: int) -> list[Page]:
        """Returns the oldest pages from which the fallback analyst inferred traits.

        The fallback analyst is used while the configured LLM is unavailable. Returns at most ``limit`` pages, all of
        the same segment.
        """
        where = (pages.c.scope_id == scope_id, pages.c.profiled_provisionally.is_(True))
        first = sa.select(pages.c.segment_id).where(*where).order_by(pages.c.seq).limit(1).scalar_subquery()
        return self._read(scope_id, _SELECT.where(*where, pages.c.segment_id == first).limit(limit))

    def count_provisional(self, scope_id: str) -> int:
        """Returns the number of pages whose segment, facts or traits come from the fallback analyst.

        The fallback analyst is used while the configured LLM is unavailable.
        """
        mark = sa.or_(pages.c.read_provisionally.is_(True), pages.c.profiled_provisionally.is_(True))
        return self._count(scope_id, pages.c.scope_id == scope_id, mark)

    def segments_of(self, scope_id: str, segment_ids: Iterable[str], from_seq: int) -> list[tuple[int, str]]:
        """Returns (log position, segment id) for each page of these segments, in log order.

        Args:
            scope_id: Id of the scope.
            segment_ids: Ids of the segments.
            from_seq: Returns only pages from this log position on.
        """
        unique = sorted(set(segment_ids))
        found: list[tuple[int, str]] = []
        with self._database.read(scope_id) as connection:
            for start in range(0, len(unique), _BATCH_PAGES):
                batch = unique[start : start + _BATCH_PAGES]
                where = (pages.c.scope_id == scope_id, pages.c.segment_id.in_(batch), pages.c.seq >= from_seq)
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
    """Returns SQL for the number of days from 1970 to the local time of a page, rounded down.

    SQL division would round up for times before 1970.
    """
    offset = sa.func.coalesce(sa.cast(pages.c.utc_offset_minutes, sa.BigInteger), 0)
    moment = sa.type_coerce(pages.c.at, sa.BigInteger) + offset * _MICROSECONDS_PER_MINUTE
    rest = (moment % _MICROSECONDS_PER_DAY + _MICROSECONDS_PER_DAY) % _MICROSECONDS_PER_DAY
    return (moment - rest) // _MICROSECONDS_PER_DAY


def _append(
    connection: sa.Connection,
    scope_id: str,
    drafts: Sequence[PageDraft],
    sides: Sequence[int],
    now: datetime,
    idempotency_key: IdempotencyKey | None,
    quota: Quota,
) -> list[Page]:
    repeated = None if idempotency_key is None else _find_repeated(connection, scope_id, idempotency_key)
    if repeated is not None:
        return repeated
    size = sum(map(bytes_of, drafts))
    if quota.is_set:
        usage = refresh_counters(connection, scope_id)
        quota.check(Usage(usage.pages + len(drafts), usage.bytes + size))
    extent = {"id": scope_id, "pages": len(drafts), "bytes": size, "now": now}
    last_seq = connection.execute(_EXTEND, extent).scalar_one_or_none()
    if last_seq is None:
        raise NotFoundError(f"memory scope {scope_id} does not exist; check the id")
    first = last_seq - len(drafts) + 1
    added = [_page(draft, seq, flags) for seq, (draft, flags) in enumerate(zip(drafts, sides, strict=True), first)]
    connection.execute(_INSERT, [_row(scope_id, page) for page in added])
    if idempotency_key is not None:
        save_result(connection, scope_id, idempotency_key, [page.page_id for page in added], now)
    return added


def _find_repeated(connection: sa.Connection, scope_id: str, idempotency_key: IdempotencyKey) -> list[Page] | None:
    page_ids = find_result(connection, scope_id, idempotency_key)
    if page_ids is None:
        return None
    found: list[Page] = []
    for start in range(0, len(page_ids), _BATCH_PAGES):
        batch = page_ids[start : start + _BATCH_PAGES]
        rows = connection.execute(_SELECT.where(pages.c.scope_id == scope_id, pages.c.page_id.in_(batch)))
        found += [Page(*row) for row in rows]
    check_complete(found, page_ids)
    return found


def _instruction_sides_of(draft: PageDraft) -> int:
    return instruction_sides((draft.user_text, draft.user_name), (draft.assistant_text, draft.assistant_name))


def _page(draft: PageDraft, seq: int, flags: int) -> Page:
    return Page(
        page_id=new_id(),
        seq=seq,
        at=draft.at,
        user_text=draft.user_text,
        assistant_text=draft.assistant_text,
        user_name=draft.user_name,
        assistant_name=draft.assistant_name,
        metadata=draft.metadata,
        instruction_sides=flags,
        utc_offset_minutes=draft.utc_offset_minutes,
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
        "profiled": False,
        "instruction_sides": page.instruction_sides,
        "utc_offset_minutes": page.utc_offset_minutes,
    }
