"""Exports a scope as JSON records, and imports such records.

Vectors are not exported. They are computed again after an import.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, get_args

import sqlalchemy as sa
from pydantic import ValidationError

from memoryos.errors import InputError
from memoryos.language.instructions import instruction_sides
from memoryos.model import ABOUT, SHARED, FactKind, FactStatus
from memoryos.slots import SLOTS
from memoryos.storage.column_types import JSON_SHAPES, Json, Text, UtcTime
from memoryos.storage.import_repair import repair_import
from memoryos.storage.knowledge_conversion import convert_knowledge
from memoryos.storage.lease import revoke_lease
from memoryos.storage.schema import (
    chains,
    facts,
    pages,
    profiles,
    readings,
    scopes,
    segments,
    tombstone_keys,
    tombstones,
)
from memoryos.storage.tombstones import Marks, convert_mark, own_key, read_marks
from memoryos.storage.usage import refresh_counters
from memoryos.time_zones import local_time, utc_offset_minutes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from memoryos.storage.database import Database
    from memoryos.storage.usage import Quota

__all__ = ["KINDS", "PortableTable", "Restored"]

_BATCH_ROWS = 500
_TABLES: dict[str, tuple[sa.Table, tuple[str, ...], frozenset[str]]] = {
    "page": (pages, ("seq",), frozenset({"scope_id", "embedded_with", "instruction_sides", "utc_offset_minutes"})),
    "chain": (chains, ("chain_id",), frozenset({"scope_id"})),
    "segment": (segments, ("segment_id",), frozenset({"scope_id", "revision"})),
    "reading": (readings, ("reading_id",), frozenset({"scope_id"})),
    "fact": (facts, ("fact_id",), frozenset({"scope_id", "revision"})),
    "profile": (profiles, ("version",), frozenset({"scope_id"})),
    "tombstone_key": (tombstone_keys, ("secret",), frozenset({"scope_id", "is_own"})),
    "tombstone": (tombstones, ("kind", "mark"), frozenset({"scope_id"})),
}
"""The table, the sort columns and the columns that are not exported, by kind of record."""
_RENAMED = {"kind": "what"}
"""Fields of records that are not named like the column, by column name.

The table of tombstones has a column ``kind``. In a record, the field "kind" is already used for the kind of the record,
so the value of the column is in the field "what".
"""
_NAMES_OF_FORMAT_1 = {
    "learned": "profiled",
    "placed_provisionally": "read_provisionally",
    "learned_provisionally": "profiled_provisionally",
}
"""The present names of the fields that a page has in format 1."""
_UNKNOWN_OFFSET = "-00:00"
"""The UTC offset in the time of an exported page if the offset is not known (RFC 3339, section 4.3)."""
KINDS = tuple(_TABLES)
_KNOWLEDGE = sa.Table(
    "knowledge",
    sa.MetaData(),
    sa.Column("knowledge_id", Text, nullable=False),
    sa.Column("about", Text, nullable=False),
    sa.Column("text", Text, nullable=False),
    sa.Column("recorded_at", UtcTime, nullable=False),
    sa.Column("valid_from", UtcTime),
    sa.Column("superseded_by", Text),
    sa.Column("archived_at", UtcTime),
    sa.Column("source_page_ids", Json, nullable=False),
    sa.Column("origin", Json, nullable=False),
)
"""The records "knowledge" of format 1, which are imported as facts."""
_READABLE = _TABLES | {"knowledge": (_KNOWLEDGE, (), frozenset())}
_CHOICES: dict[str, tuple[str, ...]] = {
    "about": ABOUT,
    "facts.kind": get_args(FactKind),
    "facts.status": get_args(FactStatus),
    "facts.slot": SLOTS,
}
"""The values that a column can have, by name of the column or by table and column."""
MAX_TOMBSTONE_KEYS = 16
"""Maximum number of tombstone keys of a scope.

