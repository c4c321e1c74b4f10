"""Ranking: scores every utterance and passage of a scope for one question. Pure functions over arrays.

The score of an utterance is the sum of these signals:

* the z-scores of its best cosine and of its BM25 score,
* a share of the scores of the previous and the following utterance,
* a share of the best scores of its session,
* bonuses if it is recent, and if the question names its speaker or its date.

The best passage of an utterance has the utterance's score; the other passages have lower scores. All utterances are
scored. The final order leaves out archived segments. If ``Config.segment_gate`` is set, it contains only the nearest
segments, as the paper does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memoryos.model import SIDES
from memoryos.retrieval.arrays import run_starts
from memoryos.retrieval.recall import Signals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from memoryos.config import RankingWeights
    from memoryos.retrieval.question import Question
    from memoryos.retrieval.words import WordSnapshot

__all__ = ["SESSION_GAP_SECONDS", "Corpus", "Cosines", "Ranking", "mean_of_best_scores", "rank", "rank_entries"]

SESSION_GAP_SECONDS = 4 * 3600.0
"""A longer pause between two pages starts a new session."""
BEST_SCORES = 3
"""A session is represented by the mean of this many of its best scores."""
ORDER_LIMIT = 1000
"""Only this many of the best utterances are sorted; more do not fit into any realistic budget."""
PASSAGE_SHARE = 0.1
"""Weight of a passage's own scores within its utterance.

It is low, because the answer to a question is often not in the passage that resembles the question most, but in a
neighbouring one (ADR 15).
"""
RECENCY_HALF_LIFE_DAYS = 30.0
"""The bonus of an utterance halves when it is this much older than the newest one."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """The n passages of one scope as arrays, in log order.

    Attributes:
        words: Word index of the passages.
        speakers: ``int32[n]``: index into ``speaker_names``.
        speaker_names: All speakers of the scope.
        sides: ``int8[n]``: index into ``SIDES``.
        parts: ``int32[n]``: the number of the passage in its utterance, from 0.
        seconds: ``float64[n]``: POSIX time of the page.
        days: ``int32[n]``: the day of the page in its sender's zone, as a proleptic Gregorian ordinal.
        segments: ``int32[n]``: segment number; -1 before the page is read.
        allowed: ``bool[n]``: False for pages of archived segments, which are never recalled.
    """

    words: WordSnapshot
    speakers: NDArray[np.int32]
    speaker_names: tuple[str, ...]
    sides: NDArray[np.int8]
    parts: NDArray[np.int32]
    seconds: NDArray[np.float64]
    days: NDArray[np.int32]
    segments: NDArray[np.int32]
    allowed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.sides)

    def utterance_starts(self) -> NDArray[np.int64]:
        """Returns ``int64[utterances]``: the first passage of each utterance."""
        return np.flatnonzero(self.parts == 0)


@dataclass(frozen=True, slots=True)
class Cosines:
    """The cosines of a query and n passages.

    Attributes:
        values: ``float32[n]``; 0 for passages without a vector.
        known: ``bool[n]``: whether the passage has a vector.
    """

    values: NDArray[np.float32]
    known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Scores of n items (passages or knowledge entries), and the signals that sum to each score.

    Attributes:
        scores: ``float32[n]``: the score of each item.
        order: ``int64[k]``: indices of the best allowed items, best first. Of items with equal scores, the newer one is
            first. Of each utterance, only the best passage is included.
        cosines: ``float32[n]``: the raw cosine of the query and each item; 0 for items without a vector.
        parts: ``float32[n]`` for each signal, by its name in ``Signals``: the contributions to ``scores``.
    """

    scores: NDArray[np.float32]
    order: NDArray[np.int64]
    cosines: NDArray[np.float32]
    parts: dict[str, NDArray[np.float32]]

    def signals(self, index: int) -> Signals:
        """Returns the contribution of each signal to the score of one item."""
        return Signals(**{name: float(values[index]) for name, values in self.parts.items()})


def rank(
    corpus: Corpus,
    question: Question,
    cosines: Cosines | None,
    weights: RankingWeights,
    *,
    gate: NDArray[np.bool_] | None = None,
) -> Ranking:
    """Ranks the utterances and passages of a scope for a question.

    Args:
        corpus: The n passages.
        question: The question.
        cosines: Cosines of the query and each passage; if None, the signal "meaning" is not used.
        weights: The weight of each signal.
        gate: ``bool[segments]``: the segments whose passages may be in ``Ranking.order``; None for all segments.
    """
    if cosines is None:
        cosines = Cosines(np.zeros(len(corpus), np.float32), np.zeros(len(corpus), np.bool_))
    starts = corpus.utterance_starts()
    if len(starts) == len(corpus):
        parts = _utterance_parts(corpus, starts, question, cosines, weights)
        best = starts
    else:
        parts, best = _passage_parts(corpus, starts, question, cosines, weights)
    scores: NDArray[np.float32] = np.stack(list(parts.values())).sum(axis=0, dtype=np.float32)
    allowed = corpus.allowed if gate is None else corpus.allowed & np.append(gate, False)[corpus.segments]
    return Ranking(scores, best[_order(scores[best], allowed[best])], cosines.values, parts)


