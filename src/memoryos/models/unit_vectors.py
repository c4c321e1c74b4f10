"""Checks shared by all embedders: input texts must be valid Unicode, output vectors are normalised to length 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memoryos.errors import DimensionMismatchError, EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer

__all__ = ["MAX_TEXT_CHARACTERS", "count_bytes", "tokenize", "unit_rows"]

MAX_TEXT_CHARACTERS = 4_000
"""Longest text that embedders read; they ignore the rest. Passages are much shorter, but queries can be longer."""
_NOT_ENCODABLE = "the text contains lone surrogates, which can't be encoded; remove them"


def count_bytes(text: str) -> int:
    """Returns the length of a text in bytes of UTF-8.

    Raises:
        EmbeddingError: If the text contains lone surrogates.
    """
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise EmbeddingError(_NOT_ENCODABLE) from error


def tokenize(tokenizer: Tokenizer, text: str) -> Encoding:
    """Returns the tokens of a text, including those that mark its ends.

    Raises:
        EmbeddingError: If the text contains lone surrogates.
    """
    try:
        return tokenizer.encode(text, add_special_tokens=True)
    except (UnicodeEncodeError, TypeError) as error:
        raise EmbeddingError(_NOT_ENCODABLE) from error


def unit_rows(
    rows: Sequence[NDArray[np.float64]] | NDArray[np.floating], dimensions: int, source: str
) -> NDArray[np.float32]:
    """Returns ``float32[n, dimensions]``: at least one row, L2-normalised.

    Args:
        rows: Vectors of any length.
        dimensions: The expected length of a row.
        source: Origin of the vectors for error messages, for example "the embedding endpoint".

    Raises:
        DimensionMismatchError: If a row has a different length.
        EmbeddingError: If a row can't be normalised.
    """
    for each in rows:
        if each.shape != (dimensions,):
            raise DimensionMismatchError(dimensions, each.size)
    matrix = np.stack(list(rows))
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise EmbeddingError(f"{source} returned a vector of zeros, NaN or infinity; use another model")
    return np.asarray(matrix / norms, np.float32)
