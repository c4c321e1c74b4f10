"""Mean embedding of each language: ``python -m benchmarks.languages.means`` writes one file per model.

The means are computed from ``everyday.json``: thirty sentences and twelve longer passages on different subjects, the same
in all six languages; no text of a benchmark set is used.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memoryos.language.languages import LANGUAGES
from memoryos.models.language_means import means_file
from memoryos.models.minilm import MiniLM
from memoryos.models.multilingual_e5 import MultilingualE5

EVERYDAY = Path(__file__).parent / "everyday.json"
Raw = Callable[[list[str]], NDArray[np.floating]]


def main() -> None:
    """Embeds the texts and writes ``float32[7, d]`` for each model."""
    e5 = MultilingualE5(threads=2)
    means = _by_language(partial(e5.raw, is_query=False))
    _write("multilingual-e5-small", [*means, np.mean(means, axis=0)])
    minilm = MiniLM()
    means = _by_language(minilm.raw)
    nothing = np.zeros_like(means[0])
    unknown = [nothing if name in minilm.languages else mean for name, mean in zip(LANGUAGES, means, strict=True)]
    _write("all-MiniLM-L6-v2", [*unknown, nothing])


def _by_language(raw: Raw) -> list[NDArray[np.float64]]:
    """Returns the mean vector of each language. Sentences and passages have equal weight."""
    everyday = json.loads(EVERYDAY.read_text(encoding="utf-8"))
    return [
        np.mean([np.mean(raw(everyday[name][part]), axis=0) for part in ("sentences", "passages")], axis=0)
        for name in LANGUAGES
    ]


def _write(model: str, means: list[NDArray[np.float64]]) -> None:
    file = Path(str(means_file(model)))
    np.save(file, np.asarray(means, np.float32), allow_pickle=False)
    sys.stdout.write(f"{file}: lengths {np.linalg.norm(means, axis=-1).round(3).tolist()}\n")


if __name__ == "__main__":
    main()
