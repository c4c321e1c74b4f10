"""Renames the markers of pages to ``profiled``, ``read_provisionally`` and ``profiled_provisionally``.

Also adds the revision at which a fact was written.

Pages are now read in the order of the log, which also assigns their segments, and segments that are hot are profiled.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_NEW_NAMES = {
    "learned": "profiled",
    "placed_provisionally": "read_provisionally",
    "learned_provisionally": "profiled_provisionally",
}


def upgrade() -> None:
    """Renames the columns, creates the partial indexes again under the new names, and adds the revision of facts."""
    for old in ("placed_provisionally", "learned_provisionally"):
        op.execute(sa.text(f"DROP INDEX pages_{old}"))
    for old, new in _NEW_NAMES.items():
        op.execute(sa.text(f"ALTER TABLE pages RENAME COLUMN {old} TO {new}"))
    for new in ("read_provisionally", "profiled_provisionally"):
        is_set = sa.column(new).is_(True)
        op.create_index(f"pages_{new}", "pages", ["scope_id", "seq"], sqlite_where=is_set, postgresql_where=is_set)
    op.add_column("facts", sa.Column("revision", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("facts_revision", "facts", ["scope_id", "revision"])
