"""Which language a text is in, as far as it takes to notice that a reply is in another one."""

from __future__ import annotations

import re
from collections import Counter

from memoryos.language.normalizing import normalized
from memoryos.language.stop_words import STOP_WORDS

__all__ = ["is_in_other_language"]

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
_WEIGHTS = {"han": 3, "kana": 3, "hangul": 3}
"""Letters of an alphabet that one character of these scripts is worth."""
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_ADDRESS = re.compile(r"https?://\S+")
_LONGEST_READ = 20_000

DOMINANT = 0.75
"""A script with this share of a text's letters is the text's script …"""
FOREIGN = 0.15
"""… and a reply with less of it than this is written in another …"""
ENOUGH_LETTERS = 24
ENOUGH_WORDS = 4
"""… if it has so many letters, or words in Latin letters that begin with a small one: names are at home everywhere."""
KANA = (0.02, 0.2)
"""Share of kana up to which a text is Chinese, and from which it is Japanese."""
WORDS_TO_JUDGE = (8, 20)
"""Words of a reply and of its source from which languages in Latin letters are told apart."""
PLAIN = 0.2
"""A text with this share of a language's little words, and half of it or less of any other's, is in that language …"""
DISTINCT = 3
"""… if so many different ones are among them: "Rio de la Plata" makes no Spanish."""

_LITTLE = """
Portuguese: o e é a os as que de do da dos das em no na um uma com não nao para por mais mas ao ele ela eu se sua foi
Spanish: el la los las que de del y en un una con no para por más pero al él ella yo se su fue es lo como
French: le la les que de du des et est en un une avec pas ne pour par plus mais au il elle je se sa son dans qui
German: der die das und ist nicht ein eine einen zu mit von den dem im ich er sie es auf für hat dass auch
Dutch: de het een en van ik te dat die niet is op zijn met voor heeft hij ze haar in aan om er maar
Vietnamese: là có không được cho những một trong và của với tôi bạn anh chị em này đã đang đến người ở rằng các về cô ấy
"""
_LITTLE_WORDS = {"English": STOP_WORDS} | {
    line.partition(":")[0]: frozenset(line.partition(":")[2].split()) for line in _LITTLE.strip().splitlines()
}


def is_in_other_language(reply: str, source: str) -> bool:
    """Returns whether a reply is in another language than its source, as far as scripts and little words tell.

    What is short, mixed or only names is not judged: a wrong alarm costs more than a sentence in another language.
    """
    reply = _ADDRESS.sub(" ", reply)
    script, said = _dominant(source), _count(reply)
    if script is None or not said:
        return False
    if _weigh(said)[script] < FOREIGN * _weigh(said).total():
        return _says_enough(reply)
    if script == "han":
        return {_is_japanese(said), _is_japanese(_count(source))} == {True, False}
    languages = [_language(reply, WORDS_TO_JUDGE[0]), _language(source, WORDS_TO_JUDGE[1])]
    return script == "latin" and None not in languages and languages[0] != languages[1]


def _dominant(text: str) -> str | None:
    letters = _weigh(_count(text))
    return next((name for name, count in letters.most_common(1) if count >= DOMINANT * letters.total()), None)


def _count(text: str) -> Counter[str]:
    lowered = text[:_LONGEST_READ].lower()
    return +Counter({name: len(pattern.findall(lowered)) for name, pattern in _LETTERS.items()})


def _weigh(letters: Counter[str]) -> Counter[str]:
    """Returns what each script weighs; kana count as Han here."""
    weighed = Counter({name: count * _WEIGHTS.get(name, 1) for name, count in letters.items()})
    weighed["han"] += weighed.pop("kana", 0)
    return +weighed


def _says_enough(text: str) -> bool:
    letters = _weigh(_count(text))
    words = sum(word[0].islower() for word in _WORD.findall(text[:_LONGEST_READ]) if _LETTERS["latin"].match(word))
    return words >= ENOUGH_WORDS or letters.total() - letters["latin"] >= ENOUGH_LETTERS


def _is_japanese(letters: Counter[str]) -> bool | None:
    total = letters["han"] + letters["kana"]
    if total * _WEIGHTS["han"] < ENOUGH_LETTERS or KANA[0] < letters["kana"] / total < KANA[1]:
        return None
    return letters["kana"] / total >= KANA[1]


def _language(text: str, least: int) -> str | None:
    composed = normalized("NFC", text[:_LONGEST_READ].lower()).replace("’", "'")
    words = _WORD.findall(composed)
    if len(words) < least:
        return None
    found = {name: [word for word in words if word in little] for name, little in _LITTLE_WORDS.items()}
    best, second = sorted(found, key=lambda name: -len(found[name]))[:2]
    is_plain = len(found[best]) >= max(PLAIN * len(words), 2 * len(found[second]))
    return best if is_plain and len(set(found[best])) >= DISTINCT else None
