"""Table of settings that belong to the store and not to a process, such as the embedding model chosen for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the empty table."""
    op.create_table(
        "store_settings",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text('ALTER TABLE store_settings ALTER COLUMN name TYPE text COLLATE "C"'))
        if op.get_bind().execute(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'citus'")).first():
            op.execute(sa.text("SELECT create_reference_table('store_settings')"))
