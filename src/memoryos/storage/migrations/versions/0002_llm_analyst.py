"""Adds the costs of model calls, and marks for results of the fallback analyst.

The fallback analyst is used while the configured LLM is unavailable.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table of costs, and the columns that mark results of the fallback analyst."""
    op.add_column("scopes", sa.Column("reset_revision", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("pages", sa.Column("placed_provisionally", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("pages", sa.Column("learned_provisionally", sa.Boolean, nullable=False, server_default=sa.false()))
    for name in ("placed_provisionally", "learned_provisionally"):
        op.create_index(
            f"pages_{name}",
            "pages",
            ["scope_id", "seq"],
            sqlite_where=sa.column(name).is_(True),
            postgresql_where=sa.column(name).is_(True),
        )
    op.create_table(
        "costs",
        sa.Column("scope_id", sa.Text, sa.ForeignKey("scopes.scope_id"), nullable=False),
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
