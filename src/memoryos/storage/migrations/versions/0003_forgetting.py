"""Adds tombstones, so that forgotten or corrected texts are not learned or imported again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table of tombstones (hashes of forgotten or corrected texts)."""
    op.create_table(
        "tombstones",
        sa.Column("scope_id", sa.Text, sa.ForeignKey("scopes.scope_id"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("forgotten_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "kind", "mark"),
    )
