"""Creates the tables of scopes, pages, vectors, mid-term memory and long-term memory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_CURRENT = sa.text("superseded_by IS NULL AND archived_at IS NULL")


def _scope_id() -> sa.Column[str]:
    return sa.Column("scope_id", sa.Text, sa.ForeignKey("scopes.scope_id"), nullable=False)


def upgrade() -> None:
    """Creates all tables."""
    _create_scopes()
    _create_pages()
    _create_vectors()
    _create_mid_term()
    _create_long_term()


def _create_scopes() -> None:
    op.create_table(
        "scopes",
        sa.Column("scope_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("assistant_id", sa.Text, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("learned_revision", sa.BigInteger, nullable=False),
        sa.Column("touched_at", sa.BigInteger, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("retry_at", sa.BigInteger),
        sa.Column("last_error", sa.Text),
        sa.UniqueConstraint("user_id", "assistant_id", name="scopes_owner"),
    )


def _create_pages() -> None:
    op.create_table(
        "pages",
        _scope_id(),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("page_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("user_text", sa.Text, nullable=False),
        sa.Column("assistant_text", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text),
        sa.Column("assistant_name", sa.Text),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("chain_id", sa.Text),
        sa.Column("segment_id", sa.Text),
        sa.Column("learned", sa.Boolean, nullable=False),
        sa.Column("embedded_with", sa.Text),
        sa.PrimaryKeyConstraint("scope_id", "seq"),
        sa.UniqueConstraint("scope_id", "page_id", name="pages_id"),
    )
    op.create_index("pages_segment", "pages", ["scope_id", "segment_id", "seq"])
    op.create_index("pages_embedded", "pages", ["scope_id", "embedded_with", "seq"])


def _create_vectors() -> None:
    op.create_table(
        "vectors",
        _scope_id(),
        sa.Column("owner_kind", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("dimensions", sa.Integer, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "owner_kind", "owner_id", "model"),
    )


def _create_mid_term() -> None:
    op.create_table(
        "chains",
        _scope_id(),
        sa.Column("chain_id", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("origin", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "chain_id"),
    )
    op.create_table(
        "segments",
        _scope_id(),
        sa.Column("segment_id", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("keywords", sa.JSON, nullable=False),
        sa.Column("visits", sa.BigInteger, nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("page_count", sa.BigInteger, nullable=False),
        sa.Column("last_visited_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("archived_at", sa.BigInteger),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("origin", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "segment_id"),
    )
    op.create_index("segments_revision", "segments", ["scope_id", "revision"])


def _create_long_term() -> None:
    op.create_table(
        "knowledge",
        _scope_id(),
        sa.Column("knowledge_id", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("valid_from", sa.BigInteger),
        sa.Column("superseded_by", sa.Text),
        sa.Column("archived_at", sa.BigInteger),
        sa.Column("source_page_ids", sa.JSON, nullable=False),
        sa.Column("origin", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "knowledge_id"),
    )
    op.create_index(
        "knowledge_current",
        "knowledge",
        ["scope_id", "about", "knowledge_id"],
        sqlite_where=_CURRENT,
        postgresql_where=_CURRENT,
    )
    op.create_table(
        "profiles",
        _scope_id(),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("origin", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "version"),
    )
