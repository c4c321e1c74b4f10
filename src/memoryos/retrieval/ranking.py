"""Ranking: every utterance of a scope for one question. Pure functions over the arrays of the working set.

The design is A3 of the project's retrieval experiments: z-scores of meaning and words are added; an utterance takes a
share of its neighbours' scores and of the best of its session; who is named and when are added. The segment is a soft
prior. Nothing is cut off before the end, unless the paper's gate is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from typing import TYPE_CHECKING

import numpy as np

from memoryos.model import SIDES
from memoryos.retrieval.recall import Signals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from memoryos.config import RankingWeights
    from memoryos.retrieval.question import Question
    from memoryos.retrieval.words import WordIndex

__all__ = ["SESSION_GAP_SECONDS", "Corpus", "Cosines", "Ranking", "rank", "rank_entries"]

SESSION_GAP_SECONDS = 4 * 3600.0
"""A pause of more than this starts another session."""
BEST_OF_GROUP = 3
ORDER_LIMIT = 1000
"""So many of the best are put in order; no budget reaches further."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """The utterances of one scope as arrays, in the order of the log.

    Attributes:
        words: Index of the n utterances.
        speakers: ``int32[n]``: numbers into ``speaker_names``.
        speaker_names: Everyone who speaks.
        sides: ``int8[n]``: number into ``SIDES``.
        pages: ``int32[n]``: page number; utterances of a page share it.
        seconds: ``float64[n]``: POSIX time of the page.
        segments: ``int32[n]``: segment number; -1 while not consolidated.
        allowed: ``bool[n]``: False for pages of archived segments, which are out of recall.
    """

    words: WordIndex
    speakers: NDArray[np.int32]
    speaker_names: tuple[str, ...]
    sides: NDArray[np.int8]
    pages: NDArray[np.int32]
    seconds: NDArray[np.float64]
    segments: NDArray[np.int32]
    allowed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cosines:
    """How near the utterances are to a query in meaning.

    Attributes:
        values: ``float32[n]``; 0 where there is no vector.
        known: ``bool[n]``: where there is one.
    """

    values: NDArray[np.float32]
    known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Scores of n items and what made them.

    Attributes:
        scores: ``float32[n]``.
        order: ``int64[k]``: the best items that are allowed, best first; of equal scores the newer first.
        cosines: ``float32[n]``: of query and item, not standardised; 0 where there is no vector.
        parts: What each signal added, by its name in ``Signals``: ``float32[n]`` each; their sum is ``scores``.
    """

    scores: NDArray[np.float32]
    order: NDArray[np.int64]
    cosines: NDArray[np.float32]
    parts: dict[str, NDArray[np.float32]]

    def signals(self, index: int) -> Signals:
        """Returns what each signal added to the score of one item."""
        return Signals(**{name: float(values[index]) for name, values in self.parts.items()})


def rank(
    corpus: Corpus,
    question: Question,
    cosines: Cosines | None,
    weights: RankingWeights,
    *,
    gate: NDArray[np.bool_] | None = None,
) -> Ranking:
    """Ranks every utterance for a question.

    Args:
        corpus: The n utterances.
        question: What is asked.
        cosines: Of the query and each utterance; None ranks by words alone.
        weights: What each signal counts.
        gate: ``bool[segments]``: only utterances of these segments are ranked (the paper's set-up); None: all.
    """
    if cosines is None:
        cosines = Cosines(np.zeros(len(corpus.pages), np.float32), np.zeros(len(corpus.pages), np.bool_))
    meaning = weights.meaning * _z(cosines.values, known=cosines.known)
    words = weights.words * _z(corpus.words.score(question.terms, little=question.little_terms))
    own = meaning + words
    sessions = _sessions(corpus.seconds)
    neighbours = _neighbours(own, sessions, weights)
    speaker = weights.speaker * _said_by_named(corpus, question)
    score = own + neighbours + speaker
    session = weights.session * best_of_group(score, sessions)
    segment = weights.segment * _segment_prior(corpus, score) if weights.segment else np.zeros_like(score)
    when = weights.time * _at_named_time(corpus, question)
    parts = {
        "meaning": meaning,
        "words": words,
        "neighbours": neighbours,
        "speaker": speaker,
        "session": session,
        "segment": segment,
        "time": when,
    }
    scores = score + session + segment + when
    allowed = corpus.allowed if gate is None else corpus.allowed & np.append(gate, False)[corpus.segments]
    return Ranking(scores, _order(scores, allowed), cosines.values, parts)


