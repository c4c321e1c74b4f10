"""Scores one answer against its reference as three published LoCoMo scripts do, so that figures can be compared.

The formulas are theirs, the code is ours:

* LoCoMo: ``task_eval/evaluation.py`` of snap-research/locomo (Maharana et al. 2024).
* mem0: ``evaluation/metrics/utils.py`` of mem0ai/mem0, which took it from A-mem (Xu et al. 2025).
* MemoryOS: ``eval/evalution_loco.py`` of BAI-LAB/MemoryOS (Kang et al. 2025), read in two copies of that repository.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import Stemmer

from memoryos.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Scores", "score"]

MULTI_HOP, OPEN_DOMAIN, ADVERSARIAL = 1, 3, 5
CATEGORIES = range(1, 6)
LONGEST_UNSTEMMED = 2
REFUSALS = ("no information available", "not mentioned")

_stemmer = Stemmer.Stemmer("porter")
_ARTICLE = re.compile(r"\b(?:a|an|the|and)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_MEM0_SPACES = str.maketrans(".,!?", "    ")
_WORD = re.compile(r"\b\w+\b")

_CLITIC = r"n't\b | '(?:s|m|d|ll|re|ve)\b"
_LONG = r"\.\.+ | --"
_CLOSING = r"""[\])}>"'»”’]*"""
_LAST_PERIOD = rf"\.(?={_CLOSING}\s*$) | (?<!\b\w)(?<!\b[dm]r)(?<!\bms)(?<!\bst)(?<!\bmrs)\.(?={_CLOSING}\s)"
_APOSTROPHE_OUTSIDE = r"(?<!\w)' | '(?!\w)"
_ALONE = r"""\s;@\#$%&?!*()\[\]{}<>"`“”‘’„«»‒–—―"""
_TREEBANK = re.compile(
    rf"""{_LONG} | {_CLITIC}
    | (?: (?! {_LONG} | {_CLITIC} | {_LAST_PERIOD} | {_APOSTROPHE_OUTSIDE} | [:,](?!\d) ) [^{_ALONE}] )+
    | \S""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Scores:
    """What each script gives to one answer, 0 to 1.

    The scripts differ in what they do with category 5, whose reference is the *wrong* answer that the question fishes
    for: LoCoMo rewards a refusal, mem0 leaves the question out, MemoryOS rewards the wrong answer. So only
    ``f1_locomo`` means anything there.

    Attributes:
        f1_locomo: F1 of stems, by the rule of the category.
        f1_mem0: F1 of the sets of words, an apostrophe being part of a word.
        f1_memoryos: F1 of the sets of words, an apostrophe parting two words.
        bleu1: BLEU-1 of mem0; the published script of MemoryOS computes none.
    """

    f1_locomo: float
    f1_mem0: float
    f1_memoryos: float
    bleu1: float


def score(prediction: str, reference: str, category: int) -> Scores:
    """Returns the scores of an answer.

    Args:
        prediction: What was answered.
        reference: The answer of the file, whole.
        category: 1 to 5, as in ``memoryos.doors.locomo.CATEGORIES``.

    Raises:
        InputError: If there is no such category.
    """
    if category not in CATEGORIES:
        raise InputError("category", f"{category} is none of LoCoMo; give 1 to 5")
    return Scores(
        f1_locomo=_f1_locomo(prediction, reference, category),
        f1_mem0=_f1(_distinct(_mem0_words(prediction)), _distinct(_mem0_words(reference))),
        f1_memoryos=_f1(_distinct(_memoryos_words(prediction)), _distinct(_memoryos_words(reference))),
        bleu1=_bleu1(_treebank_words(prediction), _treebank_words(reference)),
    )


def _f1_locomo(prediction: str, reference: str, category: int) -> float:
    """Follows ``eval_question_answering`` of LoCoMo."""
    if category == ADVERSARIAL:
        return float(any(refusal in prediction.lower() for refusal in REFUSALS))
    if category == MULTI_HOP:
        return _f1_of_parts(prediction.split(","), reference.split(","))
    if category == OPEN_DOMAIN:
        reference = reference.partition(";")[0]
    return _f1(_stems(prediction), _stems(reference))


def _f1_of_parts(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Returns the mean over the reference's parts of the best F1 that a part of the prediction reaches.

    A superfluous part costs nothing, and a part that is empty or only articles counts as a miss: so it is in LoCoMo.
    """
    answered = [_stems(each) for each in predictions]
    best = [max(_f1(each, _stems(reference)) for each in answered) for reference in references]
    return sum(best) / len(best)


def _stems(text: str) -> Counter[str]:
    """Returns the stems of LoCoMo's ``normalize_answer``: commas and ASCII punctuation vanish without leaving a space.

    LoCoMo stems by nltk's Porter, which adds rules to the published ones ("died" becomes "die", here "di"). A score
    differs only where two words meet in one stemmer and not in the other, as "hopefully" and "hope" do in nltk's.
    """
    return Counter(_stem(word) for word in _ARTICLE.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def _stem(word: str) -> str:
    """Returns the stem; as in nltk, and unlike Snowball, words of one or two letters stay ("is" would become "i")."""
    return str(_stemmer.stemWord(word)) if len(word) > LONGEST_UNSTEMMED else word


def _mem0_words(text: str) -> list[str]:
    return text.lower().translate(_MEM0_SPACES).split()


def _memoryos_words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _distinct(words: Sequence[str]) -> Counter[str]:
    return Counter(set(words))


def _f1(prediction: Counter[str], reference: Counter[str]) -> float:
    """Returns the harmonic mean of precision and recall, 0 where nothing is shared; a set is a multiset of ones."""
    shared = (prediction & reference).total()
    return 2 * shared / (prediction.total() + reference.total()) if shared else 0.0


def _treebank_words(text: str) -> list[str]:
    """Returns about what ``nltk.word_tokenize`` returns for the text in lower case.

    It differs from nltk in a sentence's end behind an abbreviation (nltk asks its trained Punkt, here a handful of
    abbreviations and single letters keep their period), in "cannot", "gonna" and the like (nltk parts them) and in
    quotation marks (nltk tells the opening one from the closing one).
    """
    return _TREEBANK.findall(text.lower())


def _bleu1(prediction: Sequence[str], reference: Sequence[str]) -> float:
    """Returns the clipped precision of words times the brevity penalty (Papineni et al. 2002).

    mem0 asks nltk for weights (1, 0, 0, 0) and smoothing "method1". That smoothing never shows: it lifts precisions of
    0, those of longer n-grams weigh nothing here, and with no word shared nltk returns 0 before it smooths.
    """
    shared = (Counter(prediction) & Counter(reference)).total()
    if not shared:
        return 0.0
    return shared / len(prediction) * math.exp(min(0.0, 1 - len(reference) / len(prediction)))
