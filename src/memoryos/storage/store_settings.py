"""Settings that apply to all processes that use the store: the name of the embedding model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from memoryos.storage.schema import store_settings, vectors

if TYPE_CHECKING:
    from memoryos.storage.database import Database

__all__ = ["StoreSettings"]

_EMBEDDING_MODEL = "embedding_model"
_INSERT = "INSERT INTO store_settings (name, value) VALUES (:name, :value) ON CONFLICT (name)"
_INSERT_ONLY = sa.text(f"{_INSERT} DO NOTHING")
_INSERT_OR_REPLACE = sa.text(f"{_INSERT} DO UPDATE SET value = excluded.value")


class StoreSettings:
    """Reads and records the settings of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def embedding_model(self) -> str | None:
        """Returns the recorded embedding model, as a value of ``embedding_model_name``; None if none is recorded."""
        statement = sa.select(store_settings.c.value).where(store_settings.c.name == _EMBEDDING_MODEL)
        with self._database.read() as connection:
            return connection.execute(statement).scalar_one_or_none()

    def record_embedding_model(self, name: str) -> str:
        """Records an embedding model, unless the store already has one. Returns the recorded model.

        If several processes record different models at the same time, all calls return the one that was recorded first.
        """
        with self._database.write() as connection:
            connection.execute(_INSERT_ONLY, {"name": _EMBEDDING_MODEL, "value": name})
        return self.embedding_model() or name

    def replace_embedding_model(self, name: str) -> None:
        """Records an embedding model and overwrites the model recorded earlier."""
        with self._database.write() as connection:
            connection.execute(_INSERT_OR_REPLACE, {"name": _EMBEDDING_MODEL, "value": name})

    def model_of_vectors(self) -> str | None:
        """Returns the name of the model that computed one of the stored vectors; None if there are no vectors."""
        with self._database.read() as connection:
            return connection.execute(sa.select(vectors.c.model).limit(1)).scalar_one_or_none()
