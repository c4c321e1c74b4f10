"""The tables. Every key starts with scope_id, so that a table can be distributed by it; only owners start with theirs.

Times are microseconds since 1970 in UTC; ids are UUIDv7 text; lists and objects are JSON; vectors are little-endian
float32.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, TypeAdapter
from sqlalchemy.types import TypeDecorator

from memoryos.errors import StoreUnreadableError
from memoryos.model import Origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Dialect

__all__ = [
    "JSON_SHAPES",
    "BigInteger",
    "CheckedType",
    "DamagedValueError",
    "Day",
    "Integer",
    "Json",
    "Text",
    "UtcTime",
    "api_keys",
    "chains",
    "costs",
    "erasures",
    "forgettings",
    "idempotency",
    "knowledge",
    "metadata",
    "owners",
    "pages",
    "profiles",
    "scopes",
    "segments",
    "tombstone_keys",
    "tombstones",
    "vectors",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


class DamagedValueError(StoreUnreadableError):
    """A stored value is not one that its column can have.

    Attributes:
        place: The table and the column, as "pages.at"; may be empty.
    """

    def __init__(self, place: str, row: str = "") -> None:
        row = f", row {row}" if row else ""
        super().__init__(
            f"the value in {place or 'a column'}{row} can't be read; `memoryos verify` lists every such row, "
            "restore them from a backup"
        )
        self.place = place


class CheckedType(TypeDecorator[Any]):
    """A type whose values are checked when they are read: SQLite stores any value in any column.

    Attributes:
        place: The table and the column that it is the type of, as "pages.at".
    """

    impl: type[sa.types.TypeEngine[Any]] = sa.Text
    cache_ok = True
    place = ""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Returns the function that turns a value of the database into one of Python."""
        decode = self.impl_instance.result_processor(dialect, coltype)

        def read(value: Any) -> Any:
            if value is None:
                return None
            try:
                return self.checked(value if decode is None else decode(value))
            except (TypeError, ValueError, OverflowError, RecursionError) as error:
                raise DamagedValueError(self.place) from error

        return read

    def checked(self, value: Any) -> Any:
        """Returns the value of Python for one that the driver returned.

        Raises:
            TypeError: If it is of another type.
            ValueError: If it has another shape or range.
            OverflowError: Likewise.
        """
        raise NotImplementedError


class Text(CheckedType):
    """Text."""

    impl = sa.Text
    cache_ok = True

    @property
    def python_type(self) -> type[str]:
        """The type of its values."""
        return str

    def checked(self, value: Any) -> str:
        """Returns the text."""
        if not isinstance(value, str):
            raise TypeError("no text")
        return value


class BigInteger(CheckedType):
    """A whole number of 64 bits."""

    impl: type[sa.types.TypeEngine[Any]] = sa.BigInteger
    cache_ok = True

    @property
    def python_type(self) -> type[int]:
        """The type of its values."""
        return int

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Returns the type of what it is compared or multiplied with: not always a whole number."""
        return self.impl_instance.coerce_compared_value(op, value)

    def checked(self, value: Any) -> int | Decimal:
        """Returns the number; servers return sums of such columns as decimals."""
        if not isinstance(value, (int, Decimal)):
            raise TypeError("no whole number")
        return value


class Integer(BigInteger):
    """A whole number of 32 bits."""

    impl = sa.Integer
    cache_ok = True


class UtcTime(CheckedType):
    """An aware UTC datetime as microseconds since 1970: sortable, exact, the same on every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Returns the microseconds of an aware time."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def checked(self, value: Any) -> datetime:
        """Returns the aware UTC time of the microseconds."""
        if not isinstance(value, int):
            raise TypeError("no number of microseconds")
        return _EPOCH + timedelta(microseconds=value)


class Day(CheckedType):
    """A day in UTC."""

    impl = sa.Date
    cache_ok = True

    def checked(self, value: Any) -> date:
        """Returns the day."""
        if not isinstance(value, date):
            raise TypeError("no day")
        return value


class _AttributeBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    value: str
    source_page_ids: list[str]


