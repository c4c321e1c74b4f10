"""Usage and quotas: the number of pages and bytes that a scope stores and may store.

The table ``scopes`` has cached counters. They are valid while ``counted_at_revision`` equals ``reset_revision``. An
append increments them in the statement that assigns the log positions. A deletion increases ``reset_revision`` and so
makes the counters invalid; the next append under a quota counts again. Scopes without a quota are never counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import QuotaExceededError
from memoryos.storage.schema import pages, scopes

if TYPE_CHECKING:
    from memoryos.model import Page, PageDraft

__all__ = ["NO_QUOTA", "Quota", "Usage", "bytes_of", "find_wrong_counters", "refresh_counters", "usage_of"]


@dataclass(frozen=True, slots=True)
class Usage:
    """The storage that a scope uses.

    Attributes:
        pages: Number of pages.
        bytes: Size of the texts (UTF-8) and the metadata (JSON) in bytes, without vectors and indexes.
    """

    pages: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Quota:
    """Maximum number of pages and bytes that a scope may store. None means no limit."""

    pages: int | None = None
    bytes: int | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is any limit."""
        return self.pages is not None or self.bytes is not None

    def check(self, usage: Usage) -> None:
        """Checks whether a usage is within the quota.

        Args:
            usage: The usage of the scope after the planned write.

        Raises:
            QuotaExceededError: If the usage exceeds a limit. The message names the setting of this limit.
        """
        if self.pages is not None and usage.pages > self.pages:
            raise QuotaExceededError("max_pages_per_scope", self.pages, usage.pages)
        if self.bytes is not None and usage.bytes > self.bytes:
            raise QuotaExceededError("max_bytes_per_scope", self.bytes, usage.bytes)


NO_QUOTA = Quota()


def bytes_of(page: Page | PageDraft) -> int:
    """Returns the number of bytes that a page adds to the usage of its scope."""
    metadata = json.dumps(dict(page.metadata)) if page.metadata else "{}"
    return len(page.user_text.encode()) + len(page.assistant_text.encode()) + len(metadata)


def usage_of(connection: sa.Connection, scope_id: str) -> Usage:
    """Returns the usage of a scope, from the counters if they are valid, else by reading all pages."""
    columns = (scopes.c.counted_pages, scopes.c.counted_bytes, scopes.c.counted_at_revision, scopes.c.reset_revision)
    row = connection.execute(sa.select(*columns).where(scopes.c.scope_id == scope_id)).one_or_none()
    if row is not None and row.counted_at_revision == row.reset_revision:
        return Usage(row.counted_pages, row.counted_bytes)
    statement = sa.select(*_totals(connection)).where(pages.c.scope_id == scope_id)
    return Usage(*connection.execute(statement).one())


def refresh_counters(connection: sa.Connection, scope_id: str) -> Usage:
    """Returns the usage of a scope. Counts again in the caller's write transaction if the counters are invalid."""
    usage = usage_of(connection, scope_id)
    stale = scopes.c.counted_at_revision.is_distinct_from(scopes.c.reset_revision)
    connection.execute(
        sa.update(scopes)
        .where(scopes.c.scope_id == scope_id, stale)
        .values(counted_pages=usage.pages, counted_bytes=usage.bytes, counted_at_revision=scopes.c.reset_revision)
    )
    return usage


def find_wrong_counters(connection: sa.Connection) -> list[tuple[str, int, int, int, int]]:
    """Returns the scopes whose valid counters differ from the stored pages.

    Returns:
        Tuples (scope id, counted pages, counted bytes, stored pages, stored bytes).
    """
    count, size = _totals(connection)
    stored = (
        sa.select(pages.c.scope_id, count.label("pages"), size.label("bytes")).group_by(pages.c.scope_id).subquery()
    )
    actual = [sa.func.coalesce(column, 0) for column in (stored.c.pages, stored.c.bytes)]
    counted = (scopes.c.counted_pages, scopes.c.counted_bytes)
    statement = (
        sa.select(scopes.c.scope_id, *counted, *actual)
        .select_from(scopes.outerjoin(stored, stored.c.scope_id == scopes.c.scope_id))
        .where(scopes.c.counted_at_revision == scopes.c.reset_revision)
        .where(sa.or_(counted[0] != actual[0], counted[1] != actual[1]))
        .order_by(scopes.c.scope_id)
    )
    return [tuple(row) for row in connection.execute(statement)]


def _totals(connection: sa.Connection) -> tuple[sa.ColumnElement[int], sa.ColumnElement[int]]:
    """Returns two SQL expressions: the number of pages and their number of bytes."""
    texts = (pages.c.user_text, pages.c.assistant_text, sa.cast(pages.c.metadata, sa.Text))
    size: Any = sum((_length(connection, each) for each in texts), sa.literal(0))
    return sa.func.count(), sa.cast(sa.func.coalesce(sa.func.sum(size), 0), sa.BigInteger)


def _length(connection: sa.Connection, text: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Returns SQL for the UTF-8 size of a text; SQLite before 3.43 has no function ``octet_length``."""
    if connection.dialect.name == "sqlite":
        return sa.func.length(sa.cast(text, sa.LargeBinary))
    return sa.func.octet_length(text)