def _utterance_parts(
    corpus: Corpus, starts: NDArray[np.int64], question: Question, cosines: Cosines, weights: RankingWeights
) -> dict[str, NDArray[np.float32]]:
    """Returns the contribution of each signal to the scores of utterances.

    Args:
        corpus: The n passages.
        starts: ``int64[u]``: the first passage of each utterance.
        question: The question.
        cosines: The cosine of each passage, or of each utterance.
        weights: The weight of each signal.
    """
    groups = None if len(starts) == len(corpus) else starts
    if groups is not None:
        values = np.maximum.reduceat(np.where(cosines.known, cosines.values, -np.inf), starts).astype(np.float32)
        known = np.logical_or.reduceat(cosines.known, starts)
        cosines = Cosines(np.where(known, values, 0).astype(np.float32), known)
    seconds = corpus.seconds[starts]
    meaning = weights.meaning * _z_scores(cosines.values, known=cosines.known)
    by_words = corpus.words.score(question.terms, little=question.function_terms, starts=groups)
    words = weights.words * _z_scores(by_words)
    own = meaning + words
    sessions = _session_numbers(seconds)
    neighbours = _neighbour_shares(own, sessions, weights)
    speaker = weights.speaker * _is_named_speaker(corpus, starts, question)
    return {
        "meaning": meaning,
        "words": words,
        "neighbours": neighbours,
        "speaker": speaker,
        "session": weights.session * mean_of_best_scores(own + neighbours + speaker, sessions),
        "time": weights.time * _is_at_named_time(corpus.days[starts], question),
        "recency": weights.recency * _recency(seconds, corpus.speaker_names),
    }


def _passage_parts(
    corpus: Corpus, starts: NDArray[np.int64], question: Question, cosines: Cosines, weights: RankingWeights
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int64]]:
    """Returns the contribution of each signal to the scores of passages, and the best passage of each utterance.

    The best passage has the score of its utterance. Every other passage loses ``PASSAGE_SHARE`` of the difference
    between its own scores for meaning and words and those of the best passage.
    """
    utterances = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(corpus)))
    parts = _utterance_parts(corpus, starts, question, cosines, weights)
    parts = {name: values[utterances] for name, values in parts.items()}
    meaning = weights.meaning * _z_scores(cosines.values, known=cosines.known)
    words = weights.words * _z_scores(corpus.words.score(question.terms, little=question.function_terms))
    own = meaning + words
    best = _first_items_with(np.maximum.reduceat(own, starts), own, utterances)
    for name, values in (("meaning", meaning), ("words", words)):
        parts[name] += np.float32(PASSAGE_SHARE) * (values - values[best][utterances])
    return parts, best


def rank_entries(
    vectors: NDArray[np.float32],
    words: WordSnapshot,
    query_vector: NDArray[np.float32] | None,
    question: Question,
    weights: RankingWeights,
) -> Ranking:
    """Ranks knowledge entries by the signals "meaning" and "words".

    Args:
        vectors: ``float32[n, d]``: the vector of each entry; a row of zeros if the entry has none.
        words: Word index of the n entries.
        query_vector: ``float32[d]``, L2-normalised; if None, the signal "meaning" is not used.
        question: The question.
        weights: The weight of each signal.
    """
    cosines = np.zeros(len(words), np.float32) if query_vector is None else vectors @ query_vector
    meaning = weights.meaning * _z_scores(cosines, known=np.asarray(vectors.any(axis=1)))
    by_words = weights.words * _z_scores(words.score(question.terms, little=question.function_terms))
    scores = meaning + by_words
    order = _order(scores, np.ones(len(scores), np.bool_))
    return Ranking(scores, order, cosines, {"meaning": meaning, "words": by_words})


