"""Adds the table ``owners`` with the owner of each scope, which is a user and an assistant.

The key of ``owners`` replaces the unique constraint on the owner columns of ``scopes``, so that ``scopes`` can be
distributed over several servers by scope id. If the PostgreSQL extension Citus is installed, this migration distributes
the tables. On SQLite the old constraint remains, because SQLite could drop it only by rebuilding the table.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OF_SCOPES = ("pages", "vectors", "chains", "segments", "knowledge", "profiles", "costs", "tombstones", "idempotency")
_SETTING = "current_setting('memoryos.scope_id', true)"


def upgrade() -> None:
    """Adds the table of owners. With Citus, distributes the tables over the nodes."""
    op.create_table(
        "owners",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("assistant_id", sa.Text, nullable=False),
        sa.Column("scope_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "assistant_id"),
    )
    op.execute(sa.text("INSERT INTO owners SELECT user_id, assistant_id, scope_id FROM scopes"))
    if op.get_bind().dialect.name != "postgresql":
        return
    columns = ", ".join(
        f'ALTER COLUMN {name} TYPE text COLLATE "C"' for name in ("user_id", "assistant_id", "scope_id")
    )
    op.execute(sa.text(f"ALTER TABLE owners {columns}"))
    op.execute(sa.text("ALTER TABLE owners ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"))
    op.execute(sa.text(f"CREATE POLICY one_scope ON owners USING (scope_id = {_SETTING} OR {_SETTING} = '*')"))
    op.drop_constraint("scopes_owner", "scopes")
    if op.get_bind().execute(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'citus'")).first():
        _distribute()


def _distribute() -> None:
    """Distributes scope tables by scope id and ``owners`` by user id; copies API keys to all nodes."""
    op.execute(sa.text("SET LOCAL citus.multi_shard_modify_mode = 'sequential'"))
    op.execute(sa.text("SELECT create_distributed_table('scopes', 'scope_id', colocate_with => 'none')"))
    for table in _OF_SCOPES:
        op.execute(sa.text(f"SELECT create_distributed_table('{table}', 'scope_id', colocate_with => 'scopes')"))
    op.execute(sa.text("SELECT create_distributed_table('owners', 'user_id', colocate_with => 'none')"))
    op.execute(sa.text("SELECT create_reference_table('api_keys')"))
