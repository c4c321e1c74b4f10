"""Lists of stop words and other frequent words, read from JSON files in ``data/``. Each file states its source."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "ACCENTED_LANGUAGE_WORDS",
    "BM25_HALF_WEIGHT_WORDS",
    "BM25_JAPANESE_ENDINGS",
    "FOLDED_LANGUAGE_WORDS",
    "TOPIC_STOP_WORDS",
    "TOPIC_STOP_WORDS_OF_UNKNOWN",
]


def _read(name: str) -> Any:
    return json.loads((resources.files("memoryos.language") / "data" / name).read_text(encoding="utf-8"))


def _words(lines: Iterable[str]) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


def _by_language(words: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    return {language: _words(lines) for language, lines in words.items()}


def _language_words(group: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    topic = {language: TOPIC_STOP_WORDS[language] for language in group["topic_stop_words"]}
    return topic | _by_language(group["words"])


TOPIC_STOP_WORDS: dict[str, frozenset[str]] = _by_language(_read("topic_stop_words.json")["words"])
"""Words that say nothing about the topic of a text, by language code. They are folded (see ``tokens.fold``)."""
TOPIC_STOP_WORDS_OF_UNKNOWN: frozenset[str] = TOPIC_STOP_WORDS["en"] | TOPIC_STOP_WORDS["zh"]
"""The topic stop words for texts whose language is not known."""

_BM25 = _read("bm25_stop_words.json")
BM25_HALF_WEIGHT_WORDS: dict[str, frozenset[str]] = _by_language(_read(_BM25["half_weight"])["words"])
"""Words with half weight in BM25, by language code. They are folded (see ``tokens.fold``)."""
BM25_JAPANESE_ENDINGS: frozenset[str] = _words(_BM25["not_indexed"]["ja"])
"""Pairs of hiragana in word endings and particles. They are not indexed, because almost every text contains them."""

_LANGUAGE = _read("language_words.json")
FOLDED_LANGUAGE_WORDS: dict[str, frozenset[str]] = _language_words(_LANGUAGE["folded"])
"""Frequent words by language code, without accents, for the detection of the language of short texts."""
ACCENTED_LANGUAGE_WORDS: dict[str, frozenset[str]] = _language_words(_LANGUAGE["accented"])
"""Frequent words by language code, with accents, for the detection of the language of long texts."""
