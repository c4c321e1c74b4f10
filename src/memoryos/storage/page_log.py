"""The page log: the append-only source of truth, from which all other data is derived."""

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
_MICROSECONDS_PER_DAY = 86_400_000_000


class PageLog:
    """Appends and reads pages.

    Args:
        database: The database.
        quota: Maximum that one scope may store.
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

        Concurrent appends of several threads share one commit.

        Args:
            scope_id: The scope.
            drafts: The exchanges, oldest first; at least one.
            now: Current time of the engine's clock, from which the idle time of the scope is counted.
            idempotency_key: Key of the request; if a request with this key was executed before, nothing is added.

        Returns:
            The pages with their ids and positions, in the given order; for a repeated request the pages of the first
            execution.

        Raises:
            InputError: If the key was used for another request.
            NotFoundError: If the scope does not exist, or a page of the first execution was forgotten.
            QuotaExceededError: If the scope would exceed its quota; nothing was added.
        """
        quota = self._quota
        sides = [_instruction_sides_of(draft) for draft in drafts]  # slow: do it before acquiring the write lock
        return self._database.write_grouped(
            scope_id, lambda connection: _append(connection, scope_id, drafts, sides, now, idempotency_key, quota)
        )

    def check_quota(self, scope_id: str, more: Callable[[], Usage]) -> None:
        """Checks the quota in advance, for an import that needs several transactions.

        Args:
            scope_id: The scope.
            more: Returns the usage to be added; called only if a quota is set.

        Raises:
            QuotaExceededError: If the scope would exceed its quota.
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
        """Returns the pages that an earlier execution of a request added; None if there was none.

        Raises:
            InputError: If the key was used for another request.
            NotFoundError: If a page of the earlier execution was forgotten.
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
        """Returns the newest ``count`` pages before a position, newest first; None means after the last page."""
        where = [pages.c.scope_id == scope_id] + ([] if seq is None else [pages.c.seq < seq])
        return self._read(scope_id, sa.select(*_COLUMNS).where(*where).order_by(pages.c.seq.desc()).limit(count))

    def at(self, scope_id: str, positions: Iterable[int]) -> dict[int, Page]:
        """Returns a dictionary of pages by position; positions without a page are left out."""
        unique = sorted(set(positions))
        found: dict[int, Page] = {}
        for start in range(0, len(unique), _BATCH_PAGES):
            batch = unique[start : start + _BATCH_PAGES]
            found |= {page.seq: page for page in self._read(scope_id, _AT, {"id": scope_id, "seqs": batch})}
        return found

    def by_id(self, scope_id: str, page_ids: Iterable[str]) -> list[Page]:
        """Returns the pages with these ids in log order; unknown ids are ignored."""
        unique = sorted(set(page_ids))
        found: list[Page] = []
        for start in range(0, len(unique), _BATCH_PAGES):
            batch = unique[start : start + _BATCH_PAGES]
            found += self._read(scope_id, _SELECT.where(pages.c.scope_id == scope_id, pages.c.page_id.in_(batch)))
        return sorted(found, key=lambda page: page.seq)

    def existing_ids(self, scope_id: str, page_ids: Iterable[str]) -> set[str]:
        """Returns the ids that belong to existing pages."""
        unique = sorted(set(page_ids))
        found: set[str] = set()
        with self._database.read(scope_id) as connection:
            for start in range(0, len(unique), _BATCH_PAGES):
                where = (pages.c.scope_id == scope_id, pages.c.page_id.in_(unique[start : start + _BATCH_PAGES]))
                found.update(connection.execute(sa.select(pages.c.page_id).where(*where)).scalars())
        return found

    def ids_before(self, scope_id: str, moment: datetime) -> list[str]:
        """Returns the ids of the pages with an earlier time, in log order."""
        statement = sa.select(pages.c.page_id).where(pages.c.scope_id == scope_id, pages.c.at < moment)
        with self._database.read(scope_id) as connection:
            return list(connection.execute(statement.order_by(pages.c.seq)).scalars())

    def days(self, scope_id: str) -> list[tuple[date, int]]:
        """Returns (day in UTC, number of pages) of each day with pages, oldest first."""
        number = _day_number().label("number")
        statement = sa.select(number, sa.func.count()).where(pages.c.scope_id == scope_id)
        with self._database.read(scope_id) as connection:
            rows = connection.execute(statement.group_by(number).order_by(number)).all()
            return [(_EPOCH_DAY + timedelta(days=row[0]), row[1]) for row in rows]

    def of_day(self, scope_id: str, day: date, count: int, *, after_seq: int = 0) -> list[Page]:
        """Returns at most ``count`` pages of a day (UTC) after a position, in log order."""
        where = pages.c.scope_id == scope_id, pages.c.seq > after_seq, _day_number() == (day - _EPOCH_DAY).days
        return self._read(scope_id, _SELECT.where(*where).limit(count))

    def after(self, scope_id: str, seq: int = 0) -> Iterator[Page]:
        """Yields all pages after a position in log order; reads them in batches to limit memory."""
        while True:
            rows = self._read(
                scope_id, _SELECT.where(pages.c.scope_id == scope_id, pages.c.seq > seq).limit(_BATCH_PAGES)
            )
            yield from rows
            if len(rows) < _BATCH_PAGES:
                return
            seq = rows[-1].seq

    def last_seq_outside_window(self, scope_id: str, window: int) -> int:
        """Returns the position of the newest page that is not among the newest ``window`` pages; 0 if there is none."""
        statement = sa.select(pages.c.seq).where(pages.c.scope_id == scope_id).order_by(pages.c.seq.desc())
        with self._database.read(scope_id) as connection:
            return connection.execute(statement.offset(window).limit(1)).scalar_one_or_none() or 0

    def count(self, scope_id: str) -> int:
        """Returns the number of pages."""
        return self._count(scope_id, pages.c.scope_id == scope_id)

    def due(self, scope_id: str, up_to_seq: int, limit: int) -> list[Page]:
        """Returns the oldest ``limit`` pages without a segment, up to a position (inclusive)."""
        return self._read(scope_id, _SELECT.where(*_due(scope_id, up_to_seq)).limit(limit))

    def count_due(self, scope_id: str, up_to_seq: int) -> int:
        """Returns the number of pages without a segment, up to a position (inclusive)."""
        return self._count(scope_id, *_due(scope_id, up_to_seq))

    def unlearned(self, scope_id: str, segment_id: str, limit: int) -> list[Page]:
        """Returns the oldest ``limit`` unlearned pages of a segment."""
        where = (pages.c.scope_id == scope_id, pages.c.segment_id == segment_id, pages.c.learned.is_(False))
        return self._read(scope_id, _SELECT.where(*where).limit(limit))

    def of_segment(self, scope_id: str, segment_id: str) -> list[Page]:
        """Returns the pages of a segment in log order."""
        return self._read(scope_id, _SELECT.where(pages.c.scope_id == scope_id, pages.c.segment_id == segment_id))

    def unembedded(self, scope_id: str, model: str, limit: int, *, after_seq: int = 0) -> list[Page]:
        """Returns the oldest ``limit`` pages after a position that have no vectors of this model."""
        other = sa.or_(pages.c.embedded_with.is_(None), pages.c.embedded_with < model, pages.c.embedded_with > model)
        where = (pages.c.scope_id == scope_id, pages.c.seq > after_seq, other)
        return self._read(scope_id, _SELECT.where(*where).limit(limit))

    def count_unembedded(self, scope_id: str, model: str) -> int:
        """Returns the number of pages without vectors of this model."""
        other = sa.or_(pages.c.embedded_with.is_(None), pages.c.embedded_with < model, pages.c.embedded_with > model)
        return self._count(scope_id, pages.c.scope_id == scope_id, other)

    def is_switching(self, scope_id: str, model: str) -> bool:
        """Returns whether any page has only vectors of another model."""
        other = sa.or_(pages.c.embedded_with < model, pages.c.embedded_with > model)
        statement = sa.select(pages.c.seq).where(pages.c.scope_id == scope_id, other).limit(1)
        with self._database.read(scope_id) as connection:
            return connection.execute(statement).scalar_one_or_none() is not None

    def count_learned(self, scope_id: str) -> int:
        """Returns the number of learned pages."""
        return self._count(scope_id, pages.c.scope_id == scope_id, pages.c.learned.is_(True))

    def placed_provisionally(self, scope_id: str, limit: int) -> list[Page]:
        """Returns the oldest run of consecutive pages with provisional segments, at most ``limit`` pages."""
        where = (pages.c.scope_id == scope_id, pages.c.placed_provisionally.is_(True))
        found = self._read(scope_id, _SELECT.where(*where).limit(limit))
        return [page for number, page in enumerate(found) if page.seq == found[0].seq + number]

    def learned_provisionally(self, scope_id: str, limit: int) -> list[Page]:
        """Returns the oldest ``limit`` pages that a fallback analyst learned from, all of the same segment."""
        where = (pages.c.scope_id == scope_id, pages.c.learned_provisionally.is_(True))
        first = sa.select(pages.c.segment_id).where(*where).order_by(pages.c.seq).limit(1).scalar_subquery()
        return self._read(scope_id, _SELECT.where(*where, pages.c.segment_id == first).limit(limit))

    def count_provisional(self, scope_id: str) -> int:
        """Returns the number of pages that a fallback analyst assigned or learned from."""
        mark = sa.or_(pages.c.placed_provisionally.is_(True), pages.c.learned_provisionally.is_(True))
        return self._count(scope_id, pages.c.scope_id == scope_id, mark)

    def segments_of(self, scope_id: str, segment_ids: Iterable[str], from_seq: int) -> list[tuple[int, str]]:
        """Returns (position, segment id) of the pages of these segments, from a position on, in log order."""
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
    """Returns the number of days from 1970 to a page; rounds down also before 1970, where SQL division rounds up."""
    moment = sa.type_coerce(pages.c.at, sa.BigInteger)
    rest = (moment % _MICROSECONDS_PER_DAY + _MICROSECONDS_PER_DAY) % _MICROSECONDS_PER_DAY
    return (moment - rest) // _MICROSECONDS_PER_DAY


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
        raise NotFoundError(f"scope {scope_id} does not exist")
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
