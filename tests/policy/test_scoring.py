"""Scores of answers: each rule of the three scoring scripts, on examples calculated by hand."""

from __future__ import annotations

import math
from random import Random

import pytest
from benchmarks.locomo.scoring import Scores, _treebank_words, score
from hypothesis import given
from hypothesis import strategies as st

from memoryos.errors import InputError

MULTI_HOP, TEMPORAL, OPEN_DOMAIN, SINGLE_HOP, ADVERSARIAL = range(1, 6)
ANSWERABLE = (MULTI_HOP, TEMPORAL, OPEN_DOMAIN, SINGLE_HOP)

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
categories = st.integers(1, 5)
answerable = st.sampled_from(ANSWERABLE)
plain_words = st.text("bcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8).filter(lambda word: word != "the")
answers = st.lists(plain_words, min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("She went to the park", "park", 2 / 5),  # 4 words without the article, 1 shared: 2·1 / (4 + 1)
        ("very very good", "very good good", 4 / 6),  # a word counts as often as both texts contain it
        ("a dog and an apple", "The dog, apple!", 1.0),  # articles and "and" don't count
        ("red,blue", "red, blue", 0.0),  # a comma leaves no space: "redblue"
        ("self-care", "selfcare", 1.0),  # a hyphen leaves no space either
        ("the-park", "park", 0.0),  # punctuation is removed first, so "thepark" contains no article
        ("“Nothing”", "Nothing", 0.0),  # only ASCII punctuation is removed
        ("painted pictures", "painting picture", 1.0),  # stems are compared
        ("i", "is", 0.0),  # words of one or two letters are not stemmed
        ("used", "use", 1.0),  # words of three letters are stemmed
        ("May 7", "7 may", 1.0),  # order doesn't count
        ("cats", "dogs", 0.0),
        ("the", "the", 0.0),  # no word is left
    ],
)
@pytest.mark.parametrize("category", [TEMPORAL, OPEN_DOMAIN, SINGLE_HOP])
def test_locomo_counts_stems(prediction: str, reference: str, expected: float, category: int) -> None:
    assert score(prediction, reference, category).f1_locomo == pytest.approx(expected)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("painting, pottery", "pottery, camping, painting", 2 / 3),  # (1 + 0 + 1) / 3
        ("red car, dog", "blue car, dog", 0.75),  # (2·1 / (2 + 2) + 1) / 2
        ("pottery, camping, swimming, chess", "pottery, camping", 1.0),  # an additional part costs nothing
        ("camping, pottery, camping", "pottery, camping", 1.0),
        ("pottery and camping", "pottery, camping", 2 / 3),  # one part of two stems against each part: 2·1 / (2 + 1)
        ("pottery", "pottery,", 0.5),  # an empty part counts as missed
        ("pottery, the", "pottery, the", 0.5),  # a part of articles only counts as missed
    ],
)
def test_locomo_takes_the_best_part_for_each_part_of_a_multi_hop_answer(
    prediction: str, reference: str, expected: float
) -> None:
    assert score(prediction, reference, MULTI_HOP).f1_locomo == pytest.approx(expected)


def test_only_multi_hop_answers_are_split_into_parts() -> None:
    assert score("pottery and camping", "pottery, camping", SINGLE_HOP).f1_locomo == 1.0
    assert score("pottery, chess", "pottery", SINGLE_HOP).f1_locomo == pytest.approx(2 / 3)


def test_locomo_ignores_the_reference_of_an_open_domain_answer_after_its_first_semicolon() -> None:
    reference = "Likely no; though she likes; reading"
    assert score("likely no", reference, OPEN_DOMAIN).f1_locomo == 1.0
    assert score("likely no", reference, SINGLE_HOP).f1_locomo == pytest.approx(2 * 2 / (2 + 6))
    assert score(reference, "Likely no", OPEN_DOMAIN).f1_locomo == pytest.approx(2 * 2 / (6 + 2))


@pytest.mark.parametrize("category", [OPEN_DOMAIN, SINGLE_HOP])
def test_other_categories_keep_the_text_after_a_semicolon(category: int) -> None:
    scores = score("likely no", "Likely no; though she reads", category)
    assert scores.f1_mem0 == pytest.approx(2 * 1 / (2 + 5))  # "no;" is a different word from "no"
    assert scores.f1_memoryos == pytest.approx(2 * 2 / (2 + 5))
    assert scores.bleu1 == pytest.approx(math.exp(1 - 6 / 2))


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ("Not mentioned in the conversation.", 1.0),
        ("There is NO INFORMATION AVAILABLE on that", 1.0),
        ("I don't know", 0.0),
        ("No information is available", 0.0),
        ("It does not mention that", 0.0),
        ("self-care is important", 0.0),
        ("", 0.0),
    ],
)
def test_locomo_expects_a_refusal_for_adversarial_questions(prediction: str, expected: float) -> None:
    assert score(prediction, "self-care is important", ADVERSARIAL).f1_locomo == expected


def test_a_refusal_scores_0_for_answerable_questions() -> None:
    assert [score("Not mentioned", "pottery", each).f1_locomo for each in ANSWERABLE] == [0.0] * 4