class _TraitBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    category: str
    dimension: str
    level: Literal["high", "medium", "low"]
    reason: str
    evidence_page_ids: list[str]


class _ProfileBody(BaseModel):
    attributes: list[_AttributeBody]
    traits: list[_TraitBody]


JSON_SHAPES: dict[str, TypeAdapter[Any]] = {
    "origin": TypeAdapter(Origin),
    "keywords": TypeAdapter(list[str]),
    "source_page_ids": TypeAdapter(list[str]),
    "page_ids": TypeAdapter(list[str]),
    "metadata": TypeAdapter(dict[str, Any]),
    "body": TypeAdapter(_ProfileBody),
    "plan": TypeAdapter(dict[str, Any]),
}
"""By name of a JSON column: the shape of its values."""


class Json(CheckedType):
    """JSON of the shape that ``JSON_SHAPES`` has for its column."""

    impl = sa.JSON
    cache_ok = True

    def checked(self, value: Any) -> Any:
        """Returns the value as it is."""
        JSON_SHAPES[self.place.rpartition(".")[2]].validate_python(value)
        return value


metadata = sa.MetaData()

scopes = sa.Table(
    "scopes",
    metadata,
    sa.Column("scope_id", Text, primary_key=True),
    sa.Column("user_id", Text, nullable=False),
    sa.Column("assistant_id", Text, nullable=False),
    sa.Column("last_seq", BigInteger, nullable=False),
    sa.Column("revision", BigInteger, nullable=False),
    sa.Column("learned_revision", BigInteger, nullable=False),
    sa.Column("reset_revision", BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("touched_at", UtcTime, nullable=False),
    sa.Column("lease_owner", Text),
    sa.Column("lease_until", UtcTime),
    sa.Column("attempts", Integer, nullable=False),
    sa.Column("retry_at", UtcTime),
    sa.Column("last_error", Text),
    sa.Column("counted_pages", BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("counted_bytes", BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("counted_at_revision", BigInteger),
)

owners = sa.Table(
    "owners",
    metadata,
    sa.Column("user_id", Text, nullable=False),
    sa.Column("assistant_id", Text, nullable=False),
    sa.Column("scope_id", Text, nullable=False),
    sa.PrimaryKeyConstraint("user_id", "assistant_id"),
)


def _scope_id() -> sa.Column[str]:
    return sa.Column("scope_id", Text, sa.ForeignKey("scopes.scope_id"), nullable=False)


pages = sa.Table(
    "pages",
    metadata,
    _scope_id(),
    sa.Column("seq", BigInteger, nullable=False),
    sa.Column("page_id", Text, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("user_text", Text, nullable=False),
    sa.Column("assistant_text", Text, nullable=False),
    sa.Column("user_name", Text),
    sa.Column("assistant_name", Text),
    sa.Column("metadata", Json, nullable=False),
    sa.Column("chain_id", Text),
    sa.Column("segment_id", Text),
    sa.Column("learned", sa.Boolean, nullable=False),
    sa.Column("embedded_with", Text),
    sa.Column("placed_provisionally", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("learned_provisionally", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("instruction_sides", Integer),
    sa.PrimaryKeyConstraint("scope_id", "seq"),
    sa.UniqueConstraint("scope_id", "page_id", name="pages_id"),
    sa.Index("pages_segment", "scope_id", "segment_id", "seq"),
    sa.Index("pages_embedded", "scope_id", "embedded_with", "seq"),
)

for _mark in (pages.c.placed_provisionally, pages.c.learned_provisionally):
    sa.Index(
        f"pages_{_mark.name}",
        pages.c.scope_id,
        pages.c.seq,
        sqlite_where=_mark.is_(True),
        postgresql_where=_mark.is_(True),
    )

vectors = sa.Table(
    "vectors",
    metadata,
    _scope_id(),
    sa.Column("owner_kind", Text, nullable=False),
    sa.Column("owner_id", Text, nullable=False),
    sa.Column("model", Text, nullable=False),
    sa.Column("dimensions", Integer, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "owner_kind", "owner_id", "model"),
)

chains = sa.Table(
    "chains",
    metadata,
    _scope_id(),
    sa.Column("chain_id", Text, nullable=False),
    sa.Column("summary", Text, nullable=False),
    sa.Column("origin", Json, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "chain_id"),
)

segments = sa.Table(
    "segments",
    metadata,
    _scope_id(),
    sa.Column("segment_id", Text, nullable=False),
    sa.Column("summary", Text, nullable=False),
    sa.Column("keywords", Json, nullable=False),
    sa.Column("visits", BigInteger, nullable=False),
    sa.Column("length", BigInteger, nullable=False),
    sa.Column("page_count", BigInteger, nullable=False),
    sa.Column("last_visited_at", UtcTime, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("archived_at", UtcTime),
    sa.Column("revision", BigInteger, nullable=False),
    sa.Column("origin", Json, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "segment_id"),
    sa.Index("segments_revision", "scope_id", "revision"),
)

knowledge = sa.Table(
    "knowledge",
    metadata,
    _scope_id(),
    sa.Column("knowledge_id", Text, nullable=False),
    sa.Column("about", Text, nullable=False),
    sa.Column("text", Text, nullable=False),
    sa.Column("recorded_at", UtcTime, nullable=False),
    sa.Column("valid_from", UtcTime),
    sa.Column("superseded_by", Text),
    sa.Column("archived_at", UtcTime),
    sa.Column("source_page_ids", Json, nullable=False),
    sa.Column("origin", Json, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "knowledge_id"),
    sa.Index(
        "knowledge_current",
        "scope_id",
        "about",
        "knowledge_id",
        sqlite_where=sa.text("superseded_by IS NULL AND archived_at IS NULL"),
        postgresql_where=sa.text("superseded_by IS NULL AND archived_at IS NULL"),
    ),
)

profiles = sa.Table(
    "profiles",
    metadata,
    _scope_id(),
    sa.Column("version", BigInteger, nullable=False),
    sa.Column("body", Json, nullable=False),
    sa.Column("recorded_at", UtcTime, nullable=False),
    sa.Column("origin", Json, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "version"),
)

costs = sa.Table(
    "costs",
    metadata,
    _scope_id(),
    sa.Column("day", Day, nullable=False),
    sa.Column("purpose", Text, nullable=False),
    sa.Column("model", Text, nullable=False),
    sa.Column("calls", BigInteger, nullable=False),
    sa.Column("failed_calls", BigInteger, nullable=False),
    sa.Column("prompt_tokens", BigInteger, nullable=False),
    sa.Column("completion_tokens", BigInteger, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "day", "purpose", "model"),
    sa.Index("costs_day", "day"),
)

tombstones = sa.Table(
    "tombstones",
    metadata,
    _scope_id(),
    sa.Column("kind", Text, nullable=False),
    sa.Column("mark", Text, nullable=False),
    sa.Column("forgotten_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "kind", "mark"),
)

tombstone_keys = sa.Table(
    "tombstone_keys",
    metadata,
    _scope_id(),
    sa.Column("secret", Text, nullable=False),
    sa.Column("is_own", sa.Boolean, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "secret"),
)

forgettings = sa.Table(
    "forgettings",
    metadata,
    _scope_id(),
    sa.Column("forgetting_id", Text, nullable=False),
    sa.Column("plan", Json, nullable=False),
    sa.Column("begun_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "forgetting_id"),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    _scope_id(),
    sa.Column("key_hash", Text, nullable=False),
    sa.Column("request_hash", Text, nullable=False),
    sa.Column("page_ids", Json, nullable=False),
    sa.Column("noted_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("scope_id", "key_hash"),
    sa.Index("idempotency_noted_at", "scope_id", "noted_at"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", Text, primary_key=True),
    sa.Column("name", Text, nullable=False),
    sa.Column("user_id", Text),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime),
    sa.Column("revoked_at", UtcTime),
    sa.Column("secret_hash", Text, nullable=False),
)

erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column("erasure_id", Text, primary_key=True),
    sa.Column("due_since", UtcTime, nullable=False),
)

for _table in metadata.tables.values():
    for _column in _table.columns:
        if isinstance(_column.type, CheckedType):
            _column.type.place = f"{_table.name}.{_column.name}"
