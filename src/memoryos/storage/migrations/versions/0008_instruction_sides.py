"""A page column for the sides that look like instructions to a model; NULL until an old page is checked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column with NULL values, because computing them would take time proportional to the log."""
    op.add_column("pages", sa.Column("instruction_sides", sa.Integer))