def test_mem0_and_memoryos_compare_with_the_wrong_answer_for_adversarial_questions() -> None:
    assert score("self-care", "self-care", ADVERSARIAL) == Scores(0.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("prediction", "reference", "mem0", "memoryos"),
    [
        ("very very good", "very good good", 1.0, 1.0),  # compared as sets
        ("7 May 2023", "May 7, 2023.", 1.0, 1.0),
        ("red,blue", "blue red!?", 1.0, 1.0),
        ("cats and dogs", "cats dogs", 4 / 5, 4 / 5),  # no stop word is removed
        ("painted", "painting", 0.0, 0.0),  # no stemming
        ("$3.50", "$3", 2 / 3, 2 / 3),  # {$3, 50} and {$3}; {3, 50} and {3}
        ("Caroline's", "Caroline", 0.0, 2 / 3),  # {caroline's}; {caroline, s}
        ("self-care", "self care", 0.0, 1.0),
        ('"Inception"', "Inception", 0.0, 1.0),
        ("snake_case", "snake case", 0.0, 0.0),  # "_" is a word character in a regular expression
        ("cats", "dogs", 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("category", ANSWERABLE)
def test_mem0_and_memoryos_compare_sets_of_words(
    prediction: str, reference: str, mem0: float, memoryos: float, category: int
) -> None:
    scores = score(prediction, reference, category)
    assert (scores.f1_mem0, scores.f1_memoryos) == pytest.approx((mem0, memoryos))


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("Mental health", "mental health", 1.0),
        ("the mental health", "mental health", 2 / 3),  # longer: no penalty
        ("mental", "mental health", math.exp(-1)),  # shorter: e^(1 - 2/1)
        ("mental wealth", "my mental health", 1 / 2 * math.exp(1 - 3 / 2)),
        ("the the the the", "the cat", 1 / 4),  # a word counts as often as the reference has it
        ("mental health.", "mental health", 2 / 3),  # a period counts as a word
        ("health mental", "mental health", 1.0),  # unigrams ignore the order
        ("cats", "dogs", 0.0),  # smoothing does not raise it
    ],
)
@pytest.mark.parametrize("category", ANSWERABLE)
def test_bleu1(prediction: str, reference: str, expected: float, category: int) -> None:
    assert score(prediction, reference, category).bleu1 == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's Caroline's, I don't", "it 's caroline 's , i do n't"),
        ("can't they'll we've you're I'd I'm", "ca n't they 'll we 've you 're i 'd i 'm"),
        ("the dogs' 'big' o'clock", "the dogs ' ' big ' o'clock"),
        ("self-care, and/or yes", "self-care , and/or yes"),
        ("3,360 at 10:30; $5.50 (5%)", "3,360 at 10:30 ; $ 5.50 ( 5 % )"),
        ("red,blue: July 5,2023", "red , blue : july 5,2023"),
        ('He said "go."', 'he said " go . "'),
        ("He left. She stayed.", "he left . she stayed ."),
        ("Dr. Smith and Mrs. Jones, J. K. Rowling.", "dr. smith and mrs. jones , j. k. rowling ."),
        ("at 5 p.m. on Monday", "at 5 p.m. on monday"),
        ("Well... so -- yes!?", "well ... so -- yes ! ?"),
        ("“Hi” – it’s me", "“ hi ” – it ’ s me"),
        (" \n", ""),
    ],
)
def test_bleu_splits_words_like_nltk(text: str, expected: str) -> None:
    assert _treebank_words(text) == expected.split()


@pytest.mark.parametrize("category", [0, 6, -1])
def test_an_unknown_category_raises_an_input_error(category: int) -> None:
    with pytest.raises(InputError, match="give 1 to 5") as caught:
        score("yes", "yes", category)
    assert caught.value.field == "category"


@pytest.mark.parametrize("category", range(1, 6))
@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_a_blank_text_scores_0(blank: str, category: int) -> None:
    assert score(blank, "pottery", category) == score("pottery", blank, category) == Scores(0.0, 0.0, 0.0, 0.0)
    assert score(blank, blank, category) == Scores(0.0, 0.0, 0.0, 0.0)


@given(any_text, any_text, categories)
def test_every_score_is_between_0_and_1(prediction: str, reference: str, category: int) -> None:
    scores = score(prediction, reference, category)
    assert all(0 <= each <= 1 for each in (scores.f1_locomo, scores.f1_mem0, scores.f1_memoryos, scores.bleu1))


@given(st.lists(answers, min_size=1, max_size=4), answerable)
def test_a_text_compared_with_itself_scores_1(parts: list[list[str]], category: int) -> None:
    text = ", ".join(" ".join(part) for part in parts)
    assert score(text, text, category) == Scores(1.0, 1.0, 1.0, 1.0)


@given(answers, answers, categories)
def test_case_does_not_count(prediction: list[str], reference: list[str], category: int) -> None:
    answer, truth = " ".join(prediction), " ".join(reference)
    assert score(answer.upper(), truth.title(), category) == score(answer, truth, category)


@given(answers, answers, st.lists(st.sampled_from(".!?"), min_size=8, max_size=8), answerable)
def test_punctuation_after_words_does_not_count_for_f1(
    prediction: list[str], reference: list[str], marks: list[str], category: int
) -> None:
    marked = " ".join(word + mark for word, mark in zip(prediction, marks, strict=False))
    with_marks = score(marked, " ".join(reference), category)
    without = score(" ".join(prediction), " ".join(reference), category)
    assert with_marks.f1_locomo == without.f1_locomo
    assert with_marks.f1_mem0 == without.f1_mem0
    assert with_marks.f1_memoryos == without.f1_memoryos


@given(answers, answers, st.randoms(use_true_random=False), answerable)
def test_order_does_not_count(prediction: list[str], reference: list[str], random: Random, category: int) -> None:
    shuffled = list(prediction)
    random.shuffle(shuffled)
    assert score(" ".join(shuffled), " ".join(reference), category) == score(
        " ".join(prediction), " ".join(reference), category
    )