A scope has its own key, and one key of each store from which it imported records.
"""
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Restored:
    """Result of an import.

    Attributes:
        pages: Number of pages added.
        known: Number of pages skipped because they already existed.
        forgotten: Number of pages skipped because they were forgotten in this scope earlier.
        tiers: Whether segments, facts and profiles were imported too. This requires a scope that never had pages.
    """

    pages: int
    known: int
    forgotten: int
    tiers: bool


class PortableTable:
    """Exports and imports all data of a scope.

    Args:
        database: The database.
        quota: Maximum storage of each scope.
    """

    def __init__(self, database: Database, quota: Quota) -> None:
        self._database = database
        self._quota = quota

    def dump(self, scope_id: str) -> Iterator[dict[str, Any]]:
        """Yields all records of a scope from one snapshot. The order is always the same."""
        with self._database.read(scope_id) as connection:
            for kind, (table, order, excluded) in _TABLES.items():
                columns = [column for column in table.columns if column.name not in excluded]
                statement = sa.select(table).where(table.c.scope_id == scope_id)
                rows = connection.execute(statement.order_by(*(table.c[name] for name in order))).mappings()
                for row in rows:
                    record = {_RENAMED.get(each.name, each.name): _to_json(each, row[each.name]) for each in columns}
                    if kind == "page":
                        record["at"] = _sent_time(row["at"], row["utc_offset_minutes"])
                    yield {"kind": kind} | record

    def restore(self, scope_id: str, records: Iterable[Mapping[str, Any]], *, is_format_1: bool = False) -> Restored:
        """Imports records into a scope in one transaction.

        If the scope never had pages, all records are imported unchanged. Otherwise only pages and tombstones are
        imported. The pages are appended to the log and are due to be read. Pages that already exist or were
        forgotten in this scope are skipped.

        Args:
            scope_id: Id of the scope.
            records: The records.
            is_format_1: Whether the records are from an export in format 1, which has no facts with slots.

        Raises:
            InputError: If a record is invalid; nothing was imported.
            QuotaExceededError: If the scope would exceed its quota; nothing was imported.
        """
        with self._database.write(scope_id) as connection:
            revision = revoke_lease(connection, scope_id)
            last_seq = connection.execute(
                sa.select(sa.func.coalesce(sa.func.max(pages.c.seq), 0)).where(pages.c.scope_id == scope_id)
            ).scalar_one()
            existing = set(_column(connection, pages.c.page_id, scope_id))
            forgotten = read_marks(connection, scope_id, "page")
            running_import = _Import(connection, scope_id, last_seq, existing, forgotten, revision)
            running_import.is_format_1 = is_format_1
            for record in records:
                running_import.add(record)
            restored = running_import.finish()
            if self._quota.is_set and restored.pages:
                self._quota.check(refresh_counters(connection, scope_id))
            return restored


class _Import:
    """The state of a running import."""

    def __init__(
        self,
        connection: sa.Connection,
        scope_id: str,
        last_seq: int,
        existing: set[str],
        forgotten: Marks,
        revision: int,
    ) -> None:
        self._connection = connection
        self._scope_id = scope_id
        self._marks = {(row.kind, row.mark) for row in _marks(connection, scope_id)}
        self._imports_everything = not existing and last_seq == 0 and not self._marks
        self._last_seq = last_seq
        self._existing = existing
        self._revision = revision
        self._rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _TABLES}
        self._counts = {"pages": 0, "known": 0, "forgotten": 0}
        self._forgotten = forgotten
        self._own_key = ""
        self._keys = set(_column(connection, tombstone_keys.c.secret, scope_id))
        self._has_keys = False
        self.is_format_1 = False
        self._page_times: dict[str, datetime] = {}
        self._knowledge: list[dict[str, Any]] = []
        self._profiles: list[dict[str, Any]] = []

    def add(self, record: Mapping[str, Any]) -> None:
        kind = record.get("kind")
        readable = _READABLE if self.is_format_1 else _TABLES
        if kind not in readable:
            raise InputError("kind", f"must be one of {', '.join(readable)}")
        if self.is_format_1 and kind == "page":
            record = {_NAMES_OF_FORMAT_1.get(name, name): value for name, value in record.items()}
        row = _row(str(kind), record) | {"scope_id": self._scope_id}
        if kind == "page":
            self._add_page(row)
        elif kind == "tombstone_key":
            self._add_key(row)
        elif kind == "tombstone":
            self._add_tombstone(row)
        elif kind == "knowledge":
            self._knowledge.append(row)
        elif self._imports_everything:
            if kind == "profile" and self.is_format_1:
                self._profiles.append(row)
            self._queue(kind, row | ({"revision": self._revision} if kind == "segment" else {}))

    def _add_key(self, row: dict[str, Any]) -> None:
        self._has_keys = True
        if row["secret"] in self._keys:
            return
        if not _KEY.fullmatch(row["secret"]):
            raise InputError("secret", "must be 64 lowercase hexadecimal digits")
        if len(self._keys) >= MAX_TOMBSTONE_KEYS:
            raise InputError(
                "secret", f"can't be added: this scope has the maximum of {MAX_TOMBSTONE_KEYS} tombstone keys"
            )
        self._keys.add(row["secret"])
        self._queue("tombstone_key", row | {"is_own": False})

    def _add_tombstone(self, row: dict[str, Any]) -> None:
        """Imports a tombstone (a keyed hash of forgotten content).

        Exports of old releases contain unkeyed hashes. These are converted with the key of this scope.
        """
        if row["kind"] not in {"page", "text"}:
            raise InputError("what", "must be 'page' or 'text'")
        if not self._has_keys:
            self._own_key = self._own_key or own_key(self._connection, self._scope_id)
            row["mark"] = convert_mark(self._own_key, row["kind"], row["mark"])
        if (row["kind"], row["mark"]) not in self._marks:
            self._marks.add((row["kind"], row["mark"]))
            self._queue("tombstone", row)

    def _add_page(self, row: dict[str, Any]) -> None:
        if row["page_id"] in self._forgotten:
            self._counts["forgotten"] += 1
            return
        if row["page_id"] in self._existing:
            self._counts["known"] += 1
            return
        if not row["user_text"].strip() and not row["assistant_text"].strip():
            raise InputError("user_text", "must not be empty, because assistant_text is empty too")
        self._existing.add(row["page_id"])
        names = row["user_name"], row["assistant_name"]
        row["instruction_sides"] = instruction_sides((row["user_text"], names[0]), (row["assistant_text"], names[1]))
        if not self._imports_everything:
            due = {"chain_id": None, "segment_id": None, "reading_id": None, "profiled": False}
            marks = {"read_provisionally": False, "profiled_provisionally": False}
            row |= due | marks | {"seq": self._last_seq + 1}
        elif row["seq"] <= self._last_seq:
            raise InputError("seq", "must be greater than the seq of the page before it")
        self._last_seq = row["seq"]
        if self.is_format_1:
            self._page_times[row["page_id"]] = row["at"]
        self._counts["pages"] += 1
        self._queue("page", row)

    def _queue(self, kind: str, row: dict[str, Any]) -> None:
        rows = self._rows[kind]
        rows.append(row)
        if len(rows) >= _BATCH_ROWS:
            self._flush(kind)

    def _flush(self, kind: str) -> None:
        if self._rows[kind]:
            self._connection.execute(sa.insert(_TABLES[kind][0]), self._rows[kind])
            self._rows[kind] = []

    def finish(self) -> Restored:
        if self.is_format_1 and self._imports_everything:
            for row in convert_knowledge(self._scope_id, self._knowledge, self._profiles, self._page_times):
                self._queue("fact", row)
        for kind in _TABLES:
            self._flush(kind)
        in_scope = scopes.c.scope_id == self._scope_id
        self._connection.execute(sa.update(scopes).where(in_scope).values(last_seq=self._last_seq))
        if self._imports_everything:
            repair_import(self._connection, self._scope_id)
        return Restored(**self._counts, tiers=self._imports_everything)


def _column(connection: sa.Connection, column: sa.Column[Any], scope_id: str, *where: sa.ColumnElement[bool]) -> Any:
    return connection.execute(sa.select(column).where(column.table.c.scope_id == scope_id, *where)).scalars()


def _marks(connection: sa.Connection, scope_id: str) -> Iterable[Any]:
    return connection.execute(sa.select(tombstones.c.kind, tombstones.c.mark).where(tombstones.c.scope_id == scope_id))


def _to_json(column: sa.Column[Any], value: Any) -> Any:
    return value.isoformat() if isinstance(column.type, UtcTime) and value is not None else value


def _sent_time(at: datetime, offset_minutes: int | None) -> str:
    """Returns the time of a page in ISO 8601, with its UTC offset."""
    if offset_minutes is None:
        return at.replace(tzinfo=None).isoformat() + _UNKNOWN_OFFSET
    return local_time(at, offset_minutes).isoformat()


def _offset_of(sent_time: str) -> int | None:
    """Returns the UTC offset in the time of a page; None if it is not known."""
    moment = datetime.fromisoformat(sent_time)
    return None if moment.tzinfo is None or sent_time.endswith(_UNKNOWN_OFFSET) else utc_offset_minutes(moment)


def _row(kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
    table, _, excluded = _READABLE[kind]
    columns = {_RENAMED.get(each.name, each.name): each for each in table.columns if each.name not in excluded}
    unknown = sorted(set(record) - columns.keys() - {"kind"})
    if unknown:
        raise InputError(unknown[0], f"is not a field of a {kind} record; remove it")
    row = {column.name: _read(name, column, record.get(name)) for name, column in columns.items()}
    if kind == "page":
        row["utc_offset_minutes"] = _offset_of(record["at"])
    if kind in {"fact", "knowledge"} and not row["source_page_ids"] and row["origin"]["analyst"] != SHARED.analyst:
        raise InputError("source_page_ids", "must not be empty")
    return row


def _read(name: str, column: sa.Column[Any], value: Any) -> Any:
    if value is None:
        if not column.nullable:
            raise InputError(name, "is required")
        return None
    if isinstance(column.type, UtcTime):
        return _time(name, value)
    if isinstance(column.type, Json):
        return _json(name, column, value)
    kind = column.type.python_type
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(name, f"must be of type {kind.__name__}")
    if isinstance(value, str):
        _check_text(name, value)
    if kind is int and not -(2**63) <= value < 2**63:
        raise InputError(name, "must be between -2**63 and 2**63 - 1")
    choices = _CHOICES.get(column.name) or _CHOICES.get(f"{column.table.name}.{column.name}")
    if choices is not None and value not in choices:
        raise InputError(name, f"must be one of {', '.join(choices)}")
    return value


def _time(name: str, value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(name, "must be a time in ISO 8601") from error


def _json(name: str, column: sa.Column[Any], value: Any) -> Any:
    _check_json(name, value)
    try:
        JSON_SHAPES[column.name].validate_python(value)
    except ValidationError as error:
        raise InputError(name, "has an invalid structure; use a record that MemoryOS exported") from error
    return value


def _check_json(name: str, value: Any) -> None:
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, str):
            _check_text(name, each)
        elif isinstance(each, dict):
            pending += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            pending += each


def _check_text(name: str, text: str) -> None:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(name, "must not contain a NUL character or a lone surrogate")
