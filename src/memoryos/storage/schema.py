"""The database tables.

Each table with data of a scope has a primary key that starts with ``scope_id``, so its rows can be distributed over
several servers by scope. Times are stored as microseconds since 1970 (UTC), ids as UUID text, lists and objects as
JSON, and vectors as little-endian float32.
"""

from __future__ import annotations

import sqlalchemy as sa

from memoryos.storage.column_types import BigInteger, CheckedType, Day, Integer, Json, OffsetMinutes, Text, UtcTime

__all__ = [
    "api_keys",
    "chains",
    "costs",
    "erasures",
    "facts",
    "forgettings",
    "idempotency",
    "metadata",
    "owners",
    "pages",
    "profiles",
    "readings",
    "scopes",
    "segments",
    "store_settings",
    "tombstone_keys",
    "tombstones",
    "vectors",
]

metadata = sa.MetaData()

scopes = sa.Table(
    "scopes",
    metadata,
    sa.Column("scope_id", Text, primary_key=True),
    sa.Column("user_id", Text, nullable=False),
    sa.Column("assistant_id", Text, nullable=False),
    sa.Column("last_seq", BigInteger, nullable=False),
    sa.Column("revision", BigInteger, nullable=False),
    sa.Column("learned_revision", BigInteger, nullable=False),
    sa.Column("reset_revision", BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("touched_at", UtcTime, nullable=False),
    sa.Column("lease_owner", Text),
    sa.Column("lease_until", UtcTime),
    sa.Column("attempts", Integer, nullable=False),
    sa.Column("retry_at", UtcTime),
    sa.Column("last_error", Text),
    sa.Column("counted_pages", BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("counted_bytes", BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("counted_at_revision", BigInteger),
)

owners = sa.Table(
    "owners",
    metadata,
    sa.Column("user_id", Text, nullable=False),
    sa.Column("assistant_id", Text, nullable=False),
    sa.Column("scope_id", Text, nullable=False),
    sa.PrimaryKeyConstraint("user_id", "assistant_id"),
)


def _scope_id() -> sa.Column[str]:
    return sa.Column("scope_id", Text, sa.ForeignKey("scopes.scope_id"), nullable=False)


pages = sa.Table(
    "pages",
    metadata,
    _scope_id(),
    sa.Column("seq", BigInteger, nullable=False),
    sa.Column("page_id", Text, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("user_text", Text, nullable=False),
    sa.Column("assistant_text", Text, nullable=False),
    sa.Column("user_name", Text),
    sa.Column("assistant_name", Text),
    sa.Column("metadata", Json, nullable=False),
    sa.Column("chain_id", Text),
    sa.Column("segment_id", Text),
    sa.Column("profiled", sa.Boolean, nullable=False),
    sa.Column("embedded_with", Text),
    sa.Column("read_provisionally", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("profiled_provisionally", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("instruction_sides", Integer),
    sa.Column("utc_offset_minutes", OffsetMinutes),
    sa.Column("reading_id", Text),
    sa.PrimaryKeyConstraint("scope_id", "seq"),
    sa.UniqueConstraint("scope_id", "page_id", name="pages_id"),
    sa.Index("pages_segment", "scope_id", "segment_id", "seq"),
    sa.Index("pages_embedded", "scope_id", "embedded_with", "seq"),
)

for _mark in (pages.c.read_provisionally, pages.c.profiled_provisionally):
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
    sa.Column("owner_kind", Text, nullable=False),
    sa.Column("owner_id", Text, nullable=False),
    sa.Column("model", Text, nullable=False),
    sa.Column("dimensions", Integer, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "owner_kind", "owner_id", "model"),
)

chains = sa.Table(
    "chains",
    metadata,
    _scope_id(),
    sa.Column("chain_id", Text, nullable=False),
    sa.Column("summary", Text, nullable=False),
    sa.Column("origin", Json, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "chain_id"),
)

segments = sa.Table(
    "segments",
    metadata,
    _scope_id(),
    sa.Column("segment_id", Text, nullable=False),
    sa.Column("summary", Text, nullable=False),
    sa.Column("keywords", Json, nullable=False),
    sa.Column("visits", BigInteger, nullable=False),
    sa.Column("length", BigInteger, nullable=False),
    sa.Column("page_count", BigInteger, nullable=False),
    sa.Column("last_visited_at", UtcTime, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("archived_at", UtcTime),
    sa.Column("revision", BigInteger, nullable=False),
    sa.Column("origin", Json, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "segment_id"),
    sa.Index("segments_revision", "scope_id", "revision"),
)

facts = sa.Table(
    "facts",
    metadata,
    _scope_id(),
    sa.Column("fact_id", Text, nullable=False),
    sa.Column("subject", Text, nullable=False),
    sa.Column("about", Text, nullable=False),
    sa.Column("kind", Text, nullable=False),
    sa.Column("status", Text),
    sa.Column("text", Text, nullable=False),
    sa.Column("slot", Text),
    sa.Column("value", Text),
    sa.Column("stated_at", UtcTime, nullable=False),
    sa.Column("valid_from", UtcTime),
    sa.Column("valid_until", UtcTime),
    sa.Column("replaces", Json, nullable=False),
    sa.Column("source_page_ids", Json, nullable=False),
    sa.Column("reading_id", Text),
    sa.Column("origin", Json, nullable=False),
    sa.Column("recorded_at", UtcTime, nullable=False),
    sa.Column("archived_at", UtcTime),
    sa.Column("revision", BigInteger, nullable=False, server_default="0"),
    sa.PrimaryKeyConstraint("scope_id", "fact_id"),
    sa.Index("facts_revision", "scope_id", "revision"),
)

readings = sa.Table(
    "readings",
    metadata,
    _scope_id(),
    sa.Column("reading_id", Text, nullable=False),
    sa.Column("shown_from_seq", BigInteger, nullable=False),
    sa.Column("first_seq", BigInteger, nullable=False),
    sa.Column("last_seq", BigInteger, nullable=False),
    sa.Column("origin", Json, nullable=False),
    sa.Column("provisional", sa.Boolean, nullable=False),
    sa.Column("dropped", Json, nullable=False),
    sa.Column("recorded_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "reading_id"),
    sa.Index("readings_last_seq", "scope_id", "last_seq"),
)

profiles = sa.Table(
    "profiles",
    metadata,
    _scope_id(),
    sa.Column("version", BigInteger, nullable=False),
    sa.Column("body", Json, nullable=False),
    sa.Column("recorded_at", UtcTime, nullable=False),
    sa.Column("origin", Json, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "version"),
)

costs = sa.Table(
    "costs",
    metadata,
    _scope_id(),
    sa.Column("day", Day, nullable=False),
    sa.Column("purpose", Text, nullable=False),
    sa.Column("model", Text, nullable=False),
    sa.Column("calls", BigInteger, nullable=False),
    sa.Column("failed_calls", BigInteger, nullable=False),
    sa.Column("prompt_tokens", BigInteger, nullable=False),
    sa.Column("completion_tokens", BigInteger, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "day", "purpose", "model"),
    sa.Index("costs_day", "day"),
)

tombstones = sa.Table(
    "tombstones",
    metadata,
    _scope_id(),
    sa.Column("kind", Text, nullable=False),
    sa.Column("mark", Text, nullable=False),
    sa.Column("forgotten_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "kind", "mark"),
)

tombstone_keys = sa.Table(
    "tombstone_keys",
    metadata,
    _scope_id(),
    sa.Column("secret", Text, nullable=False),
    sa.Column("is_own", sa.Boolean, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "secret"),
)

forgettings = sa.Table(
    "forgettings",
    metadata,
    _scope_id(),
    sa.Column("forgetting_id", Text, nullable=False),
    sa.Column("plan", Json, nullable=False),
    sa.Column("begun_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "forgetting_id"),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    _scope_id(),
    sa.Column("key_hash", Text, nullable=False),
    sa.Column("request_hash", Text, nullable=False),
    sa.Column("page_ids", Json, nullable=False),
    sa.Column("noted_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "key_hash"),
    sa.Index("idempotency_noted_at", "scope_id", "noted_at"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", Text, primary_key=True),
    sa.Column("name", Text, nullable=False),
    sa.Column("user_id", Text),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime),
    sa.Column("revoked_at", UtcTime),
    sa.Column("secret_hash", Text, nullable=False),
)

erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column("erasure_id", Text, primary_key=True),
    sa.Column("due_since", UtcTime, nullable=False),
)

store_settings = sa.Table(
    "store_settings",
    metadata,
    sa.Column("name", Text, primary_key=True),
    sa.Column("value", Text, nullable=False),
)

for _table in metadata.tables.values():
    for _column in _table.columns:
        if isinstance(_column.type, CheckedType):
            _column.type.place = f"{_table.name}.{_column.name}"
