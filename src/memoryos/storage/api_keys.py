"""Stores the API keys of the server.

Only a hash of each secret is stored, so a copy of the table grants no access.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import NotFoundError
from memoryos.identifiers import new_id
from memoryos.storage.schema import api_keys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = ["ApiKey", "KeyTable", "NewKey", "is_secret_of", "key_id_of"]

_SECRET_BYTES = 32
_BATCH_ROWS = 500
_TEXT = re.compile(r"mos_([0-9a-f-]{36})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key. It grants access to the memory of one user, or of all users (administrator).

    Attributes:
        key_id: UUIDv7 text. The id is not secret.
        name: Label chosen by the operator; may be empty.
        user_id: The user whose memory the key grants access to; None for an administrator.
        created_at: Time of creation.
        expires_at: Time from which the key is rejected; None if the key does not expire.
        revoked_at: Time of revocation; None if the key was not revoked.
        secret_hash: SHA-256 of the key's secret, hexadecimal.
    """

    key_id: str
    name: str
    user_id: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    secret_hash: str

    @property
    def is_admin(self) -> bool:
        """Whether the key grants access to the memory of all users."""
        return self.user_id is None

    def is_valid(self, now: datetime) -> bool:
        """Returns whether the key is neither expired nor revoked at the time ``now``."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def __repr__(self) -> str:
        return f"ApiKey(key_id={self.key_id!r}, user_id={self.user_id!r})"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A newly created key with its full text.

    The text contains the secret. The secret is not stored, so the text can't be shown again later.
    """

    key: ApiKey
    text: str

    def __repr__(self) -> str:
        return f"NewKey(key={self.key!r})"


class KeyTable:
    """Creates, finds and revokes API keys.

    A key belongs to a user id, so it can be created before the user has any memory.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, user_id: str | None, now: datetime, *, name: str = "", expires_at: datetime | None = None
    ) -> NewKey:
        """Creates a key for one user. Creates a key for an administrator if ``user_id`` is None."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        key = ApiKey(new_id(), name, user_id, now, expires_at, None, _hash(secret))
        values = {column.name: getattr(key, column.name) for column in api_keys.columns}
        with self._database.write() as connection:
            connection.execute(sa.insert(api_keys).values(**values))
        return NewKey(key, f"mos_{key.key_id}_{secret}")

    def find(self, key_id: str) -> ApiKey | None:
        """Returns the key with an id, even if it is expired or revoked; None if there is no such key."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(api_keys).where(api_keys.c.key_id == key_id)).one_or_none()
            return None if row is None else _read(row)

    def get(self, key_ids: Sequence[str]) -> list[ApiKey]:
        """Returns the keys with these ids in any order, including expired and revoked ones.

        Ids without a key are ignored.
        """
        found: list[ApiKey] = []
        with self._database.read() as connection:
            for start in range(0, len(key_ids), _BATCH_ROWS):
                where = api_keys.c.key_id.in_(key_ids[start : start + _BATCH_ROWS])
                found += [_read(row) for row in connection.execute(sa.select(api_keys).where(where))]
        return found

    def any(self) -> bool:
        """Returns whether any key is stored, including revoked and expired ones."""
        with self._database.read() as connection:
            return connection.execute(sa.select(api_keys.c.key_id).limit(1)).first() is not None

    def all(self) -> list[ApiKey]:
        """Returns all keys, including revoked ones, oldest first."""
        with self._database.read() as connection:
            return [_read(row) for row in connection.execute(sa.select(api_keys).order_by(api_keys.c.key_id))]

    def any_valid(self, now: datetime) -> bool:
        """Returns whether any key is neither expired nor revoked at the time ``now``."""
        valid = (
            api_keys.c.revoked_at.is_(None),
            sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now),
        )
        with self._database.read() as connection:
            return connection.execute(sa.select(api_keys.c.key_id).where(*valid).limit(1)).first() is not None

    def revoke(self, key_id: str, now: datetime) -> ApiKey:
        """Revokes a key permanently and returns it. A key that was already revoked keeps its revocation time.

        Raises:
            NotFoundError: If there is no key with this id.
        """
        where = api_keys.c.key_id == key_id
        with self._database.write() as connection:
            statement = sa.update(api_keys).where(where, api_keys.c.revoked_at.is_(None)).values(revoked_at=now)
            connection.execute(statement)
            row = connection.execute(sa.select(api_keys).where(where)).one_or_none()
        if row is None:
            raise NotFoundError(
                "there is no API key with this id; list the keys and their ids with `memoryos keys list`"
            )
        return _read(row)


def key_id_of(text: str) -> str | None:
    """Extracts the key id from the text of an API key; returns None if the format is invalid."""
    found = _TEXT.fullmatch(text)
    return found.group(1) if found else None


def is_secret_of(key: ApiKey, text: str) -> bool:
    """Returns whether the text contains the key's secret. The comparison takes constant time."""
    found = _TEXT.fullmatch(text)
    return found is not None and hmac.compare_digest(_hash(found.group(2)), key.secret_hash)


def _hash(secret: str) -> str:
    """Returns the SHA-256 of a secret.

    A slow password hash is not needed, because a secret has 256 random bits.
    """
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def _read(row: Any) -> ApiKey:
    return ApiKey(**row._mapping)  # noqa: SLF001  (a public attribute of SQLAlchemy rows)
