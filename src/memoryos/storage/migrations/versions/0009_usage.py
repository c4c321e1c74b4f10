"""Adds counters of the pages and bytes of each scope, for quotas.

In an existing scope, the first append under a quota counts the pages and bytes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the counters and marks them as invalid: ``counted_at_revision`` is NULL.

    So the migration does not have to read the pages.
    """
    op.add_column("scopes", sa.Column("counted_pages", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("scopes", sa.Column("counted_bytes", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("scopes", sa.Column("counted_at_revision", sa.BigInteger))