def mean_of_best_scores(scores: NDArray[np.float32], groups: NDArray[np.int32]) -> NDArray[np.float32]:
    """Returns for each item the mean of the three best scores of its group, or of all if the group has fewer.

    Example:
        The scores ``[1, 5, 3, 4, 2]`` in the groups ``[0, 0, 0, 0, 1]`` give ``[4, 4, 4, 4, 2]``: 4 is the mean of
        5, 4 and 3.

    Args:
        scores: ``float32[n]``.
        groups: ``int32[n]``: group numbers from 0, ascending.
    """
    if len(scores) == 0:
        return scores
    starts = run_starts(groups)
    sizes = np.diff(starts, append=len(groups))
    group_of = np.repeat(np.arange(len(starts)), sizes)
    remaining = scores.copy()
    totals = np.zeros(len(starts), np.float32)
    for count in range(1, BEST_SCORES + 1):
        best = np.maximum.reduceat(remaining, starts)
        totals += np.where(sizes >= count, best, 0)
        remaining[_first_items_with(best, remaining, group_of)] = -np.inf
    return (totals / np.minimum(sizes, BEST_SCORES))[group_of].astype(np.float32)


def _first_items_with(
    values: NDArray[np.float32], scores: NDArray[np.float32], group_of: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Returns, for each group, the index of its first item whose score equals the group's value.

    Example:
        With the values ``[5, 2]``, scores ``[1, 5, 5, 2]`` and groups ``[0, 0, 0, 1]`` the items are ``[1, 3]``.
    """
    matches = np.flatnonzero(scores == values[group_of])
    return matches[run_starts(group_of[matches])]


def _z_scores(values: NDArray[np.float32], known: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Returns (value - mean) / standard deviation, over the known values only; 0 for the others."""
    if known is not None and not known.all():
        scaled = np.zeros_like(values)
        scaled[known] = _z_scores(values[known])
        return scaled
    if len(values) == 0:
        return values
    spread = values.std()
    scaled = (values - values.mean()) / spread if spread > 1e-6 else np.zeros_like(values)  # noqa: PLR2004
    return np.asarray(scaled, np.float32)


def _neighbour_shares(
    own: NDArray[np.float32], sessions: NDArray[np.int32], weights: RankingWeights
) -> NDArray[np.float32]:
    """Returns for each utterance a weighted sum of the scores of its two neighbours.

    The neighbours are the previous and the following utterance, if they are in the same session.
    """
    shares = np.zeros_like(own)
    is_same_session = sessions[1:] == sessions[:-1]
    shares[1:] += np.float32(weights.previous) * own[:-1] * is_same_session
    shares[:-1] += np.float32(weights.following) * own[1:] * is_same_session
    return shares


def _is_named_speaker(corpus: Corpus, rows: NDArray[np.int64], question: Question) -> NDArray[np.float32]:
    """Returns 1 for each passage in ``rows`` by a speaker whom the question asks about, else 0."""
    if question.speakers:
        codes = [code for code, name in enumerate(corpus.speaker_names) if name in question.speakers]
        return np.asarray(np.isin(corpus.speakers[rows], codes), np.float32)
    if question.side is not None:
        return np.asarray(corpus.sides[rows] == SIDES.index(question.side), np.float32)
    return np.zeros(len(rows), np.float32)


def _session_numbers(seconds: NDArray[np.float64]) -> NDArray[np.int32]:
    """Returns the session number of each utterance, from 0."""
    pauses = np.abs(np.diff(seconds, prepend=seconds[:1])) > SESSION_GAP_SECONDS
    return np.cumsum(pauses, dtype=np.int32)


def _is_at_named_time(days: NDArray[np.int32], question: Question) -> NDArray[np.float32]:
    """Returns 1 for utterances on the days that the question names, else 0."""
    is_inside = np.zeros(len(days), np.bool_)
    for first, last in question.times:
        is_inside |= (days >= first.toordinal()) & (days <= last.toordinal())
    return is_inside.astype(np.float32)


def _recency(seconds: NDArray[np.float64], speaker_names: tuple[str, ...]) -> NDArray[np.float32]:
    """Returns a number from 0 to 1 for each utterance: 1 for the newest, 0.5 for one that is 30 days older.

    The number is 0 in scopes without an assistant. Requests to an assistant usually continue recent work, but questions
    about a conversation between people can concern any part of it.
    """
    if len(seconds) == 0 or SIDES[1] not in speaker_names:
        return np.zeros(len(seconds), np.float32)
    days = (seconds.max() - seconds) / 86_400
    return np.asarray(np.exp2(-days / RECENCY_HALF_LIFE_DAYS), np.float32)


def _order(scores: NDArray[np.float32], allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Returns the indices of the best allowed items, best first; of equal scores the newer first."""
    candidates = np.flatnonzero(allowed)
    if len(candidates) > ORDER_LIMIT:
        best = np.argpartition(-scores[candidates], ORDER_LIMIT - 1)[:ORDER_LIMIT]
        candidates = candidates[np.sort(best)]
    newest_first = candidates[::-1]
    return newest_first[np.argsort(-scores[newest_first], kind="stable")]
