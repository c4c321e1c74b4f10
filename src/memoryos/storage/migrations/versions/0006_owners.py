"""Who owns a scope gets a table of its own, so that tables can be distributed; where Citus is, they are.

SQLite keeps the unique key of ``scopes``, which it could lose only with the whole table; it says the same.
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
    """Adds the owners, and distributes what belongs to a scope by its id."""
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
    """Puts a scope's rows onto one node, its owner where the user is found, and API keys onto every node."""
    op.execute(sa.text("SET LOCAL citus.multi_shard_modify_mode = 'sequential'"))
    op.execute(sa.text("SELECT create_distributed_table('scopes', 'scope_id', colocate_with => 'none')"))
    for table in _OF_SCOPES:
        op.execute(sa.text(f"SELECT create_distributed_table('{table}', 'scope_id', colocate_with => 'scopes')"))
    op.execute(sa.text("SELECT create_distributed_table('owners', 'user_id', colocate_with => 'none')"))
    op.execute(sa.text("SELECT create_reference_table('api_keys')"))
