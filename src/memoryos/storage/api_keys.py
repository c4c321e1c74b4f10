"""API keys: who may call the server. Only a hash of the secret is kept; who reads the table can't call."""

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
_SLICE = 500
_TEXT = re.compile(r"mos_([0-9a-f-]{36})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The right to call the server: for one user, or for everything.

    Attributes:
        key_id: UUIDv7 text; no secret.
        name: What the operator calls it; may be empty.
        user_id: Whose memory it opens; None for a key of an administrator, which opens all.
        created_at: When it was made.
        expires_at: From when on it is refused; None for never.
        revoked_at: When it was revoked; None while it is not.
        secret_hash: SHA-256 of its secret, hexadecimal.
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
        """Whether it opens every user's memory."""
        return self.user_id is None

    def is_valid(self, now: datetime) -> bool:
        """Returns whether it opens anything at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def __repr__(self) -> str:
        return f"ApiKey(key_id={self.key_id!r}, user_id={self.user_id!r})"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was made just now, with the text that its owner has to keep: it can't be shown again."""

    key: ApiKey
    text: str

    def __repr__(self) -> str:
        return f"NewKey(key={self.key!r})"


class KeyTable:
    """Makes keys, finds them and revokes them. Keys belong to no scope: they are older than what they open."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, user_id: str | None, now: datetime, *, name: str = "", expires_at: datetime | None = None
    ) -> NewKey:
        """Makes a key for one user; for everything, if ``user_id`` is None."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        key = ApiKey(new_id(), name, user_id, now, expires_at, None, _hash(secret))
        values = {column.name: getattr(key, column.name) for column in api_keys.columns}
        with self._database.write() as connection:
            connection.execute(sa.insert(api_keys).values(**values))
        return NewKey(key, f"mos_{key.key_id}_{secret}")

    def find(self, key_id: str) -> ApiKey | None:
        """Returns the key of that id, valid or not; None if there is none."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(api_keys).where(api_keys.c.key_id == key_id)).one_or_none()
            return None if row is None else _read(row)

    def get(self, key_ids: Sequence[str]) -> list[ApiKey]:
        """Returns the keys of those ids that exist, valid or not, in no particular order."""
        found: list[ApiKey] = []
        with self._database.read() as connection:
            for start in range(0, len(key_ids), _SLICE):
                mine = api_keys.c.key_id.in_(key_ids[start : start + _SLICE])
                found += [_read(row) for row in connection.execute(sa.select(api_keys).where(mine))]
        return found

    def any(self) -> bool:
        """Returns whether a key was ever made in this store; revoked and expired ones count."""
        with self._database.read() as connection:
            return connection.execute(sa.select(api_keys.c.key_id).limit(1)).first() is not None

    def all(self) -> list[ApiKey]:
        """Returns every key, revoked ones too, oldest first."""
        with self._database.read() as connection:
            return [_read(row) for row in connection.execute(sa.select(api_keys).order_by(api_keys.c.key_id))]

    def any_valid(self, now: datetime) -> bool:
        """Returns whether there is a key that opens anything at that time."""
        valid = (
            api_keys.c.revoked_at.is_(None),
            sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now),
        )
        with self._database.read() as connection:
            return connection.execute(sa.select(api_keys.c.key_id).where(*valid).limit(1)).first() is not None

    def revoke(self, key_id: str, now: datetime) -> ApiKey:
        """Revokes a key for good; one that was revoked before keeps its time. Returns it as it is now.

        Raises:
            NotFoundError: If there is no such key.
        """
        mine = api_keys.c.key_id == key_id
        with self._database.write() as connection:
            fresh = sa.update(api_keys).where(mine, api_keys.c.revoked_at.is_(None)).values(revoked_at=now)
            connection.execute(fresh)
            row = connection.execute(sa.select(api_keys).where(mine)).one_or_none()
        if row is None:
            raise NotFoundError("there is no such key")
        return _read(row)


def key_id_of(text: str) -> str | None:
    """Returns the id that a key's text names; None if it is no key's text."""
    found = _TEXT.fullmatch(text)
    return found.group(1) if found else None


def is_secret_of(key: ApiKey, text: str) -> bool:
    """Returns whether the text is that key's, in a time that does not tell how much of it is right."""
    found = _TEXT.fullmatch(text)
    return found is not None and hmac.compare_digest(_hash(found.group(2)), key.secret_hash)


def _hash(secret: str) -> str:
    """Returns the SHA-256 of a secret. It has 256 random bits: nobody can try them out, so no slow hash is needed."""
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def _read(row: Any) -> ApiKey:
    return ApiKey(**row._mapping)  # noqa: SLF001  (SQLAlchemy's public name of it)
