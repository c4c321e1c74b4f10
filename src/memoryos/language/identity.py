"""Which language a text is in, as far as it takes to notice that a reply is in another one."""

from __future__ import annotations

import re
from collections import Counter

from memoryos.language.stop_words import STOP_WORDS
from memoryos.language.text import fold

__all__ = ["speaks_otherwise"]

_SCRIPTS = {
    "han": "一-鿿㐀-䶿",
    "kana": "\u3040-ヿ",
    "hangul": "가-힯",
    "cyrillic": "Ѐ-ӿ",
    "greek": "Ͱ-Ͽ",
    "arabic": "\u0600-ۿ",
    "hebrew": "\u0590-\u05ff",
    "devanagari": "\u0900-ॿ",
    "thai": "\u0e00-\u0e7f",
    "latin": "a-zà-ɏạ-ỹ",
}
_LETTERS = {name: re.compile(f"[{letters}]") for name, letters in _SCRIPTS.items()}
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_LONGEST_READ = 20_000

DOMINANT = 0.6
"""A script with this share of a text's letters is the text's script …"""
FOREIGN = 0.15
"""… and a reply with less of it than this is written in another."""
WORDS_TO_JUDGE = (8, 20)
"""Words of a reply and of its source from which English is told from another language in Latin letters."""
PLAIN = 0.3
"""A text with this share of a language's little words is in that language …"""
HARDLY = 0.15
"""… and one with less than this is not."""
_OTHERS = frozenset(
    """
que de e em um uma para com não os na por mais dos como mas ao ele ela seu sua het een en van ik te dat niet op zijn met
voor heeft hij ze und der das ist nicht ein eine zu mit les des est une dans pour avec el los las y con và của là có
không được cho những một trong
""".split()
)
"""Little words of other languages in Latin letters that are no English words."""


def speaks_otherwise(reply: str, source: str) -> bool:
    """Returns whether a reply is in another language than its source, as far as scripts and English words tell.

    Han and kana count as one script: Japanese is told from Chinese by nothing here. Portuguese is not told from Dutch.
    """
    script = _dominant(source)
    letters = _count(reply)
    total = letters.total()
    if script is None or total == 0:
        return False
    if letters[script] / total < FOREIGN:
        return True
    words, source_words = _WORD.findall(fold(reply)), _WORD.findall(fold(source[:_LONGEST_READ]))
    if script != "latin" or len(words) < WORDS_TO_JUDGE[0] or len(source_words) < WORDS_TO_JUDGE[1]:
        return False
    english, other = _share(words, STOP_WORDS), _share(words, _OTHERS)
    if _share(source_words, STOP_WORDS) >= PLAIN > _share(source_words, _OTHERS):
        return other >= PLAIN - HARDLY and other > english
    return _share(source_words, STOP_WORDS) < HARDLY and english >= PLAIN


def _dominant(text: str) -> str | None:
    letters = _count(text)
    total = letters.total()
    return next((name for name, count in letters.most_common(1) if count / total >= DOMINANT), None)


def _count(text: str) -> Counter[str]:
    lowered = text[:_LONGEST_READ].lower()
    letters = Counter({name: len(pattern.findall(lowered)) for name, pattern in _LETTERS.items()})
    letters["han"] += letters.pop("kana")
    return letters


def _share(words: list[str], of: frozenset[str]) -> float:
    return sum(word in of for word in words) / len(words)
