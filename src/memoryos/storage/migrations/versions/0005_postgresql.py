"""PostgreSQL only: sorts ids by bytes, and adds row-level security by scope."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEYS = {
    "scopes": ("scope_id", "user_id", "assistant_id"),
    "pages": ("scope_id", "page_id", "chain_id", "segment_id", "embedded_with"),
    "vectors": ("scope_id", "owner_kind", "owner_id", "model"),
    "chains": ("scope_id", "chain_id"),
    "segments": ("scope_id", "segment_id"),
    "knowledge": ("scope_id", "knowledge_id", "about", "superseded_by"),
    "profiles": ("scope_id",),
    "costs": ("scope_id", "purpose", "model"),
    "tombstones": ("scope_id", "kind", "mark"),
    "idempotency": ("scope_id", "key_hash"),
}
"""The text columns that are compared or sorted, for each table with a scope id."""
_SETTING = "current_setting('memoryos.scope_id', true)"


def upgrade() -> None:
    """Sets the collation of the id columns and adds row-level security."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, columns in _KEYS.items():
        changes = ", ".join(f'ALTER COLUMN {column} TYPE text COLLATE "C"' for column in columns)
        op.execute(sa.text(f"ALTER TABLE {table} {changes}"))
        op.execute(sa.text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"))
        op.execute(sa.text(f"CREATE POLICY one_scope ON {table} USING (scope_id = {_SETTING} OR {_SETTING} = '*')"))
    op.execute(sa.text('ALTER TABLE api_keys ALTER COLUMN key_id TYPE text COLLATE "C"'))
