"""Finds stored values that are invalid for their column, such as malformed JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from memoryos.storage.column_types import CheckedType, Json, Text
from memoryos.storage.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DamagedValue", "find_damaged"]

_UNTYPED = sa.types.NullType()
_BATCH_ROWS = 500


class DamagedValue(NamedTuple):
    """The location of a stored value that is invalid for its column.

    Attributes:
        scope_id: Id of the scope of the value's row; "" if the table has no scope column.
        place: Table and column of the value, such as "pages.at".
        row: Primary key values of the row except the scope id, separated by spaces.
    """

    scope_id: str
    place: str
    row: str


def find_damaged(
    connection: sa.Connection, scope_id: str | None = None, table_name: str | None = None
) -> Iterator[DamagedValue]:
    """Yields the location of each invalid value, ordered by table.

    Args:
        connection: A connection inside a transaction.
        scope_id: Id of the only scope to search; None searches all scopes.
        table_name: Name of the only table to search; None searches all tables.
    """
    for table in metadata.sorted_tables:
        if table_name in {None, table.name}:
            yield from _find_in_table(connection, table, scope_id)


def _find_in_table(connection: sa.Connection, table: sa.Table, scope_id: str | None) -> Iterator[DamagedValue]:
    is_sqlite = connection.dialect.name == "sqlite"
    columns = list(table.columns)
    statement = sa.select(*(each for column in columns for each in _raw(column, is_sqlite=is_sqlite)))
    if scope_id is not None and "scope_id" in table.columns:
        statement = statement.where(table.c.scope_id == scope_id)
    keys = [column.name for column in table.primary_key if column.name != "scope_id"]
    for rows in connection.execute(statement).partitions(_BATCH_ROWS):
        for row in rows:
            pairs = zip(columns, row[::2], row[1::2], strict=True)
            values = {column.name: (column, value, kind) for column, value, kind in pairs}
            for column, value, kind in values.values():
                if not _is_readable(column, value, kind):
                    owner = _text(values["scope_id"][1]) if "scope_id" in values else ""
                    key = " ".join(_text(values[name][1]) for name in keys)
                    yield DamagedValue(owner, f"{table.name}.{column.name}", key)


def _raw(column: sa.Column[Any], *, is_sqlite: bool) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """Returns two SQL expressions: the unconverted value of a column and the value's storage class.

    A storage class is SQLite's type of one value, such as "text". On other databases it is "". On SQLite, text is
    returned as bytes.
    """
    if not is_sqlite:
        is_json = isinstance(column.type, Json)
        return sa.cast(column, sa.Text) if is_json else sa.type_coerce(column, _UNTYPED), sa.literal("")
    kind = sa.func.typeof(column, type_=sa.Text())
    is_text = isinstance(column.type, (Json, Text))
    return sa.type_coerce(sa.cast(column, sa.LargeBinary) if is_text else column, _UNTYPED), kind


def _is_readable(column: sa.Column[Any], value: Any, kind: str) -> bool:
    if value is None:
        return bool(column.nullable)
    try:
        _check(column, value, kind)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False
    return True


def _check(column: sa.Column[Any], value: Any, kind: str) -> None:
    """Checks that a raw value is valid for its column.

    Raises:
        TypeError, ValueError, OverflowError, RecursionError: If it is not valid.
    """
    if isinstance(column.type, (Json, Text)):
        if kind not in {"", "text"}:
            raise TypeError(f"a value of SQLite type {kind!r} is not text")
        text = value.decode() if isinstance(value, bytes) else value
        column.type.checked(json.loads(text) if isinstance(column.type, Json) else text)
    elif isinstance(column.type, sa.types.TypeDecorator) and isinstance(column.type.impl_instance, sa.Date):
        if isinstance(value, str):
            column.type.impl_instance.python_type.fromisoformat(value)
    elif isinstance(column.type, CheckedType):
        column.type.checked(value)
    elif isinstance(column.type, sa.Boolean):
        if value not in {0, 1}:
            raise ValueError("the value is not a Boolean")
    elif not isinstance(value, column.type.python_type) and not (
        isinstance(column.type, sa.Float) and isinstance(value, int)
    ):
        raise TypeError(f"the value is not of type {column.type.python_type.__name__}")


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
