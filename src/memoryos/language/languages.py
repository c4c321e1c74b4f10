"""Languages: in which of six a text is written, as far as its letters and little words tell."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Literal, get_args

from memoryos.language.ascii_words import ascii_words
from memoryos.language.normalizing import normalized
from memoryos.language.stop_words import STOP_WORDS_OF

__all__ = ["LANGUAGES", "LANGUAGE_NAMES", "Language", "language_of"]

Language = Literal["en", "nl", "ja", "pt", "vi", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
"""English, Dutch, Japanese, Portuguese, Vietnamese, Chinese."""
LANGUAGE_NAMES: dict[Language, str] = {
    "en": "English",
    "nl": "Dutch",
    "ja": "Japanese",
    "pt": "Portuguese",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
"""By code, in English."""

_LONGEST_READ = 1_000
_KANA = re.compile("[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_HANGUL = re.compile("[\uac00-\ud7af]")
_LATIN = re.compile("[a-zà-ɏạ-ỹ]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_LEAST_KANA = 0.06
"""Share of kana from which a text in Han characters is Japanese: の in a shop's name makes no Chinese text Japanese."""
_LETTERS_A_HAN = 3
"""Letters of an alphabet that a Han character or a kana is worth."""

_VIETNAMESE_LETTERS = re.compile("[ăđơưạ-ỹ]|[aeiouy][̣̉]")
_VIETNAMESE_TONES = re.compile("[ẽĩũỹ]|(?:^|[^aeiou])(?:ì|ò|ù|è|ỳ)")
_PORTUGUESE_LETTERS = re.compile("[ãõ]|ç|lh[aeou]|nh[aeou]|ções")
_DUTCH_LETTERS = re.compile("ij|aa|oo|uu|eeuw|sch|cht|oe|ui")
_LETTERS_OF = {"nl": _DUTCH_LETTERS, "pt": re.compile("lh[aeo]|nh[aeo]|cao$|coes$|[aei]r$")}
_HINT, _HINTS = 0.3, 3
"""What letters that are frequent in a language say beside a little word of it, and how many words count so."""
_FOREIGN_LETTERS = re.compile("[ßñýåøæþðłżźśćčšžřěťďň¿¡]")

_RIVALS = """
Spanish: el la los las que de y en un una con no por pero ella yo su fue es lo mi muy donde esta cuando como se
French: le la les de du des et est un une avec pas ne pour mais il elle je sa son dans qui mon ma tres ou au que
German: der die das und ist nicht ein eine einen zu mit von den dem im ich er sie es auf auch mein wie war habe bin
Italian: il lo la gli le che di del e un una con non per ma lui lei io si sono mio mia molto dove questo ho quando
Indonesian: yang dan di ke dari untuk dengan ini itu saya aku kamu tidak ada akan sudah apa bisa juga mana
"""
_WORDS: dict[str, frozenset[str]] = {name: STOP_WORDS_OF[name] for name in ("en", "nl", "pt", "vi")} | {
    line.partition(":")[0]: frozenset(line.partition(":")[2].split()) for line in _RIVALS.strip().splitlines()
}
_NEVER_ENGLISH = frozenset[str]().union(*_WORDS.values()) - _WORDS["en"]
"""Without one of these a text in plain letters is English or tells nothing: most need no more than this look."""
_TELLING = 3
_UNMARKED_SHARE = 0.45
"""Share of little words that Vietnamese without marks must have: its syllables look like words of many languages."""


def language_of(text: str, default: Language | None = None) -> Language | None:
    """Returns the language of a text, ``default`` where it does not tell or is in none that is known.

    Han characters without kana are Chinese, unless the default is Japanese: it does not tell then.
    """
    read = text[:_LONGEST_READ]
    words = ascii_words(read)
    if words is not None and _NEVER_ENGLISH.isdisjoint(words):
        return default if _WORDS["en"].isdisjoint(words) else "en"
    lowered = read.lower()
    if not lowered.isascii():
        lowered = normalized("NFC", lowered)
        kana, han = len(_KANA.findall(lowered)), len(_HAN.findall(lowered))
        if (kana + han) * _LETTERS_A_HAN > len(_LATIN.findall(lowered)):
            return _asian(kana, han, len(_HANGUL.findall(lowered)), default)
    return _latin(lowered) or default


def _asian(kana: int, han: int, hangul: int, default: Language | None) -> Language | None:
    if hangul > kana + han:
        return default
    if kana >= _LEAST_KANA * (kana + han):
        return "ja"
    return "ja" if default == "ja" else "zh"


def _latin(lowered: str) -> Language | None:
    """Returns the language whose little words and letters say most; English wins where it says as much."""
    words = [word.replace("’", "'") for word in _WORD.findall(lowered)]
    plain = words if lowered.isascii() else [_unmarked(word) for word in words]
    distinct = set(plain)
    scores = {name: float(len(distinct & little)) for name, little in _WORDS.items()}
    if not lowered.isascii():
        scores["vi"] += 2.0 * sum(
            1 for word in words if _VIETNAMESE_LETTERS.search(word) or _VIETNAMESE_TONES.search(word)
        )
        scores["pt"] += sum(
            1 for word in words if _PORTUGUESE_LETTERS.search(word) and not _VIETNAMESE_LETTERS.search(word)
        )
        foreign = sum(1 for word in words if _FOREIGN_LETTERS.search(word))
        for name in ("Spanish", "German"):
            scores[name] += foreign
    elif scores["vi"] < _UNMARKED_SHARE * len(distinct) or len(distinct) < _TELLING:
        scores["vi"] = 0.0
    for name, letters in _LETTERS_OF.items():
        if scores[name]:
            scores[name] += _HINT * min(_HINTS, sum(1 for word in distinct if letters.search(word)))
    best = max(scores, key=lambda name: (scores[name], name == "en"))
    if scores[best] < 1:
        return None
    return next((each for each in LANGUAGES if each == best), None)


@lru_cache(maxsize=100_000)
def _unmarked(word: str) -> str:
    decomposed = normalized("NFD", word.replace("đ", "d"))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
