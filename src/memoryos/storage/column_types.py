"""Column types that validate each value when it is read.

This is necessary because SQLite stores a value of any type in any column.
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
from memoryos.time_zones import MAX_OFFSET_MINUTES

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
    "OffsetMinutes",
    "Text",
    "UtcTime",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


class DamagedValueError(StoreUnreadableError):
    """A stored value is not valid for its column.

    Attributes:
        place: Table and column of the value, such as "pages.at"; may be empty.
    """

    def __init__(self, place: str, row: str = "") -> None:
        row = f", row {row}" if row else ""
        super().__init__(
            f"the value in {place or 'a column'}{row} can't be read; `memoryos verify` lists all such rows; "
            "restore them from a backup"
        )
        self.place = place


class CheckedType(TypeDecorator[Any]):
    """Base class of the column types; validates each value that is read from the database.

    Attributes:
        place: Table and column that have this type, such as "pages.at".
        valid_type: A value of exactly this type from the driver is valid and needs no conversion; None: no such type.
    """

    impl: type[sa.types.TypeEngine[Any]] = sa.Text
    cache_ok = True
    place = ""
    valid_type: type[object] | None = None

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Returns a function that converts a value from the database and validates it."""
        decode = self.impl_instance.result_processor(dialect, coltype)
        valid_type = self.valid_type if decode is None else None

        def read(value: Any) -> Any:
            if value is None or type(value) is valid_type:
                return value
            try:
                return self.checked(value if decode is None else decode(value))
            except (TypeError, ValueError, OverflowError, RecursionError) as error:
                raise DamagedValueError(self.place) from error

        return read

    def checked(self, value: Any) -> Any:
        """Converts a value from the database driver to its Python value, and validates it.

        Raises:
            TypeError: If the type of the value is invalid.
            ValueError: If the structure or range of the value is invalid.
            OverflowError: If the value is too large.
        """
        raise NotImplementedError


class Text(CheckedType):
    """Column type for text."""

    impl = sa.Text
    cache_ok = True
    valid_type = str

    @property
    def python_type(self) -> type[str]:
        """The Python type of the values."""
        return str

    def checked(self, value: Any) -> str:
        """Returns the value if it is text."""
        if not isinstance(value, str):
            raise TypeError("the value is not text")
        return value


class BigInteger(CheckedType):
    """Column type for 64-bit integers."""

    impl: type[sa.types.TypeEngine[Any]] = sa.BigInteger
    cache_ok = True
    valid_type = int

    @property
    def python_type(self) -> type[int]:
        """The Python type of the values."""
        return int

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Returns the SQL type of a Python value that an expression combines with this column.

        SQLAlchemy's default is the column's own type. This method returns the value's type instead, so an expression
        can multiply an integer column by a float, for example.
        """
        return self.impl_instance.coerce_compared_value(op, value)

    def checked(self, value: Any) -> int | Decimal:
        """Returns the value if it is an integer or a decimal; PostgreSQL returns sums as decimals."""
        if not isinstance(value, (int, Decimal)):
            raise TypeError("the value is not an integer")
        return value


class Integer(BigInteger):
    """Column type for 32-bit integers."""

    impl = sa.Integer
    cache_ok = True


class OffsetMinutes(Integer):
    """Column type for UTC offsets, in minutes. An offset is smaller than 24 hours."""

    cache_ok = True

    def checked(self, value: Any) -> int:
        """Returns the value if it is an integer and in the valid range."""
        if not isinstance(value, int):
            raise TypeError("the value is not an integer")
        if abs(value) > MAX_OFFSET_MINUTES:
            raise ValueError("the offset is too large")
        return value


class UtcTime(CheckedType):
    """Column type for times: an aware UTC datetime, stored as the number of microseconds since 1970.

    Such numbers are exact, have the order of the times, and are the same in all databases.
    """

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Converts an aware datetime to microseconds since 1970."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def checked(self, value: Any) -> datetime:
        """Converts microseconds since 1970 to an aware UTC datetime."""
        if not isinstance(value, int):
            raise TypeError("the value is not an integer")
        return _EPOCH + timedelta(microseconds=value)


class Day(CheckedType):
    """Column type for a calendar day in UTC."""

    impl = sa.Date
    cache_ok = True

    def checked(self, value: Any) -> date:
        """Returns the value if it is a date."""
        if not isinstance(value, date):
            raise TypeError("the value is not a date")
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
    subject: str = "user"


class _ProfileBody(BaseModel):
    attributes: list[_AttributeBody]
    traits: list[_TraitBody]


JSON_SHAPES: dict[str, TypeAdapter[Any]] = {
    "origin": TypeAdapter(Origin),
    "keywords": TypeAdapter(list[str]),
    "source_page_ids": TypeAdapter(list[str]),
    "replaces": TypeAdapter(list[str]),
    "dropped": TypeAdapter(list[str]),
    "page_ids": TypeAdapter(list[str]),
    "metadata": TypeAdapter(dict[str, Any]),
    "body": TypeAdapter(_ProfileBody),
    "plan": TypeAdapter(dict[str, Any]),
}
"""Pydantic validators of JSON columns, by column name."""


class Json(CheckedType):
    """Column type for JSON, validated by the column's entry in ``JSON_SHAPES``."""

    impl = sa.JSON
    cache_ok = True

    def checked(self, value: Any) -> Any:
        """Returns the value if its structure is valid."""
        JSON_SHAPES[self.place.rpartition(".")[2]].validate_python(value)
        return value
