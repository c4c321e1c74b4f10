"""Replaces the table ``knowledge`` by ``facts``, and adds the table ``readings``.

The attributes of the newest profile version become facts too. Profile versions keep their bodies.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from memoryos.storage.knowledge_conversion import convert_knowledge

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_BATCH_ROWS = 500
_KEYS = {
    "facts": ("scope_id", "fact_id", "subject", "about", "slot", "reading_id"),
    "readings": ("scope_id", "reading_id"),
}
"""The text columns that are compared or sorted, for each new table."""
_SETTING = "current_setting('memoryos.scope_id', true)"


def upgrade() -> None:
    """Creates the new tables, converts the facts of each scope and drops the old table."""
    facts = _create_facts()
    _create_readings()
    op.add_column("pages", sa.Column("reading_id", sa.Text))
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        _prepare_server()
    for scope_id in connection.execute(sa.text("SELECT scope_id FROM scopes ORDER BY scope_id")).scalars().all():
        rows = _converted(connection, scope_id)
        for start in range(0, len(rows), _BATCH_ROWS):
            connection.execute(sa.insert(facts), rows[start : start + _BATCH_ROWS])
    op.drop_table("knowledge")


def _create_facts() -> sa.Table:
    return op.create_table(
        "facts",
        sa.Column("scope_id", sa.Text, sa.ForeignKey("scopes.scope_id"), nullable=False),
        sa.Column("fact_id", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("slot", sa.Text),
        sa.Column("value", sa.Text),
        sa.Column("stated_at", sa.BigInteger, nullable=False),
        sa.Column("valid_from", sa.BigInteger),
        sa.Column("valid_until", sa.BigInteger),
        sa.Column("replaces", sa.JSON, nullable=False),
        sa.Column("source_page_ids", sa.JSON, nullable=False),
        sa.Column("reading_id", sa.Text),
        sa.Column("origin", sa.JSON, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("archived_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("scope_id", "fact_id"),
    )


def _create_readings() -> None:
    op.create_table(
        "readings",
        sa.Column("scope_id", sa.Text, sa.ForeignKey("scopes.scope_id"), nullable=False),
        sa.Column("reading_id", sa.Text, nullable=False),
        sa.Column("shown_from_seq", sa.BigInteger, nullable=False),
        sa.Column("first_seq", sa.BigInteger, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("origin", sa.JSON, nullable=False),
        sa.Column("provisional", sa.Boolean, nullable=False),
        sa.Column("dropped", sa.JSON, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "reading_id"),
    )
    op.create_index("readings_last_seq", "readings", ["scope_id", "last_seq"])


def _prepare_server() -> None:
    op.execute(sa.text('ALTER TABLE pages ALTER COLUMN reading_id TYPE text COLLATE "C"'))
    has_citus = op.get_bind().execute(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'citus'")).first()
    if has_citus:
        op.execute(sa.text("SET LOCAL citus.multi_shard_modify_mode = 'sequential'"))
    for table, columns in _KEYS.items():
        changes = ", ".join(f'ALTER COLUMN {column} TYPE text COLLATE "C"' for column in columns)
        op.execute(sa.text(f"ALTER TABLE {table} {changes}"))
        op.execute(sa.text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"))
        op.execute(sa.text(f"CREATE POLICY one_scope ON {table} USING (scope_id = {_SETTING} OR {_SETTING} = '*')"))
        if has_citus:
            op.execute(sa.text(f"SELECT create_distributed_table('{table}', 'scope_id', colocate_with => 'scopes')"))


def _converted(connection: sa.Connection, scope_id: str) -> list[dict[str, Any]]:
    entries = sa.text(
        "SELECT knowledge_id, about, text, recorded_at, valid_from, superseded_by, archived_at, "
        "CAST(source_page_ids AS TEXT) AS source_page_ids, CAST(origin AS TEXT) AS origin "
        "FROM knowledge WHERE scope_id = :scope_id ORDER BY knowledge_id"
    )
    newest = sa.text(
        "SELECT CAST(body AS TEXT) AS body, recorded_at, CAST(origin AS TEXT) AS origin "
        "FROM profiles WHERE scope_id = :scope_id ORDER BY version DESC LIMIT 1"
    )
    old = [dict(row) for row in connection.execute(entries, {"scope_id": scope_id}).mappings()]
    for each in old:
        each |= {"source_page_ids": _list(each["source_page_ids"]), "origin": _origin(each["origin"])}
    row = connection.execute(newest, {"scope_id": scope_id}).mappings().one_or_none()
    profile = None if row is None else dict(row) | {"body": _body(row["body"]), "origin": _origin(row["origin"])}
    owners = [*old, *(profile["body"]["attributes"] if profile is not None else ())]
    page_ids = sorted({page_id for each in owners for page_id in each["source_page_ids"]})
    return convert_knowledge(scope_id, old, profile, _page_times(connection, scope_id, page_ids))


def _page_times(connection: sa.Connection, scope_id: str, page_ids: list[str]) -> dict[str, int]:
    statement = sa.text("SELECT page_id, at FROM pages WHERE scope_id = :scope_id AND page_id IN :page_ids").bindparams(
        sa.bindparam("page_ids", expanding=True)
    )
    times: dict[str, int] = {}
    for start in range(0, len(page_ids), _BATCH_ROWS):
        values = {"scope_id": scope_id, "page_ids": page_ids[start : start + _BATCH_ROWS]}
        times |= {row.page_id: row.at for row in connection.execute(statement, values)}
    return times


def _parsed(text: str | None) -> Any:
    """Returns the value of a JSON column; None if it is damaged."""
    try:
        return json.loads(text or "")
    except ValueError:
        return None


def _list(text: str | None) -> list[str]:
    value = _parsed(text)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _origin(text: str | None) -> dict[str, str]:
    value = _parsed(text)
    return value if isinstance(value, dict) else {"analyst": "unknown", "version": ""}


def _body(text: str | None) -> dict[str, Any]:
    value = _parsed(text)
    attributes = value.get("attributes", []) if isinstance(value, dict) else []
    return {"attributes": attributes if isinstance(attributes, list) else []}
