"""Adds tables for deletions in progress and due erasures, and converts tombstones to HMACs.

Tombstones of earlier releases contain page ids, or the SHA-256 of texts. Each of these values is replaced by its HMAC
with a new key of the scope. The bytes of the old values may remain in the file, so an erasure is recorded as due.
"""

from __future__ import annotations

import hmac
import secrets
import time
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SLICE_ROWS = 1_000
_OF_SCOPES = {"tombstone_keys": ("scope_id", "secret"), "forgettings": ("scope_id", "forgetting_id")}
_SETTING = "current_setting('memoryos.scope_id', true)"


def upgrade() -> None:
    """Adds tables of tombstone keys, deletions in progress and due erasures; converts tombstones to HMACs."""
    op.create_table(
        "tombstone_keys",
        sa.Column("scope_id", sa.Text, sa.ForeignKey("scopes.scope_id"), nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("is_own", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "secret"),
    )
    op.create_table(
        "forgettings",
        sa.Column("scope_id", sa.Text, sa.ForeignKey("scopes.scope_id"), nullable=False),
        sa.Column("forgetting_id", sa.Text, nullable=False),
        sa.Column("plan", sa.JSON, nullable=False),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "forgetting_id"),
    )
    op.create_table(
        "erasures",
        sa.Column("erasure_id", sa.Text, primary_key=True),
        sa.Column("due_since", sa.BigInteger, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        _prepare_server()
    _convert_tombstones(op.get_bind())


def _prepare_server() -> None:
    has_citus = op.get_bind().execute(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'citus'")).first()
    for table, columns in _OF_SCOPES.items():
        changes = ", ".join(f'ALTER COLUMN {column} TYPE text COLLATE "C"' for column in columns)
        op.execute(sa.text(f"ALTER TABLE {table} {changes}"))
        op.execute(sa.text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"))
        op.execute(sa.text(f"CREATE POLICY one_scope ON {table} USING (scope_id = {_SETTING} OR {_SETTING} = '*')"))
        if has_citus:
            op.execute(sa.text(f"SELECT create_distributed_table('{table}', 'scope_id', colocate_with => 'scopes')"))
    if has_citus:
        op.execute(sa.text("SELECT create_reference_table('erasures')"))


def _convert_tombstones(connection: sa.Connection) -> None:
    scope_ids = connection.execute(sa.text("SELECT DISTINCT scope_id FROM tombstones")).scalars().all()
    for scope_id in scope_ids:
        secret = secrets.token_hex(32)
        connection.execute(
            sa.text("INSERT INTO tombstone_keys (scope_id, secret, is_own) VALUES (:scope_id, :secret, :is_own)"),
            {"scope_id": scope_id, "secret": secret, "is_own": True},
        )
        found = sa.text("SELECT kind, mark FROM tombstones WHERE scope_id = :scope_id")
        rows = connection.execute(found, {"scope_id": scope_id}).all()
        change = sa.text(
            "UPDATE tombstones SET mark = :new WHERE scope_id = :scope_id AND kind = :kind AND mark = :old"
        )
        for start in range(0, len(rows), _SLICE_ROWS):
            changes = [
                {"scope_id": scope_id, "kind": kind, "old": mark, "new": _converted(secret, kind, mark)}
                for kind, mark in rows[start : start + _SLICE_ROWS]
            ]
            connection.execute(change, changes)
    if scope_ids:
        connection.execute(
            sa.text("INSERT INTO erasures (erasure_id, due_since) VALUES (:erasure_id, :due_since)"),
            {"erasure_id": str(uuid.uuid4()), "due_since": time.time_ns() // 1_000},
        )


def _converted(secret: str, kind: str, mark: str) -> str:
    return hmac.digest(bytes.fromhex(secret), f"{kind}:{mark}".encode(), "sha256").hex()
