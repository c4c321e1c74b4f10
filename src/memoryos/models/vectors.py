"""The border of every embedder: texts that can be encoded go in, vectors of length 1 come out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memoryos.errors import DimensionMismatchError, EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer

__all__ = ["count_bytes", "tokenize", "unit_rows"]

_NOT_ENCODABLE = "the text has characters that are not encodable"


def count_bytes(text: str) -> int:
    """Returns how many bytes of UTF-8 a text has.

    Raises:
        EmbeddingError: If it is not encodable.
    """
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise EmbeddingError(_NOT_ENCODABLE) from error


def tokenize(tokenizer: Tokenizer, text: str, *, with_marks: bool) -> Encoding:
    """Returns the tokens of a text.

    Args:
        tokenizer: The model's.
        text: The text.
        with_marks: Whether the tokens that mark the ends of a text belong to it.

    Raises:
        EmbeddingError: If it is not encodable.
    """
    try:
        return tokenizer.encode(text, add_special_tokens=with_marks)
    except (UnicodeEncodeError, TypeError) as error:
        raise EmbeddingError(_NOT_ENCODABLE) from error


def unit_rows(
    rows: Sequence[NDArray[np.float64]] | NDArray[np.floating], dimensions: int, sent: str
) -> NDArray[np.float32]:
    """Returns ``float32[n, dimensions]``: at least one row, L2-normalised.

    Args:
        rows: Vectors of any length.
        dimensions: The length that was promised.
        sent: Who did what, as "the embedding endpoint sent".

    Raises:
        DimensionMismatchError: If a row has another length than promised.
        EmbeddingError: If a row has no direction.
    """
    for each in rows:
        if each.shape != (dimensions,):
            raise DimensionMismatchError(dimensions, each.size)
    matrix = np.stack(list(rows))
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise EmbeddingError(f"{sent} a vector without a direction: zeros, or what is no number")
    return np.asarray(matrix / norms, np.float32)
