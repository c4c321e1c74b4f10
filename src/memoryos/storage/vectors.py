"""Vectors: each row names its model, so that vectors of two models are never compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from memoryos.errors import DimensionMismatchError
from memoryos.storage.schema import knowledge, pages, vectors
from memoryos.storage.scopes import Lease, advance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from memoryos.model import Side
    from memoryos.storage.database import Database

__all__ = ["UtteranceVectors", "VectorTable"]

_LITTLE_ENDIAN = np.dtype("<f4")
_KNOWLEDGE = "knowledge"
_CURRENT = sa.text("superseded_by IS NULL AND archived_at IS NULL")


@dataclass(frozen=True, slots=True)
class UtteranceVectors:
    """The vectors of one utterance: ``float32[windows, dimensions]``, one row for each window that the model reads."""

    page_id: str
    seq: int
    side: Side
    vectors: NDArray[np.float32]


class VectorTable:
    """Writes and reads vectors of utterances and of knowledge."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_pages(
        self, lease: Lease, model: str, page_ids: Sequence[str], utterances: Sequence[UtteranceVectors]
    ) -> None:
        """Writes the vectors of all utterances of these pages and marks the pages as embedded, in one transaction.

        Raises:
            StoreConflictError: If another worker took the scope over.
        """
        rows = [_row(lease.scope_id, each.side, each.page_id, model, each.vectors) for each in utterances]
        with self._database.write() as connection:
            advance(connection, lease)
            _replace(connection, lease.scope_id, model, rows)
            connection.execute(
                sa.update(pages)
                .where(pages.c.scope_id == lease.scope_id, pages.c.page_id.in_(page_ids))
                .values(embedded_with=model)
            )

    def save_knowledge(self, lease: Lease, model: str, entries: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
        """Writes ``float32[dimensions]`` vectors of knowledge entries by their ids.

        Raises:
            StoreConflictError: If another worker took the scope over.
        """
        rows = [_row(lease.scope_id, _KNOWLEDGE, owner, model, vector[None, :]) for owner, vector in entries]
        with self._database.write() as connection:
            advance(connection, lease)
            _replace(connection, lease.scope_id, model, rows)

    def of_pages(self, scope_id: str, model: str, from_seq: int = 0) -> list[UtteranceVectors]:
        """Returns the vectors of the utterances from a position on, in the order of the log, the user's side first.

        Raises:
            DimensionMismatchError: If a stored vector has not the length that its row states.
        """
        statement = (
            sa.select(pages.c.page_id, pages.c.seq, vectors.c.owner_kind, vectors.c.dimensions, vectors.c.vector)
            .select_from(pages)
            .join(vectors, sa.and_(vectors.c.scope_id == pages.c.scope_id, vectors.c.owner_id == pages.c.page_id))
            .where(
                pages.c.scope_id == scope_id,
                pages.c.embedded_with == model,
                pages.c.seq >= from_seq,
                vectors.c.owner_kind.in_(("user", "assistant")),
                vectors.c.model == model,
            )
            .order_by(pages.c.seq, vectors.c.owner_kind.desc())
        )
        with self._database.read() as connection:
            return [
                UtteranceVectors(page_id, seq, kind, _matrix(blob, dimensions))
                for page_id, seq, kind, dimensions, blob in connection.execute(statement)
            ]

    def of_knowledge(self, scope_id: str, model: str) -> dict[str, NDArray[np.float32]]:
        """Returns ``float32[dimensions]`` of every current knowledge entry that has a vector of this model, by its id."""
        statement = (
            sa.select(vectors.c.owner_id, vectors.c.dimensions, vectors.c.vector)
            .join(
                knowledge,
                sa.and_(knowledge.c.scope_id == vectors.c.scope_id, knowledge.c.knowledge_id == vectors.c.owner_id),
            )
            .where(
                knowledge.c.scope_id == scope_id, _CURRENT, vectors.c.owner_kind == _KNOWLEDGE, vectors.c.model == model
            )
        )
        with self._database.read() as connection:
            return {owner: _matrix(blob, size)[0] for owner, size, blob in connection.execute(statement)}

    def unembedded_knowledge(self, scope_id: str, model: str, limit: int) -> list[tuple[str, str]]:
        """Returns (id, text) of current knowledge entries without a vector of this model."""
        has_vector = sa.exists().where(
            vectors.c.scope_id == knowledge.c.scope_id,
            vectors.c.owner_kind == _KNOWLEDGE,
            vectors.c.owner_id == knowledge.c.knowledge_id,
            vectors.c.model == model,
        )
        statement = (
            sa.select(knowledge.c.knowledge_id, knowledge.c.text)
            .where(
                knowledge.c.scope_id == scope_id,
                _CURRENT,
                ~has_vector,
            )
            .order_by(knowledge.c.knowledge_id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [(row.knowledge_id, row.text) for row in connection.execute(statement)]


def _replace(connection: sa.Connection, scope_id: str, model: str, rows: list[dict[str, object]]) -> None:
    if not rows:
        return
    connection.execute(
        sa.delete(vectors).where(
            vectors.c.scope_id == scope_id,
            vectors.c.owner_kind.in_({row["owner_kind"] for row in rows}),
            vectors.c.owner_id.in_({row["owner_id"] for row in rows}),
            vectors.c.model == model,
        )
    )
    connection.execute(sa.insert(vectors), rows)


def _row(scope_id: str, kind: str, owner: str, model: str, matrix: NDArray[np.float32]) -> dict[str, object]:
    return {
        "scope_id": scope_id,
        "owner_kind": kind,
        "owner_id": owner,
        "model": model,
        "dimensions": matrix.shape[1],
        "vector": np.ascontiguousarray(matrix, dtype=_LITTLE_ENDIAN).tobytes(),
    }


def _matrix(blob: bytes, dimensions: int) -> NDArray[np.float32]:
    values = np.frombuffer(blob, dtype=_LITTLE_ENDIAN)
    if values.size == 0 or values.size % dimensions:
        raise DimensionMismatchError(dimensions, values.size)
    return values.reshape(-1, dimensions).astype(np.float32, copy=False)
