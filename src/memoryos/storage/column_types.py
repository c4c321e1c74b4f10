"""Column types that validate values when they are read, because SQLite stores any value in any column."""

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
]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


class DamagedValueError(StoreUnreadableError):
    """A stored value is invalid for its column.

    Attributes:
        place: The table and the column, such as "pages.at"; may be empty.
    """

    def __init__(self, place: str, row: str = "") -> None:
        row = f", row {row}" if row else ""
        super().__init__(
            f"the value in {place or 'a column'}{row} can't be read; `memoryos verify` lists all such rows; "
            "restore them from a backup"
        )
        self.place = place


class CheckedType(TypeDecorator[Any]):
    """Base of the column types; validates each value that is read.

    Attributes:
        place: The table and the column with this type, such as "pages.at".
    """

    impl: type[sa.types.TypeEngine[Any]] = sa.Text
    cache_ok = True
    place = ""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Returns the function that converts and validates a database value."""
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
        """Returns the Python value of a value that the driver returned.

        Raises:
            TypeError: If its type is invalid.
            ValueError: If its structure or range is invalid.
            OverflowError: If it is too large.
        """
        raise NotImplementedError


class Text(CheckedType):
    """Text."""

    impl = sa.Text
    cache_ok = True

    @property
    def python_type(self) -> type[str]:
        """The Python type of the values."""
        return str

    def checked(self, value: Any) -> str:
        """Returns the text."""
        if not isinstance(value, str):
            raise TypeError("not text")
        return value


class BigInteger(CheckedType):
    """A 64-bit integer."""

    impl: type[sa.types.TypeEngine[Any]] = sa.BigInteger
    cache_ok = True

    @property
    def python_type(self) -> type[int]:
        """The Python type of the values."""
        return int

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Returns the type of the other operand of an expression, which may be another type, such as a float."""
        return self.impl_instance.coerce_compared_value(op, value)

    def checked(self, value: Any) -> int | Decimal:
        """Returns the number; PostgreSQL returns sums of integer columns as decimals."""
        if not isinstance(value, (int, Decimal)):
            raise TypeError("not an integer")
        return value


class Integer(BigInteger):
    """A 32-bit integer."""

    impl = sa.Integer
    cache_ok = True


class UtcTime(CheckedType):
    """An aware UTC datetime, stored as microseconds since 1970: sortable, exact and equal on all databases."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Returns the microseconds of an aware datetime."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def checked(self, value: Any) -> datetime:
        """Returns the aware UTC datetime of the microseconds."""
        if not isinstance(value, int):
            raise TypeError("not an integer")
        return _EPOCH + timedelta(microseconds=value)


class Day(CheckedType):
    """A day in UTC."""

    impl = sa.Date
    cache_ok = True

    def checked(self, value: Any) -> date:
        """Returns the date."""
        if not isinstance(value, date):
            raise TypeError("not a date")
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
"""Validator of the values by name of a JSON column."""


class Json(CheckedType):
    """JSON that is valid for its column's entry in ``JSON_SHAPES``."""

    impl = sa.JSON
    cache_ok = True

    def checked(self, value: Any) -> Any:
        """Returns the validated value."""
        JSON_SHAPES[self.place.rpartition(".")[2]].validate_python(value)
        return value
