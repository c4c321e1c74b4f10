"""How many pages and bytes each scope stores, for quotas. Old scopes are counted when a quota first needs it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the counters; without ``counted_at_revision`` they are not valid, so that no page is read here."""
    op.add_column("scopes", sa.Column("counted_pages", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("scopes", sa.Column("counted_bytes", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("scopes", sa.Column("counted_at_revision", sa.BigInteger))
