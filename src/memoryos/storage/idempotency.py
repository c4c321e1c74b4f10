"""Idempotency keys: a request that a caller repeats with the same key is executed only once.

The ids of the pages that the request adds are stored with the key, in the same transaction as the pages.

A row contains hashes and page ids, and no text. The hash of the request is an HMAC with the caller's key, which is not
stored. When a page of the request is forgotten, this hash is deleted. Otherwise a person with the key could find out
the forgotten text by guessing.
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
"""Minimum number of days for which a repeated request is recognized."""
_FORGOTTEN = (
    "a request with this idempotency key was executed before, and pages that it added were forgotten; "
    "use a new key to store them again"
)
_MAX_DELETED_PER_WRITE = 10
"""Maximum number of expired rows that one write deletes.

A write deletes more rows than it adds, so the table shrinks. The small number keeps each write fast.
"""
_BATCH_ROWS = 500


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The hashes that identify a request.

    Attributes:
        key_hash: SHA-256 of the caller's idempotency key.
        request_hash: HMAC-SHA-256 of the request's content; the HMAC key is the caller's idempotency key.
    """

    key_hash: str
    request_hash: str


def idempotency_key_of(key: str, request: object) -> IdempotencyKey:
    """Computes the hashes that identify a request.

    Args:
        key: The caller's idempotency key.
        request: The content of the request as JSON values. Other values are converted with ``str``.
    """
    secret = key.encode()
    body = json.dumps(request, ensure_ascii=True, sort_keys=True, default=str).encode()
    return IdempotencyKey(hashlib.sha256(secret).hexdigest(), hmac.new(secret, body, hashlib.sha256).hexdigest())


def find_result(connection: sa.Connection, scope_id: str, key: IdempotencyKey) -> list[str] | None:
    """Returns the ids of the pages that the first execution of a request added.

    Returns None if the request has not been executed yet.

    Raises:
        InputError: If the key was used for another request.
        NotFoundError: If a page that the first execution added was forgotten.
    """
    where = (idempotency.c.scope_id == scope_id, idempotency.c.key_hash == key.key_hash)
    row = connection.execute(sa.select(idempotency).where(*where)).one_or_none()
    if row is None:
        return None
    if not row.request_hash:
        raise NotFoundError(_FORGOTTEN)
    if not hmac.compare_digest(row.request_hash, key.request_hash):
        raise InputError("idempotency_key", "was used for another request; use a new key for each request")
    return list(row.page_ids)


def save_result(
    connection: sa.Connection, scope_id: str, key: IdempotencyKey, page_ids: Sequence[str], now: datetime
) -> None:
    """Stores the ids of the pages that a request added, in the transaction that adds them.

    Also deletes a few expired rows.
    """
    values: dict[str, Any] = {"key_hash": key.key_hash, "request_hash": key.request_hash, "page_ids": list(page_ids)}
    connection.execute(sa.insert(idempotency).values(scope_id=scope_id, noted_at=now, **values))
    _delete(connection, scope_id, _oldest(connection, scope_id, now, _MAX_DELETED_PER_WRITE))


def drop_request_hashes(database: Database, scope_id: str, page_ids: Collection[str]) -> None:
    """Deletes the request hashes of the requests that added these pages.

    The rows with the key hashes remain, so repeated requests are still recognized.
    """
    columns = (idempotency.c.key_hash, idempotency.c.page_ids)
    has_hash = (idempotency.c.scope_id == scope_id, idempotency.c.request_hash != "")
    with database.read(scope_id) as connection:
        rows = connection.execute(sa.select(*columns).where(*has_hash)).all()
    named = [row.key_hash for row in rows if any(each in page_ids for each in row.page_ids)]
    for start in range(0, len(named), _BATCH_ROWS):
        part = (idempotency.c.scope_id == scope_id, idempotency.c.key_hash.in_(named[start : start + _BATCH_ROWS]))
        with database.write(scope_id) as connection:
            connection.execute(sa.update(idempotency).where(*part).values(request_hash=""))


def is_expired(now: datetime) -> sa.ColumnElement[bool]:
    """Returns the SQL condition that is true for expired rows."""
    return idempotency.c.noted_at < now - timedelta(days=RETENTION_DAYS)


class IdempotencyTable:
    """Deletes expired idempotency keys, including those of scopes that receive no more writes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def delete_expired(self, scope_id: str, now: datetime) -> bool:
        """Deletes a limited number of expired rows of a scope; returns whether there were any."""
        with self._database.read(scope_id) as connection:
            oldest = _oldest(connection, scope_id, now, _BATCH_ROWS)
        if oldest:
            with self._database.write(scope_id) as connection:
                _delete(connection, scope_id, oldest)
        return bool(oldest)


def _oldest(connection: sa.Connection, scope_id: str, now: datetime, limit: int) -> Sequence[str]:
    old = sa.select(idempotency.c.key_hash).where(idempotency.c.scope_id == scope_id, is_expired(now))
    return connection.execute(old.order_by(idempotency.c.noted_at).limit(limit)).scalars().all()


def _delete(connection: sa.Connection, scope_id: str, key_hashes: Sequence[str]) -> None:
    if key_hashes:
        named = idempotency.c.key_hash.in_(key_hashes)
        connection.execute(sa.delete(idempotency).where(idempotency.c.scope_id == scope_id, named))


def check_complete(found: Sequence[object], page_ids: Sequence[str]) -> None:
    """Checks that the pages that an earlier request added still exist.

    A repeated request must not store a forgotten page again. It fails instead.

    Raises:
        NotFoundError: If a page no longer exists.
    """
    if len(found) < len(page_ids):
        raise NotFoundError(_FORGOTTEN)
