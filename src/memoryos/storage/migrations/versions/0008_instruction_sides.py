"""Pages keep which of their sides read like an instruction to a model; older pages are judged when they are read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column, empty: filling it would take a time that grows with the log."""
    op.add_column("pages", sa.Column("instruction_sides", sa.Integer))
