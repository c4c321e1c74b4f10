"""What the texts of a language have in common in a model's vectors: it says nothing of them, and hides what they say.

To a model that hardly knows a language all its texts are alike: two Chinese sentences that have nothing to do with each
other have a cosine of .6 in MiniLM, two English ones of .1. Across the direction of their mean (Mu and Viswanath 2018)
cosines mean what they mean elsewhere. ``benchmarks.languages.means`` makes the files.
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
_PLACES: dict[str | None, int] = {language: place for place, language in enumerate(LANGUAGES)}


class LanguageMeans:
    """The means of one model, read at the first use.

    Args:
        model: Name of its folder among the assets.
    """

    def __init__(self, model: str) -> None:
        self._model = model

    def taken_off(self, rows: NDArray[Float], texts: Sequence[str]) -> NDArray[Float]:
        """Returns ``[n, d]``: what is left of each text's row across the direction of its language's mean.

        A text that is taken for another language than its own has little in that direction, and keeps nearly all.
        """
        common = _directions(self._model)[[_PLACES.get(language_of(each), len(LANGUAGES)) for each in texts]]
        rest: NDArray[Float] = rows - np.einsum("ij,ij->i", rows, common)[:, None] * common
        return rest


def means_file(model: str) -> Traversable:
    """Returns ``float32[7, d]``: means of what is said, in the order of ``LANGUAGES``, of any other language last."""
    return resources.files("memoryos.models") / "assets" / model / "means.npy"


@cache
def _directions(model: str) -> NDArray[np.float32]:
    """Returns ``float32[7, d]``: unit vectors; zeros where nothing is taken off."""
    with means_file(model).open("rb") as file:
        means: NDArray[np.float32] = np.load(file, allow_pickle=False)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means / np.where(lengths > 0, lengths, 1), np.float32)
