"""The table of vectors. Each row names its model, so vectors of different models are never compared."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress, pairwise
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from memoryos.errors import DimensionMismatchError
from memoryos.model import SIDES
from memoryos.storage.column_types import DamagedValueError
from memoryos.storage.lease import Lease, advance
from memoryos.storage.schema import facts, pages, vectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from memoryos.model import Side
    from memoryos.storage.database import Database

__all__ = ["UtteranceVectors", "VectorRows", "VectorTable"]

_LITTLE_ENDIAN = np.dtype("<f4")
_KNOWLEDGE = "knowledge"
_BATCH_PAGES = 1000
_BATCH_FACTS = 500


@dataclass(frozen=True, slots=True)
class UtteranceVectors:
    """The vectors of one utterance: ``float32[passages, dimensions]``, in the order of its passages."""

    page_id: str
    seq: int
    side: Side
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class VectorRows:
    """Stored vectors of several utterances, in log order; of each page, the user's first.

    Attributes:
        seqs: Position of the page, for each utterance.
        sides: Who spoke each utterance: "user" or "assistant".
        counts: Number of passages with vectors, for each utterance: ``int32[len(seqs)]``.
        matrix: ``float32[sum(counts), dimensions]``.
    """

    seqs: tuple[int, ...]
    sides: tuple[Side, ...]
    counts: NDArray[np.int32]
    matrix: NDArray[np.float32]

    def where(self, kept: NDArray[np.bool_]) -> VectorRows:
        """Returns the utterances selected by the mask ``bool[len(seqs)]``."""
        return VectorRows(
            tuple(compress(self.seqs, kept)),
            tuple(compress(self.sides, kept)),
            self.counts[kept],
            self.matrix[np.repeat(kept, self.counts)],
        )


class VectorTable:
    """Writes and reads vectors of utterances and of facts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_pages(
        self, lease: Lease, model: str, page_ids: Sequence[str], utterances: Sequence[UtteranceVectors]
    ) -> None:
        """Writes the vectors of all utterances of these pages and marks the pages as embedded, in one transaction.

        Raises:
            StoreConflictError: If the lease was lost.
        """
        rows = [_row(lease.scope_id, each.side, each.page_id, model, each.vectors) for each in utterances]
        with self._database.write(lease.scope_id) as connection:
            advance(connection, lease)
            _replace(connection, lease.scope_id, rows)
            connection.execute(
                sa.update(pages)
                .where(pages.c.scope_id == lease.scope_id, pages.c.page_id.in_(page_ids))
                .values(embedded_with=model)
            )

    def save_knowledge(self, lease: Lease, model: str, entries: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
        """Writes vectors of facts, given as (id, ``float32[dimensions]``).

        Raises:
            StoreConflictError: If the lease was lost.
        """
        rows = [_row(lease.scope_id, _KNOWLEDGE, owner, model, vector[None, :]) for owner, vector in entries]
        with self._database.write(lease.scope_id) as connection:
            advance(connection, lease)
            _replace(connection, lease.scope_id, rows)

    def of_pages(self, scope_id: str, model: str, from_seq: int = 0) -> Iterator[VectorRows]:
        """Yields the vectors of all utterances from a position on, in log order; of each page, the user's first.

        Each item has the vectors of at most 1,000 pages. So a caller that copies them never needs memory for two
        complete copies.

        Raises:
            StoreUnreadableError: If the length of a stored vector does not match the dimensions in its row.
            DimensionMismatchError: If stored vectors have different dimensions.
        """
        while True:
            seqs = self._embedded(scope_id, model, pages.c.seq >= from_seq)
            if seqs:
                yield from self._rows(scope_id, model, seqs, _owned_by([*seqs]))
            if len(seqs) < _BATCH_PAGES:
                return
            from_seq = max(seqs.values()) + 1

    def of_pages_at(self, scope_id: str, model: str, seqs: Sequence[int]) -> Iterator[VectorRows]:
        """Yields the vectors of the pages at these ascending positions, like ``of_pages``.

        Positions without a page, or with a page without vectors of the model, are skipped.

        Raises:
            StoreUnreadableError: Like ``of_pages``.
            DimensionMismatchError: Like ``of_pages``.
        """
        for start in range(0, len(seqs), _BATCH_PAGES):
            found = self._embedded(scope_id, model, pages.c.seq.in_(seqs[start : start + _BATCH_PAGES]))
            if found:
                yield from self._rows(scope_id, model, found, vectors.c.owner_id.in_(found))

    def _embedded(self, scope_id: str, model: str, where: sa.ColumnElement[bool]) -> dict[str, int]:
        """Returns the positions of the pages with vectors of the model, by page id."""
        statement = (
            sa.select(pages.c.page_id, pages.c.seq)
            .where(pages.c.scope_id == scope_id, pages.c.embedded_with == model, where)
            .order_by(pages.c.seq)
            .limit(_BATCH_PAGES)
        )
        with self._database.read(scope_id) as connection:
            return {row.page_id: row.seq for row in connection.execute(statement)}

    def _rows(
        self, scope_id: str, model: str, seqs: Mapping[str, int], where: sa.ColumnElement[bool]
    ) -> Iterator[VectorRows]:
        """Yields the vectors of these pages.

        Reads them without a join of the two tables, because a join took 190 ms in a database without statistics.
        """
        statement = sa.select(vectors.c.owner_id, vectors.c.owner_kind, vectors.c.dimensions, vectors.c.vector).where(
            vectors.c.scope_id == scope_id, vectors.c.owner_kind.in_(SIDES), vectors.c.model == model, where
        )
        with self._database.read(scope_id) as connection:
            rows = [
                (seqs[owner], side != SIDES[0], side, dimensions, blob)
                for owner, side, dimensions, blob in connection.execute(statement)
                if owner in seqs
            ]
        if not rows:
            return
        rows.sort()  # in log order, the user's text of a page first
        found, _, sides, dimensions, blobs = zip(*rows, strict=True)
        widths = {*dimensions}
        if len(widths) != 1:
            raise DimensionMismatchError(max(widths), min(widths))
        lengths = np.fromiter(map(len, blobs), np.int64, len(blobs))
        size = _LITTLE_ENDIAN.itemsize * dimensions[0]
        damaged = np.flatnonzero((lengths == 0) | (lengths % max(size, 1) != 0)) if size > 0 else np.arange(1)
        if damaged.size:
            raise DamagedValueError(
                "vectors.vector", f"for the {sides[damaged[0]]} text of the page at log position {found[damaged[0]]}"
            )
        counts = (lengths // size).astype(np.int32)
        yield VectorRows(found, sides, counts, _matrix(b"".join(blobs), dimensions[0]))

    def of_knowledge(self, scope_id: str, model: str, knowledge_ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Returns the vectors ``float32[dimensions]`` of these facts by id. Facts without a vector are left out."""
        columns = (vectors.c.owner_id, vectors.c.dimensions, vectors.c.vector)
        of_model = (
            vectors.c.scope_id == scope_id,
            vectors.c.owner_kind == _KNOWLEDGE,
            vectors.c.model == model,
        )
        found: dict[str, NDArray[np.float32]] = {}
        for start in range(0, len(knowledge_ids), _BATCH_FACTS):
            owned = vectors.c.owner_id.in_(knowledge_ids[start : start + _BATCH_FACTS])
            with self._database.read(scope_id) as connection:
                rows = connection.execute(sa.select(*columns).where(*of_model, owned))
                found |= {owner: _matrix(blob, size)[0] for owner, size, blob in rows}
        return found

    def unembedded_knowledge(self, scope_id: str, model: str, limit: int) -> list[tuple[str, str]]:
        """Returns (id, text) of unarchived facts without a vector of this model, in the order of their ids."""
        has_vector = sa.exists().where(
            vectors.c.scope_id == facts.c.scope_id,
            vectors.c.owner_kind == _KNOWLEDGE,
            vectors.c.owner_id == facts.c.fact_id,
            vectors.c.model == model,
        )
        statement = (
            sa.select(facts.c.fact_id, facts.c.text)
            .where(facts.c.scope_id == scope_id, facts.c.archived_at.is_(None), ~has_vector)
            .order_by(facts.c.fact_id)
            .limit(limit)
        )
        with self._database.read(scope_id) as connection:
            return [(row.fact_id, row.text) for row in connection.execute(statement)]


def _owned_by(ids: list[str]) -> sa.ColumnElement[bool]:
    """Returns the SQL condition that a vector belongs to one of these pages.

    If the page ids ascend, the condition is a range, which is faster but can match further pages.
    """
    if all(earlier < later for earlier, later in pairwise(ids)):
        return vectors.c.owner_id.between(ids[0], ids[-1])
    return vectors.c.owner_id.in_(ids)


def _replace(connection: sa.Connection, scope_id: str, rows: list[dict[str, object]]) -> None:
    """Deletes all vectors of the pages or facts that own the rows, and writes the rows."""
    if not rows:
        return
    connection.execute(
        sa.delete(vectors).where(
            vectors.c.scope_id == scope_id,
            vectors.c.owner_kind.in_({row["owner_kind"] for row in rows}),
            vectors.c.owner_id.in_({row["owner_id"] for row in rows}),
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
    if dimensions < 1 or values.size == 0 or values.size % dimensions:
        raise DamagedValueError("vectors.vector")
    return values.reshape(-1, dimensions).astype(np.float32, copy=False)
