"""Adds a page column: whether the user's or the assistant's text looks like instructions to a model.

The column is NULL in old pages until they are checked.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column with NULL values. Computing the values here would require reading every page."""
    op.add_column("pages", sa.Column("instruction_sides", sa.Integer))
