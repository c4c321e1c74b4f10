"""Adds a page column: the UTC offset of the time that the caller gave, in minutes.

The column is NULL in old pages, because earlier releases did not store the offset.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column with NULL values, without rewriting the rows."""
    op.add_column("pages", sa.Column("utc_offset_minutes", sa.Integer))