def rank_entries(
    vectors: NDArray[np.float32],
    words: WordIndex,
    query_vector: NDArray[np.float32] | None,
    question: Question,
    weights: RankingWeights,
) -> Ranking:
    """Ranks knowledge entries, which have no neighbours and no speaker.

    Args:
        vectors: ``float32[n, d]``; zero rows for entries that are not embedded yet.
        words: Index of the n entries.
        query_vector: ``float32[d]``, L2-normalised; None ranks by words alone.
        question: What is asked.
        weights: Those of meaning and words count.
    """
    cosines = np.zeros(len(words), np.float32) if query_vector is None else vectors @ query_vector
    meaning = weights.meaning * _z(cosines, known=np.asarray(vectors.any(axis=1)))
    by_words = weights.words * _z(words.score(question.terms, little=question.little_terms))
    scores = meaning + by_words
    order = _order(scores, np.ones(len(scores), np.bool_))
    return Ranking(scores, order, cosines, {"meaning": meaning, "words": by_words})


def best_of_group(scores: NDArray[np.float32], groups: NDArray[np.int32]) -> NDArray[np.float32]:
    """Returns for each item the mean of the three best scores of its group (fewer, if the group is smaller).

    Args:
        scores: ``float32[n]``.
        groups: ``int32[n]`` from 0, ascending: a group's items stand together.
    """
    if len(scores) == 0:
        return scores
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    sizes = np.diff(starts, append=len(groups))
    rest = scores.copy()
    total = np.zeros(len(starts), np.float32)
    numbers = np.repeat(np.arange(len(starts)), sizes)
    for round_number in range(BEST_OF_GROUP):
        best = np.maximum.reduceat(rest, starts)
        has = sizes > round_number
        total += np.where(has, best, 0)
        hits = np.flatnonzero(rest == best[numbers])
        _, first = np.unique(numbers[hits], return_index=True)
        rest[hits[first]] = -np.inf
    return (total / np.minimum(sizes, BEST_OF_GROUP))[numbers].astype(np.float32)


def _z(values: NDArray[np.float32], known: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    if known is not None and not known.all():
        scaled = np.zeros_like(values)
        scaled[known] = _z(values[known])
        return scaled
    if len(values) == 0:
        return values
    spread = values.std()
    scaled = (values - values.mean()) / spread if spread > 1e-6 else np.zeros_like(values)  # noqa: PLR2004
    return np.asarray(scaled, np.float32)


def _neighbours(own: NDArray[np.float32], sessions: NDArray[np.int32], weights: RankingWeights) -> NDArray[np.float32]:
    """Returns what each takes from the one before and the one after it, unless a pause lies between."""
    shares = np.zeros_like(own)
    together = sessions[1:] == sessions[:-1]
    shares[1:] += np.float32(weights.previous) * own[:-1] * together
    shares[:-1] += np.float32(weights.following) * own[1:] * together
    return shares


def _said_by_named(corpus: Corpus, question: Question) -> NDArray[np.float32]:
    if question.speakers:
        codes = [code for code, name in enumerate(corpus.speaker_names) if name in question.speakers]
        return np.asarray(np.isin(corpus.speakers, codes), np.float32)
    if question.side is not None:
        return np.asarray(corpus.sides == SIDES.index(question.side), np.float32)
    return np.zeros(len(corpus.pages), np.float32)


def _sessions(seconds: NDArray[np.float64]) -> NDArray[np.int32]:
    pauses = np.abs(np.diff(seconds, prepend=seconds[:1])) > SESSION_GAP_SECONDS
    return np.cumsum(pauses, dtype=np.int32)


def _segment_prior(corpus: Corpus, scores: NDArray[np.float32]) -> NDArray[np.float32]:
    by_segment = np.argsort(corpus.segments, kind="stable")
    prior = np.empty_like(scores)
    prior[by_segment] = best_of_group(scores[by_segment], corpus.segments[by_segment] + 1)
    return np.where(corpus.segments >= 0, prior, 0).astype(np.float32)


def _at_named_time(corpus: Corpus, question: Question) -> NDArray[np.float32]:
    hit = np.zeros(len(corpus.pages), np.bool_)
    for first, last in question.times:
        start = datetime.combine(first, time(), timezone.utc).timestamp()
        end = (datetime.combine(last, time(), timezone.utc) + timedelta(days=1)).timestamp()
        hit |= (corpus.seconds >= start) & (corpus.seconds < end)
    return hit.astype(np.float32)


def _order(scores: NDArray[np.float32], allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
    candidates = np.flatnonzero(allowed)
    if len(candidates) > ORDER_LIMIT:
        kept = np.argpartition(-scores[candidates], ORDER_LIMIT - 1)[:ORDER_LIMIT]
        candidates = candidates[np.sort(kept)]
    newest_first = candidates[::-1]
    return newest_first[np.argsort(-scores[newest_first], kind="stable")]
