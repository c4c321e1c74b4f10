"""Counters of pages and bytes by scope, for quotas. Old scopes are counted at their first append under a quota."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the counters as invalid (NULL in ``counted_at_revision``), so the migration does not read pages."""
    op.add_column("scopes", sa.Column("counted_pages", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("scopes", sa.Column("counted_bytes", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("scopes", sa.Column("counted_at_revision", sa.BigInteger))
