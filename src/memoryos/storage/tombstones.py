"""Tombstones: keyed hashes of forgotten pages and texts, so that they are not stored or learned again.

The hash is an HMAC-SHA-256 with a secret key of the scope. Its input is a page id, or the SHA-256 of a normalized text.
Without the key, nobody can test whether a guessed text was forgotten.

An export contains the key. So a scope that imported records has several keys. A value counts as forgotten if its hash
with any of these keys is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa

from memoryos.language.text import fold
from memoryos.storage.schema import tombstone_keys, tombstones

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

__all__ = ["Marks", "convert_mark", "note_tombstones", "own_key", "read_keys", "read_marks", "refuse"]

Kind = Literal["page", "text"]
_KEY_BYTES = 32
_BATCH_ROWS = 500


@dataclass(frozen=True, slots=True)
class Marks:
    """The tombstones (keyed hashes) of one kind in a scope.

    The expression ``value in marks`` tests whether a page id or a text was forgotten.
    """

    kind: Kind
    keys: tuple[str, ...]
    marks: frozenset[str]

    def __contains__(self, value: object) -> bool:
        return (
            bool(self.marks)
            and isinstance(value, str)
            and any(convert_mark(key, self.kind, _digest(self.kind, value)) in self.marks for key in self.keys)
        )


def read_marks(connection: sa.Connection, scope_id: str, kind: Kind) -> Marks:
    """Returns the tombstones of one kind, "page" or "text", in a scope."""
    where = (tombstones.c.scope_id == scope_id, tombstones.c.kind == kind)
    marks = frozenset(connection.execute(sa.select(tombstones.c.mark).where(*where)).scalars())
    return Marks(kind, tuple(read_keys(connection, scope_id)) if marks else (), marks)


def read_keys(connection: sa.Connection, scope_id: str) -> Sequence[str]:
    """Returns the tombstone keys of a scope as hexadecimal text, the scope's own key first."""
    statement = sa.select(tombstone_keys.c.secret).where(tombstone_keys.c.scope_id == scope_id)
    return (
        connection.execute(statement.order_by(tombstone_keys.c.is_own.desc(), tombstone_keys.c.secret)).scalars().all()
    )


def own_key(connection: sa.Connection, scope_id: str) -> str:
    """Returns the scope's own tombstone key, which is used for new tombstones.

    If the scope has no key yet, creates one in the caller's transaction.
    """
    own = (tombstone_keys.c.scope_id == scope_id, tombstone_keys.c.is_own.is_(True))
    found = connection.execute(sa.select(tombstone_keys.c.secret).where(*own).limit(1)).scalar_one_or_none()
    if found is not None:
        return str(found)
    key = secrets.token_hex(_KEY_BYTES)
    connection.execute(sa.insert(tombstone_keys).values(scope_id=scope_id, secret=key, is_own=True))
    return key


def note_tombstones(connection: sa.Connection, scope_id: str, kind: Kind, values: Iterable[str], now: datetime) -> None:
    """Stores tombstones of page ids or texts in the caller's write transaction."""
    digests = {_digest(kind, value) for value in values}
    if not digests:
        return
    key = own_key(connection, scope_id)
    marks = sorted(convert_mark(key, kind, digest) for digest in digests)
    for start in range(0, len(marks), _BATCH_ROWS):
        batch = marks[start : start + _BATCH_ROWS]
        where = (tombstones.c.scope_id == scope_id, tombstones.c.kind == kind, tombstones.c.mark.in_(batch))
        existing = set(connection.execute(sa.select(tombstones.c.mark).where(*where)).scalars())
        rows = [
            {"scope_id": scope_id, "kind": kind, "mark": mark, "forgotten_at": now}
            for mark in batch
            if mark not in existing
        ]
        if rows:
            connection.execute(sa.insert(tombstones), rows)


def refuse(connection: sa.Connection, scope_id: str, texts: Iterable[str], now: datetime) -> None:
    """Stores tombstones of texts, so that facts with these texts are not learned again.

    It writes in the caller's write transaction.
    """
    note_tombstones(connection, scope_id, "text", texts, now)


def convert_mark(key: str, kind: str, unkeyed: str) -> str:
    """Converts an unkeyed tombstone of an old release to a keyed one.

    Args:
        key: The tombstone key, hexadecimal.
        kind: Kind of the tombstone, "page" or "text".
        unkeyed: A page id, or the SHA-256 of a text.
    """
    return hmac.digest(bytes.fromhex(key), f"{kind}:{unkeyed}".encode(), "sha256").hex()


def _digest(kind: Kind, value: str) -> str:
    if kind == "page":
        return value
    return hashlib.sha256(fold(value).strip(" .。!！").encode("utf-8", "replace")).hexdigest()
