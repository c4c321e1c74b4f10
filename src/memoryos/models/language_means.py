"""Removes the per-language mean direction from embeddings (Mu and Viswanath 2018).

If a model was trained on few texts of a language, it maps all texts of that language to similar vectors. In MiniLM,
unrelated Chinese sentences have a cosine of 0.6, unrelated English sentences 0.1. When the mean direction is removed,
cosines are comparable across languages. ``benchmarks.languages.means`` computes the files with the mean vectors.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from memoryos.language.languages import LANGUAGES, language_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Traversable

    from numpy.typing import NDArray

__all__ = ["LanguageMeans", "means_file"]

Float = TypeVar("Float", bound=np.floating)
_ROWS: dict[str | None, int] = {language: row for row, language in enumerate(LANGUAGES)}


class LanguageMeans:
    """The mean vectors of one model, loaded at first use.

    Args:
        model: Name of the model's folder in ``assets``.
    """

    def __init__(self, model: str) -> None:
        self._model = model

    def removed_from(self, rows: NDArray[Float], texts: Sequence[str]) -> NDArray[Float]:
        """Returns ``[n, d]``: each row minus its projection onto the mean direction of the text's language.

        A wrongly detected language changes a row little, because the row has a small component in that direction.
        """
        directions = _directions(self._model)[[_ROWS.get(language_of(each), len(LANGUAGES)) for each in texts]]
        remainder: NDArray[Float] = rows - np.einsum("ij,ij->i", rows, directions)[:, None] * directions
        return remainder


def means_file(model: str) -> Traversable:
    """Returns the file with the mean vectors of a model, ``float32[7, d]``.

    The first rows are the means of the languages in ``LANGUAGES``, in this order. The last row is the mean of texts in
    all other languages.
    """
    return resources.files("memoryos.models") / "assets" / model / "means.npy"


@cache
def _directions(model: str) -> NDArray[np.float32]:
    """Returns ``float32[7, d]``: for each of the 7 languages, the L2-normalised direction of its mean vector.

    If the mean vector is zero, its row is zero, and nothing is removed from texts of that language.
    """
    with means_file(model).open("rb") as file:
        means: NDArray[np.float32] = np.load(file, allow_pickle=False)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means / np.where(lengths > 0, lengths, 1), np.float32)
