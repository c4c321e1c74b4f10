"""Replaces the table ``knowledge`` by ``facts``, and adds the table ``readings``.

The attributes of the newest profile version become facts too. Profile versions keep their bodies.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import op

from memoryos.storage.knowledge_conversion import convert_knowledge

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_COLUMNS = {
    "knowledge": (
        *("knowledge_id", "about", "text", "recorded_at", "valid_from", "superseded_by", "archived_at"),
        *("source_page_ids", "origin"),
    ),
    "profiles": ("version", "body", "recorded_at", "origin"),
}
_TEXTS = frozenset({"knowledge_id", "about", "text", "superseded_by", "source_page_ids", "body", "origin"})
"""The columns of ``_COLUMNS`` with text or JSON."""
_ABOUT = ("user", "assistant")
_TIMES = (-62_135_596_800_000_000, 253_402_300_799_999_999)
"""The first and the last microsecond of the years 1 to 9999."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
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
    entries = [_read_entry(row) for row in _rows(connection, "knowledge", scope_id, "knowledge_id")]
    profiles = [_read_profile(row) for row in _rows(connection, "profiles", scope_id, "version")]
    owners = [*entries, *(attribute for each in profiles for attribute in each["body"]["attributes"])]
    page_ids = sorted({page_id for each in owners for page_id in each["source_page_ids"]})
    return convert_knowledge(scope_id, entries, profiles, _page_times(connection, scope_id, page_ids))


def _rows(connection: sa.Connection, table: str, scope_id: str, order: str) -> Iterator[dict[str, Any]]:
    """Yields the rows of a table with text as bytes on SQLite, where text that is not UTF-8 can't be read otherwise."""
    names = _COLUMNS[table]
    kind = "BLOB" if connection.dialect.name == "sqlite" else "TEXT"
    columns = ", ".join(f"CAST({name} AS {kind}) AS {name}" if name in _TEXTS else name for name in names)
    statement = sa.text(f"SELECT {columns} FROM {table} WHERE scope_id = :scope_id ORDER BY {order}")  # noqa: S608
    for row in connection.execute(statement, {"scope_id": scope_id}).mappings():
        yield {name: _text(row[name]) if name in _TEXTS else row[name] for name in names}


def _page_times(connection: sa.Connection, scope_id: str, page_ids: list[str]) -> dict[str, int]:
    statement = sa.text("SELECT page_id, at FROM pages WHERE scope_id = :scope_id AND page_id IN :page_ids").bindparams(
        sa.bindparam("page_ids", expanding=True)
    )
    times: dict[str, int] = {}
    for start in range(0, len(page_ids), _BATCH_ROWS):
        values = {"scope_id": scope_id, "page_ids": page_ids[start : start + _BATCH_ROWS]}
        times |= {row.page_id: row.at for row in connection.execute(statement, values) if _is_time(row.at)}
    return times


def _read_entry(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row of the table ``knowledge``. Damaged values are replaced, so that the fact can be read."""
    archived_at, recorded_at = row["archived_at"], _time(row["recorded_at"])
    return {
        "knowledge_id": row["knowledge_id"],
        "about": row["about"] if row["about"] in _ABOUT else _ABOUT[0],
        "text": row["text"],
        "recorded_at": recorded_at,
        "valid_from": row["valid_from"] if _is_time(row["valid_from"]) else None,
        "superseded_by": row["superseded_by"],
        "archived_at": archived_at if archived_at is None or _is_time(archived_at) else recorded_at,
        "source_page_ids": _page_ids(_parsed(row["source_page_ids"])),
        "origin": _origin(row["origin"]),
    }


def _read_profile(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row of the table ``profiles`` with the attributes that can be read."""
    body = _parsed(row["body"])
    found = body.get("attributes") if isinstance(body, dict) else None
    attributes = [
        {name: _clean(each[name]) for name in ("name", "value")}
        | {"source_page_ids": _page_ids(each.get("source_page_ids"))}
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, dict) and all(isinstance(each.get(name), str) for name in ("name", "value"))
    ]
    return {
        "body": {"attributes": attributes},
        "recorded_at": _time(row["recorded_at"]),
        "origin": _origin(row["origin"]),
    }


def _text(value: Any) -> str | None:
    """Returns a value of a text column; characters that are not UTF-8 are replaced."""
    return None if value is None else _clean(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def _is_time(value: Any) -> bool:
    return isinstance(value, int) and _TIMES[0] <= value <= _TIMES[1]


def _time(value: Any) -> int:
    """Returns a time in microseconds since 1970; 0 if it is damaged."""
    return value if _is_time(value) else 0


def _clean(text: str) -> str:
    """Replaces the characters that a database can't store."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _parsed(text: str | None) -> Any:
    """Returns the value of a JSON column; None if it is damaged."""
    try:
        return json.loads(text or "")
    except (ValueError, RecursionError):
        return None


def _page_ids(value: Any) -> list[str]:
    """Returns the page ids in a JSON value. A text with a character that no database can store is not a page id."""
    found = value if isinstance(value, list) else ()
    return [each for each in found if isinstance(each, str) and not _UNSTORABLE.search(each)]


def _origin(text: str | None) -> dict[str, str]:
    value = _parsed(text)
    names = ("analyst", "version")
    if not isinstance(value, dict) or not all(isinstance(value.get(name), str) for name in names):
        return {"analyst": "unknown", "version": ""}
    return {name: value[name] for name in names}
