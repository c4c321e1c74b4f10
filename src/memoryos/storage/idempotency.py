"""Requests that may be sent twice and are done once: the note of one stands in the transaction of its pages.

A note holds hashes and ids, no text. The request is hashed with the caller's key, which is not kept. When a page of the
request is forgotten, the hash of the request is removed, so that nobody who knows the key can test what the page said.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import InputError, NotFoundError
from memoryos.storage.schema import idempotency

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = [
    "RETENTION_DAYS",
    "IdempotencyKey",
    "IdempotencyTable",
    "check_complete",
    "drop_request_hashes",
    "find_result",
    "idempotency_key_of",
    "is_expired",
    "save_result",
]

RETENTION_DAYS = 7
"""For so long at least a repeated request is known."""
_DROPPED_A_WRITE = 10
"""Old notes that one new note takes away at most: the table shrinks, and no write pays for many."""
_DROPPED_A_STEP = 500


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A request that is to be done key.

    Attributes:
        key_hash: SHA-256 of the key that the caller gave it.
        request_hash: HMAC-SHA-256 of what it asks for, under that key.
    """

    key_hash: str
    request_hash: str


def idempotency_key_of(key: str, request: object) -> IdempotencyKey:
    """Returns the mark of a request.

    Args:
        key: The caller's key.
        request: What it asks for; whatever of it is not JSON is taken by its text.
    """
    secret = key.encode()
    body = json.dumps(request, ensure_ascii=True, sort_keys=True, default=str).encode()
    return IdempotencyKey(hashlib.sha256(secret).hexdigest(), hmac.new(secret, body, hashlib.sha256).hexdigest())


def find_result(connection: sa.Connection, scope_id: str, key: IdempotencyKey) -> list[str] | None:
    """Returns the ids of the pages that the request became, None if it was not done yet.

    Raises:
        InputError: If another request was done under its key.
        NotFoundError: If what it stored was forgotten since.
    """
    where = (idempotency.c.scope_id == scope_id, idempotency.c.key_hash == key.key_hash)
    row = connection.execute(sa.select(idempotency).where(*where)).one_or_none()
    if row is None:
        return None
    if not row.request_hash:
        raise NotFoundError("this request was done, and what it stored was forgotten since")
    if not hmac.compare_digest(row.request_hash, key.request_hash):
        raise InputError("idempotency_key", "was used for another request; each request needs a key of its own")
    return list(row.page_ids)


def save_result(
    connection: sa.Connection, scope_id: str, key: IdempotencyKey, page_ids: Sequence[str], now: datetime
) -> None:
    """Notes what a request became, inside the transaction that makes it, and drops a few notes that are too old."""
    values: dict[str, Any] = {"key_hash": key.key_hash, "request_hash": key.request_hash, "page_ids": list(page_ids)}
    connection.execute(sa.insert(idempotency).values(scope_id=scope_id, noted_at=now, **values))
    _drop(connection, scope_id, _oldest(connection, scope_id, now, _DROPPED_A_WRITE))


def drop_request_hashes(database: Database, scope_id: str, page_ids: Collection[str]) -> None:
    """Removes the hashes of requests from which one of these pages came; the notes that they were done remain."""
    columns = (idempotency.c.key_hash, idempotency.c.page_ids)
    hashed = (idempotency.c.scope_id == scope_id, idempotency.c.request_hash != "")
    with database.read(scope_id) as connection:
        rows = connection.execute(sa.select(*columns).where(*hashed)).all()
    named = [row.key_hash for row in rows if any(each in page_ids for each in row.page_ids)]
    for start in range(0, len(named), _DROPPED_A_STEP):
        part = (idempotency.c.scope_id == scope_id, idempotency.c.key_hash.in_(named[start : start + _DROPPED_A_STEP]))
        with database.write(scope_id) as connection:
            connection.execute(sa.update(idempotency).where(*part).values(request_hash=""))


def is_expired(now: datetime) -> sa.ColumnElement[bool]:
    """Returns the condition of a note that is too old to be kept."""
    return idempotency.c.noted_at < now - timedelta(days=RETENTION_DAYS)


class IdempotencyTable:
    """Takes away the notes of scopes that nobody writes to any more."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def delete_expired(self, scope_id: str, now: datetime) -> bool:
        """Drops some notes of a scope that are too old; returns whether there were any."""
        with self._database.read(scope_id) as connection:
            oldest = _oldest(connection, scope_id, now, _DROPPED_A_STEP)
        if oldest:
            with self._database.write(scope_id) as connection:
                _drop(connection, scope_id, oldest)
        return bool(oldest)


def _oldest(connection: sa.Connection, scope_id: str, now: datetime, limit: int) -> Sequence[str]:
    old = sa.select(idempotency.c.key_hash).where(idempotency.c.scope_id == scope_id, is_expired(now))
    return connection.execute(old.order_by(idempotency.c.noted_at).limit(limit)).scalars().all()


def _drop(connection: sa.Connection, scope_id: str, key_hashes: Sequence[str]) -> None:
    if key_hashes:
        named = idempotency.c.key_hash.in_(key_hashes)
        connection.execute(sa.delete(idempotency).where(idempotency.c.scope_id == scope_id, named))


def check_complete(found: Sequence[object], page_ids: Sequence[str]) -> None:
    """Refuses to repeat what was forgotten since; it is not stored again either.

    Raises:
        NotFoundError: If a page of the request is no longer there.
    """
    if len(found) < len(page_ids):
        raise NotFoundError("this request was done, and what it stored was forgotten since")
