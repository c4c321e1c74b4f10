"""Scores an answer against its reference with the formulas of three published LoCoMo scripts, for comparable figures.

The formulas come from these scripts, the code does not:

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
    """The scores of one answer by each script, from 0 to 1.

    The scripts treat category 5 differently. Its reference is the *wrong* answer that the question suggests: LoCoMo rewards
    a refusal, mem0 omits the question, MemoryOS rewards the wrong answer. So only ``f1_locomo`` is meaningful there.

    Attributes:
        f1_locomo: F1 of stemmed words, with the rule of the category.
        f1_mem0: F1 of the sets of words; an apostrophe is part of a word.
        f1_memoryos: F1 of the sets of words; an apostrophe separates words.
        bleu1: BLEU-1 of mem0; the published script of MemoryOS does not compute it.
    """

    f1_locomo: float
    f1_mem0: float
    f1_memoryos: float
    bleu1: float


def score(prediction: str, reference: str, category: int) -> Scores:
    """Returns the scores of an answer.

    Args:
        prediction: The answer to score.
        reference: The reference answer of the data file, unchanged.
        category: 1 to 5, as in ``memoryos.doors.locomo.CATEGORIES``.

    Raises:
        InputError: If the category is unknown.
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
    """Returns the score of ``eval_question_answering`` of LoCoMo."""
    if category == ADVERSARIAL:
        return float(any(refusal in prediction.lower() for refusal in REFUSALS))
    if category == MULTI_HOP:
        return _f1_of_parts(prediction.split(","), reference.split(","))
    if category == OPEN_DOMAIN:
        reference = reference.partition(";")[0]
    return _f1(_stems(prediction), _stems(reference))


def _f1_of_parts(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Returns the mean, over the parts of the reference, of the best F1 of any part of the prediction.

    As in LoCoMo, additional parts cost nothing, and a part without words other than articles counts as a miss.
    """
    answered = [_stems(each) for each in predictions]
    best = [max(_f1(each, _stems(reference)) for each in answered) for reference in references]
    return sum(best) / len(best)


def _stems(text: str) -> Counter[str]:
    """Returns the stems of LoCoMo's ``normalize_answer``, which deletes commas and ASCII punctuation.

    LoCoMo uses nltk's Porter stemmer, which has additional rules ("died" becomes "die", here "di"). A score differs only
    where two words have the same stem in one stemmer and not in the other, such as "hopefully" and "hope" in nltk's.
    """
    return Counter(_stem(word) for word in _ARTICLE.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def _stem(word: str) -> str:
    """Returns the stem; words of one or two letters are unchanged, as in nltk (Snowball would change "is" to "i")."""
    return str(_stemmer.stemWord(word)) if len(word) > LONGEST_UNSTEMMED else word


def _mem0_words(text: str) -> list[str]:
    return text.lower().translate(_MEM0_SPACES).split()


def _memoryos_words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _distinct(words: Sequence[str]) -> Counter[str]:
    return Counter(set(words))


def _f1(prediction: Counter[str], reference: Counter[str]) -> float:
    """Returns the harmonic mean of precision and recall, or 0 without common words."""
    shared = (prediction & reference).total()
    return 2 * shared / (prediction.total() + reference.total()) if shared else 0.0


def _treebank_words(text: str) -> list[str]:
    """Returns approximately the tokens of ``nltk.word_tokenize`` for the text in lower case.

    Differences: after an abbreviation, nltk detects the end of a sentence with its trained Punkt model, while here a few
    abbreviations and single letters keep their period; nltk splits "cannot", "gonna" and similar words; nltk distinguishes
    opening and closing quotation marks.
    """
    return _TREEBANK.findall(text.lower())


def _bleu1(prediction: Sequence[str], reference: Sequence[str]) -> float:
    """Returns the clipped precision of words times the brevity penalty (Papineni et al. 2002).

    mem0 calls nltk with weights (1, 0, 0, 0) and smoothing "method1". The smoothing has no effect: it changes only
    precisions of 0, longer n-grams have weight 0, and without common words nltk returns 0 before smoothing.
    """
    shared = (Counter(prediction) & Counter(reference)).total()
    if not shared:
        return 0.0
    return shared / len(prediction) * math.exp(min(0.0, 1 - len(reference) / len(prediction)))
