"""Search of whole turns by words or by meaning alone, independent of the measured program except for its embedder."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Bm25", "Embedding", "PlainSearch", "Ranker", "Turn"]

K1, B = 1.2, 0.75
CHARACTERS_PER_TOKEN = 4
_WORD = re.compile(r"\w+")
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn; ``page_id`` is that of the exchange to which it belongs."""

    page_id: str
    speaker: str
    text: str


class Ranker(Protocol):
    """Ranks turns for a query."""

    def add(self, texts: Sequence[str]) -> None:
        """Adds turns."""
        ...

    def scores(self, query: str) -> NDArray[np.float64]:
        """Returns the score of each turn in the order of addition; only turns above 0 are relevant."""
        ...


class TextEmbedder(Protocol):
    """The methods of an embedder that are used here; ``memoryos.seams.Embedder`` describes them."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns one normalised vector per text."""
        ...


@dataclass
class Bm25:
    """Okapi BM25 on lower-case words, with k1 = 1.2 and b = 0.75."""

    _lengths: list[int] = field(default_factory=list)
    _postings: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def add(self, texts: Sequence[str]) -> None:
        """Adds turns to the index."""
        for text in texts:
            words = _words(text)
            for word, count in Counter(words).items():
                self._postings.setdefault(word, []).append((len(self._lengths), count))
            self._lengths.append(len(words))

    def scores(self, query: str) -> NDArray[np.float64]:
        """Returns ``float64[turns]``."""
        found = np.zeros(len(self._lengths))
        if not self._lengths:
            return found
        mean = sum(self._lengths) / len(self._lengths) or 1.0
        for word in set(_words(query)):
            postings = self._postings.get(word, [])
            rarity = math.log(1 + (len(found) - len(postings) + 0.5) / (len(postings) + 0.5))
            for place, count in postings:
                found[place] += rarity * count * (K1 + 1) / (count + K1 * (1 - B + B * self._lengths[place] / mean))
        return found


@dataclass
class Embedding:
    """Cosine of query and turn; the vector covers as much of a turn as the model reads in one input."""

    _embedder: TextEmbedder
    _waiting: list[str] = field(default_factory=list)
    _vectors: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, texts: Sequence[str]) -> None:
        """Adds turns; they are embedded before the next query."""
        self._waiting += texts

    def scores(self, query: str) -> NDArray[np.float64]:
        """Returns ``float64[turns]``."""
        for start in range(0, len(self._waiting), _BATCH):
            self._vectors += list(self._embedder.embed(self._waiting[start : start + _BATCH]))
        self._waiting = []
        if not self._vectors:
            return np.zeros(0)
        return np.asarray(np.array(self._vectors) @ self._embedder.embed([query])[0], np.float64)


@dataclass
class PlainSearch:
    """Whole turns in the order of one score; a turn that does not fit into the rest of the budget is skipped."""

    _ranker: Ranker
    _turns: list[Turn] = field(default_factory=list)

    def add(self, turns: Sequence[Turn]) -> None:
        """Adds turns."""
        self._ranker.add([each.text for each in turns])
        self._turns += turns

    def search(self, query: str, max_tokens: int) -> Iterator[Turn]:
        """Yields the turns of a context of at most ``max_tokens`` tokens (characters ÷ 4), best first."""
        scores = self._ranker.scores(query)
        characters = max_tokens * CHARACTERS_PER_TOKEN
        for place in np.argsort(-scores, kind="stable"):
            turn = self._turns[place]
            if scores[place] > 0 and len(turn_line(turn)) <= characters:
                characters -= len(turn_line(turn))
                yield turn


def turn_line(turn: Turn) -> str:
    """Returns a turn as a line of a context."""
    return f"{turn.speaker}: {turn.text}\n"


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
