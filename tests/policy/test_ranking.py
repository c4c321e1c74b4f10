"""The ranking: the effect of each signal, and that the signals sum to the score."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.config import RankingWeights
from memoryos.retrieval.question import Question, index_terms, read_question
from memoryos.retrieval.ranking import Corpus, Cosines, mean_of_best_scores, rank, rank_entries
from memoryos.retrieval.words import WordIndex

AT = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
NOTHING = dict.fromkeys(RankingWeights.model_fields, 0.0)


def only(**weights: float) -> RankingWeights:
    return RankingWeights(**(NOTHING | weights))


def corpus(texts: list[str], **given: Any) -> Corpus:
    """Returns one utterance for each text: by Ann and Bob in turns, one page each, five minutes apart."""
    count = len(texts)
    words = WordIndex()
    words.add(index_terms(text, AT) for text in texts)
    values: dict[str, Any] = {
        "words": words.snapshot(),
        "speakers": np.arange(count, dtype=np.int32) % 2,
        "speaker_names": ("Ann", "Bob"),
        "sides": (np.arange(count) % 2).astype(np.int8),
        "parts": np.zeros(count, np.int32),
        "seconds": AT.timestamp() + 300.0 * np.arange(count),
        "days": np.full(count, AT.toordinal(), np.int32),
        "segments": np.full(count, -1, np.int32),
        "allowed": np.ones(count, np.bool_),
    }
    return Corpus(**(values | given))


def cosines(*values: float | None) -> Cosines:
    known = np.array([value is not None for value in values], np.bool_)
    return Cosines(np.array([value or 0 for value in values], np.float32), known)


def ask(text: str, speakers: tuple[str, ...] = ("Ann", "Bob")) -> Question:
    return read_question(text, speakers=speakers, now=AT + timedelta(days=1))


def order(found: Corpus, question: Question, weights: RankingWeights, near: Cosines | None = None) -> list[int]:
    return [int(index) for index in rank(found, question, near, weights).order]


TEXTS = ["the cat sleeps", "a dog barks", "bread is baked", "we sail far", "the piano plays", "rain falls"]


def test_words_rank_the_utterance_with_the_query_terms_first() -> None:
    assert order(corpus(TEXTS), ask("Who baked bread?"), only(words=1))[0] == 2


def test_meaning_ranks_the_highest_cosine_first() -> None:
    assert order(corpus(TEXTS), ask("x"), only(meaning=1), cosines(0.1, 0, -0.2, 0.6, 0.5, 0))[:2] == [3, 4]


def test_an_utterance_without_a_vector_is_found_by_its_words() -> None:
    near = cosines(0, 0.1, 0, 0.1, 0, None)
    assert order(corpus(TEXTS), ask("When does rain fall?"), RankingWeights(), near)[0] == 5


def test_an_utterance_without_a_vector_has_meaning_0() -> None:
    near = cosines(0.5, 0.4, 0.6, 0.7, 0.3, None)
    ranking = rank(corpus(TEXTS), ask("x"), near, only(meaning=1))
    assert ranking.parts["meaning"][5] == 0
    assert ranking.parts["meaning"][:5].mean() == pytest.approx(0, abs=1e-6)


def test_adjacent_utterances_get_a_share_of_a_score() -> None:
    found = rank(corpus(TEXTS), ask("bread"), None, only(words=1, previous=0.4, following=0.2))
    assert found.signals(3).neighbours > found.signals(1).neighbours > found.signals(5).neighbours


def test_adjacent_utterances_in_different_sessions_share_nothing() -> None:
    paused = AT.timestamp() + np.array([0, 300, 600, 100_000, 100_300, 100_600])
    found = rank(corpus(TEXTS, seconds=paused), ask("baked bread"), None, only(words=1, previous=0.5, following=0.5))
    bread, silent = found.parts["words"][2], found.parts["words"][4]
    assert found.signals(1).neighbours == pytest.approx(0.5 * (bread + silent))
    assert found.signals(3).neighbours == pytest.approx(0.5 * silent)


def test_function_words_count_half() -> None:
    words = WordIndex()
    words.add([["when", "bread"], ["rain"]])
    found = words.snapshot()
    assert found.score(["when"], little={"when"}) == pytest.approx(0.5 * found.score(["when"]))
    assert found.score(["bread"], little={"when"}) == pytest.approx(found.score(["bread"]))


def test_a_named_speaker_is_preferred() -> None:
    assert set(order(corpus(TEXTS), ask("What did Bob say?"), only(speaker=1))[:3]) == {1, 3, 5}


def test_i_means_the_user_and_you_means_the_assistant() -> None:
    chat = corpus(TEXTS, speaker_names=("user", "assistant"))
    assert set(order(chat, ask("What did I say?", ("user", "assistant")), only(speaker=1))[:3]) == {0, 2, 4}
    assert set(order(chat, ask("What did you recommend to me?", ("user", "assistant")), only(speaker=1))[:3]) == {
        1,
        3,
        5,
    }
    assert set(order(chat, ask("你给我推荐过哪些书？", ("user", "assistant")), only(speaker=1))[:3]) == {1, 3, 5}


def test_a_named_day_is_preferred() -> None:
    days = corpus(TEXTS, days=(AT.toordinal() + np.arange(6)).astype(np.int32))
    assert order(days, ask("What happened on May 4th, 2026?"), only(time=1))[0] == 3


def test_all_utterances_of_a_session_get_the_same_share_of_its_best_scores() -> None:
    seconds = AT.timestamp() + np.array([0, 60, 120, 90_000, 90_060, 90_120], np.float64)
    found = rank(corpus(TEXTS, seconds=seconds), ask("bread"), None, only(words=1, session=0.5))
    assert found.signals(0).session == found.signals(2).session > found.signals(3).session


def test_archived_pages_and_pages_outside_the_gate_are_not_ranked() -> None:
    segments = np.array([0, 0, 1, 1, -1, -1], np.int32)
    allowed = np.array([True, False, True, True, True, True])
    found = corpus(TEXTS, segments=segments, allowed=allowed)
    assert sorted(rank(found, ask("x"), None, RankingWeights()).order.tolist()) == [0, 2, 3, 4, 5]
    gated = rank(found, ask("x"), None, RankingWeights(), gate=np.array([True, False]))
    assert gated.order.tolist() == [0]


def test_the_newer_of_two_equal_scores_is_first() -> None:
    assert order(corpus(["same"] * 4), ask("other"), only(words=1)) == [3, 2, 1, 0]


@given(
    st.lists(st.text("abc ", min_size=1, max_size=12), min_size=1, max_size=12),
    st.text("abc ", max_size=8),
    st.booleans(),
)
def test_signals_add_up_to_the_score_and_every_allowed_item_is_ranked_once(
    texts: list[str], query: str, dense: bool
) -> None:
    near = cosines(*(len(text) / 12 for text in texts)) if dense else None
    ranking = rank(corpus(texts), ask(query or "a"), near, RankingWeights())
    assert sorted(ranking.order.tolist()) == list(range(len(texts)))
    for index in range(len(texts)):
        assert ranking.signals(index).total() == pytest.approx(float(ranking.scores[index]), abs=1e-4)
    ordered = ranking.scores[ranking.order]
    assert (np.diff(ordered) <= 1e-6).all()


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-5, 5, width=32)), min_size=1, max_size=30))
def test_mean_of_best_scores_is_the_mean_of_the_three_best_of_a_group(items: list[tuple[int, float]]) -> None:
    items = sorted(items, key=lambda each: each[0])
    groups = np.array([group for group, _ in items], np.int32)
    scores = np.array([score for _, score in items], np.float32)
    found = mean_of_best_scores(scores, groups)
    for index, group in enumerate(groups):
        best = sorted(scores[groups == group], reverse=True)[:3]
        assert found[index] == pytest.approx(np.mean(best), abs=1e-5)


def test_mean_of_best_scores_gives_the_documented_example() -> None:
    found = mean_of_best_scores(np.array([1, 5, 3, 4, 2], np.float32), np.array([0, 0, 0, 0, 1], np.int32))
    assert found.tolist() == [4, 4, 4, 4, 2]


LONG = ["we sail far", "soup and salad", "bread is baked", "rain falls", "the piano plays"]
"""The second, third and fourth text are passages of one utterance."""
PARTS = np.array([0, 0, 1, 2, 0], np.int32)


def test_utterance_is_ranked_once_by_its_best_passage() -> None:
    near = cosines(0.1, 0.2, 0.9, 0.3, 0.5)
    found = rank(corpus(LONG, parts=PARTS), ask("Who baked bread?"), near, only(words=1, meaning=1))
    assert found.order.tolist()[0] == 2
    assert sorted(found.order.tolist()) == [0, 2, 4]
    assert found.scores[2] > found.scores[1] > found.scores[0]
    assert found.scores[2] > found.scores[3] > found.scores[0]


def test_words_are_counted_in_the_whole_utterance() -> None:
    texts = ["soup and salad", "bread is baked", "bread falls", "the soup is hot"]
    found = rank(corpus(texts, parts=np.array([0, 1, 0, 0], np.int32)), ask("soup with bread"), None, only(words=1))
    assert found.order.tolist()[0] in {0, 1}


def test_neighbours_of_a_long_utterance_are_the_utterances_before_and_after_it() -> None:
    found = rank(corpus(LONG, parts=PARTS), ask("we sail"), None, only(words=1, previous=0.4))
    assert found.parts["neighbours"][1] == found.parts["neighbours"][2] == found.parts["neighbours"][3] > 0
    assert found.parts["neighbours"][4] < 0


@given(st.lists(st.tuples(st.text("abc ", min_size=1, max_size=12), st.booleans()), min_size=1, max_size=12))
def test_signals_of_passages_add_up_to_their_scores(items: list[tuple[str, bool]]) -> None:
    parts: list[int] = []
    for index, (_, continues) in enumerate(items):
        parts.append(parts[-1] + 1 if continues and index else 0)
    texts = [text for text, _ in items]
    found = corpus(texts, parts=np.array(parts, np.int32))
    ranking = rank(found, ask("a b"), cosines(*(len(text) / 12 for text in texts)), RankingWeights())
    assert len(ranking.order) == parts.count(0)
    for index in range(len(texts)):
        assert ranking.signals(index).total() == pytest.approx(float(ranking.scores[index]), abs=1e-4)
    starts = found.utterance_starts()
    best = np.maximum.reduceat(ranking.scores, starts)
    assert sorted(ranking.scores[ranking.order].tolist()) == pytest.approx(sorted(best.tolist()), abs=1e-5)


def test_newer_utterances_are_preferred_in_chats_with_an_assistant_only() -> None:
    seconds = AT.timestamp() + 30 * 86_400.0 * np.arange(6)
    chat = corpus(TEXTS, seconds=seconds, speaker_names=("user", "assistant"))
    found = rank(chat, ask("x", ("user", "assistant")), None, only(recency=1))
    assert found.parts["recency"].tolist() == pytest.approx([1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1])
    assert not rank(corpus(TEXTS, seconds=seconds), ask("x"), None, only(recency=1)).parts["recency"].any()


def test_ranking_nothing_returns_an_empty_order() -> None:
    assert rank(corpus([]), ask("x"), cosines(), RankingWeights()).order.tolist() == []
    assert (
        rank_entries(
            np.zeros((0, 8), np.float32), WordIndex().snapshot(), None, ask("x"), RankingWeights()
        ).order.tolist()
        == []
    )


def test_names_are_removed_from_the_embedded_query_unless_nothing_else_is_left() -> None:
    assert ask("What did Ann's dog eat?").dense_text == "What did dog eat?"
    assert ask("Ann?").dense_text == "Ann?"
    assert ask("When did Mel paint?", ("Melanie", "Caroline")).speakers == {"Melanie"}
    assert ask("Did the annual fair open?").speakers == frozenset()


@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=5), max_size=10), st.lists(st.sampled_from("abcd"), max_size=3)
)
def test_documents_added_one_by_one_score_like_documents_added_together(
    documents: list[list[str]], query: list[str]
) -> None:
    together, apart = WordIndex(), WordIndex()
    together.add(documents)
    for each in documents:
        apart.add([each])
    scores = together.snapshot().score(query)
    assert np.array_equal(scores, apart.snapshot().score(query))
    for score, document in zip(scores, documents, strict=True):
        assert (score > 0) == bool(set(query) & set(document))


@given(
    st.lists(st.lists(st.lists(st.sampled_from("abcd"), max_size=4), min_size=1, max_size=4), min_size=1, max_size=6),
    st.lists(st.sampled_from("abcd"), max_size=3),
)
def test_group_of_documents_scores_like_one_document(groups: list[list[list[str]]], query: list[str]) -> None:
    apart, together = WordIndex(), WordIndex()
    apart.add(document for group in groups for document in group)
    together.add([term for document in group for term in document] for group in groups)
    starts = np.cumsum([0] + [len(group) for group in groups[:-1]])
    found = apart.snapshot().score(query, starts=starts)
    assert found == pytest.approx(together.snapshot().score(query), abs=1e-6)


@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=5), max_size=10), st.lists(st.sampled_from("abcd"), max_size=3)
)
def test_a_word_snapshot_ignores_documents_that_are_added_later(documents: list[list[str]], query: list[str]) -> None:
    growing = WordIndex()
    snapshots = [growing.snapshot()]
    for each in documents:
        growing.add([each])
        snapshots.append(growing.snapshot())
    for count, snapshot in enumerate(snapshots):
        alone = WordIndex()
        alone.add(documents[:count])
        assert np.array_equal(snapshot.score(query), alone.snapshot().score(query))


def test_a_word_snapshot_can_be_searched_while_another_thread_adds_documents() -> None:
    growing = WordIndex()
    growing.add([["bread"]] * 50_000)
    snapshot = growing.snapshot()
    expected = snapshot.score(["bread"])
    is_done = threading.Event()

    def search() -> int:
        searches = 0
        while not is_done.is_set() or not searches:
            assert np.array_equal(snapshot.score(["bread"]), expected)
            searches += 1
        return searches

    with ThreadPoolExecutor(1) as threads:
        searching = threads.submit(search)
        try:
            for _ in range(20_000):
                growing.add([["bread", "oven"]])
        finally:
            is_done.set()
        assert searching.result() > 0


def test_the_segment_signal_is_accepted_and_ignored() -> None:
    with pytest.warns(DeprecationWarning, match="'segment' is ignored"):
        weights = RankingWeights(segment=5)
    segments = np.array([0, 0, 0, 1, 1, 1], np.int32)
    found = rank(corpus(TEXTS, segments=segments), ask("bread"), None, weights)
    assert found.scores.tolist() == rank(corpus(TEXTS), ask("bread"), None, RankingWeights()).scores.tolist()
    with pytest.warns(DeprecationWarning, match="always 0"):
        assert found.signals(0).segment == 0
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert RankingWeights().segment == 0
