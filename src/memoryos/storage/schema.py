"""The tables. Every key starts with scope_id, so that a table can be distributed by it; only owners start with theirs.

Times are microseconds since 1970 in UTC; ids are UUIDv7 text; lists and objects are JSON; vectors are little-endian
float32.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

__all__ = [
    "UtcTime",
    "api_keys",
    "chains",
    "costs",
    "erasures",
    "forgettings",
    "idempotency",
    "knowledge",
    "metadata",
    "owners",
    "pages",
    "profiles",
    "scopes",
    "segments",
    "tombstone_keys",
    "tombstones",
    "vectors",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime as microseconds since 1970: sortable, exact, the same on every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Returns the microseconds of an aware time."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Returns the aware UTC time of the microseconds."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = sa.MetaData()

scopes = sa.Table(
    "scopes",
    metadata,
    sa.Column("scope_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("assistant_id", sa.Text, nullable=False),
    sa.Column("last_seq", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("learned_revision", sa.BigInteger, nullable=False),
    sa.Column("reset_revision", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("touched_at", UtcTime, nullable=False),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until", UtcTime),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("retry_at", UtcTime),
    sa.Column("last_error", sa.Text),
)

owners = sa.Table(
    "owners",
    metadata,
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("assistant_id", sa.Text, nullable=False),
    sa.Column("scope_id", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("user_id", "assistant_id"),
)


def _scope_id() -> sa.Column[str]:
    return sa.Column("scope_id", sa.Text, sa.ForeignKey("scopes.scope_id"), nullable=False)


pages = sa.Table(
    "pages",
    metadata,
    _scope_id(),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("page_id", sa.Text, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("user_text", sa.Text, nullable=False),
    sa.Column("assistant_text", sa.Text, nullable=False),
    sa.Column("user_name", sa.Text),
    sa.Column("assistant_name", sa.Text),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("chain_id", sa.Text),
    sa.Column("segment_id", sa.Text),
    sa.Column("learned", sa.Boolean, nullable=False),
    sa.Column("embedded_with", sa.Text),
    sa.Column("placed_provisionally", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("learned_provisionally", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.PrimaryKeyConstraint("scope_id", "seq"),
    sa.UniqueConstraint("scope_id", "page_id", name="pages_id"),
    sa.Index("pages_segment", "scope_id", "segment_id", "seq"),
    sa.Index("pages_embedded", "scope_id", "embedded_with", "seq"),
)

for _mark in (pages.c.placed_provisionally, pages.c.learned_provisionally):
    sa.Index(
        f"pages_{_mark.name}",
        pages.c.scope_id,
        pages.c.seq,
        sqlite_where=_mark.is_(True),
        postgresql_where=_mark.is_(True),
    )

vectors = sa.Table(
    "vectors",
    metadata,
    _scope_id(),
    sa.Column("owner_kind", sa.Text, nullable=False),
    sa.Column("owner_id", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("dimensions", sa.Integer, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "owner_kind", "owner_id", "model"),
)

chains = sa.Table(
    "chains",
    metadata,
    _scope_id(),
    sa.Column("chain_id", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("origin", sa.JSON, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "chain_id"),
)

segments = sa.Table(
    "segments",
    metadata,
    _scope_id(),
    sa.Column("segment_id", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("keywords", sa.JSON, nullable=False),
    sa.Column("visits", sa.BigInteger, nullable=False),
    sa.Column("length", sa.BigInteger, nullable=False),
    sa.Column("page_count", sa.BigInteger, nullable=False),
    sa.Column("last_visited_at", UtcTime, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("archived_at", UtcTime),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("origin", sa.JSON, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "segment_id"),
    sa.Index("segments_revision", "scope_id", "revision"),
)

knowledge = sa.Table(
    "knowledge",
    metadata,
    _scope_id(),
    sa.Column("knowledge_id", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("recorded_at", UtcTime, nullable=False),
    sa.Column("valid_from", UtcTime),
    sa.Column("superseded_by", sa.Text),
    sa.Column("archived_at", UtcTime),
    sa.Column("source_page_ids", sa.JSON, nullable=False),
    sa.Column("origin", sa.JSON, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "knowledge_id"),
    sa.Index(
        "knowledge_current",
        "scope_id",
        "about",
        "knowledge_id",
        sqlite_where=sa.text("superseded_by IS NULL AND archived_at IS NULL"),
        postgresql_where=sa.text("superseded_by IS NULL AND archived_at IS NULL"),
    ),
)

profiles = sa.Table(
    "profiles",
    metadata,
    _scope_id(),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("recorded_at", UtcTime, nullable=False),
    sa.Column("origin", sa.JSON, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "version"),
)

costs = sa.Table(
    "costs",
    metadata,
    _scope_id(),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("failed_calls", sa.BigInteger, nullable=False),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
    sa.Column("completion_tokens", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "day", "purpose", "model"),
    sa.Index("costs_day", "day"),
)

tombstones = sa.Table(
    "tombstones",
    metadata,
    _scope_id(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("mark", sa.Text, nullable=False),
    sa.Column("forgotten_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "kind", "mark"),
)

tombstone_keys = sa.Table(
    "tombstone_keys",
    metadata,
    _scope_id(),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("is_own", sa.Boolean, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "secret"),
)

forgettings = sa.Table(
    "forgettings",
    metadata,
    _scope_id(),
    sa.Column("forgetting_id", sa.Text, nullable=False),
    sa.Column("plan", sa.JSON, nullable=False),
    sa.Column("begun_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "forgetting_id"),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    _scope_id(),
    sa.Column("key_hash", sa.Text, nullable=False),
    sa.Column("request_hash", sa.Text, nullable=False),
    sa.Column("page_ids", sa.JSON, nullable=False),
    sa.Column("noted_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "key_hash"),
    sa.Index("idempotency_noted_at", "scope_id", "noted_at"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime),
    sa.Column("revoked_at", UtcTime),
    sa.Column("secret_hash", sa.Text, nullable=False),
)

erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column("erasure_id", sa.Text, primary_key=True),
    sa.Column("due_since", UtcTime, nullable=False),
)
