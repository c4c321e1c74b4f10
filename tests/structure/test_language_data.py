"""Tests of the labelled dialogues: evidence exists, times are consistent, and word matching alone is not enough."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from benchmarks.languages import __main__ as benchmark
from benchmarks.languages.__main__ import run
from benchmarks.languages.dialogues import (
    KINDS,
    LANGUAGES,
    SETS,
    Dialogue,
    LabelledPage,
    Question,
    Side,
    read_dialogue,
)
from benchmarks.languages.means import EVERYDAY

from memoryos.language.languages import language_of
from memoryos.language.text import estimate_tokens
from memoryos.testing import HashEmbedder

RELATIVE = {
    "en": r"yesterday|\blast\b|\bago\b|tomorrow|\bon (?:mon|tues|wednes|thurs|fri|satur|sun)day",
    "nl": r"gisteren|vorige|afgelopen|morgen|(?:maan|dins|woens|donder|vrij|zater|zon)dag",
    "ja": "昨日|一昨日|先週|先月|今日|明日",
    "pt": r"ontem|passad[ao]|amanhã|\b(?:segunda|terça|quarta|quinta|sexta|sábado|domingo)",
    "vi": r"hôm qua|hôm kia|hôm trước|tuần rồi|hôm",
    "zh": "昨天|前天|上周|这个星期",
}
ALPHABET = re.compile(r"[^\W\d_]+")
KANJI_OR_KATAKANA = re.compile("[\u30a0-\u30ff\u3400-\u4dbf\u4e00-\u9fff々ー]{2,}")
SIDES: tuple[Side, ...] = ("user", "assistant", "either")
RARE = 2
"""Maximum number of pages that contain a rare word."""


@pytest.fixture(scope="module", params=SETS)
def folder(request: pytest.FixtureRequest) -> Path:
    return SETS[request.param]


@pytest.fixture(scope="module", params=LANGUAGES)
def dialogue(request: pytest.FixtureRequest, folder: Path) -> Dialogue:
    return read_dialogue(request.param, folder)


def evidence(dialogue: Dialogue, question: Question) -> list[str]:
    """Returns the texts of the evidence, restricted to the labelled sides."""
    sides = {
        page.page_id: {"user": page.user, "assistant": page.assistant, "either": f"{page.user} {page.assistant}"}
        for page in dialogue.pages
    }
    return [sides[page][question.side] for page in question.evidence]


def texts(dialogue: Dialogue) -> set[str]:
    """Returns all utterances and questions."""
    said = {text for page in dialogue.pages for text in (page.user, page.assistant)}
    return said | {question.text for question in dialogue.questions}


def content_words(text: str, language: str) -> set[str]:
    """Returns roughly stemmed words; independent of the product's tokenizer, because the data evaluates it."""
    lowered = text.lower()
    if language in {"ja", "zh"}:
        runs = KANJI_OR_KATAKANA.findall(lowered)
        return {run[at : at + 2] for run in runs for at in range(len(run) - 1)} | set(re.findall("[a-z]+", lowered))
    if language == "vi":
        return {word for word in ALPHABET.findall(lowered) if len(word) > 1}
    return {word[:5] for word in ALPHABET.findall(lowered) if len(word) > 3}


def rare_words(dialogue: Dialogue) -> set[str]:
    """Returns the words that occur in at most ``RARE`` pages."""
    found = Counter(
        word for page in dialogue.pages for word in content_words(f"{page.user} {page.assistant}", dialogue.language)
    )
    return {word for word, pages in found.items() if pages <= RARE}


def test_data_files_match_the_documented_languages(folder: Path) -> None:
    assert {file.stem for file in folder.glob("*.json")} == set(LANGUAGES) == {"en", "nl", "ja", "pt", "vi", "zh"}
    assert [read_dialogue(each, folder).language for each in LANGUAGES] == list(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_sets_share_no_text(language: str) -> None:
    first, held_out = (read_dialogue(language, SETS[name]) for name in ("first", "held-out"))
    assert texts(first).isdisjoint(texts(held_out))


def test_dialogue_has_enough_pages_questions_and_tokens(dialogue: Dialogue) -> None:
    assert len(dialogue.pages) >= 42
    assert len(dialogue.questions) >= 24
    assert sum(estimate_tokens(page.user) + estimate_tokens(page.assistant) for page in dialogue.pages) >= 5 * 1000


def test_pages_have_ids_two_sides_and_times_in_order(dialogue: Dialogue) -> None:
    ids = [page.page_id for page in dialogue.pages]
    assert ids == [f"{dialogue.language}-{number:02}" for number in range(1, len(ids) + 1)]
    assert all(page.user.strip() and page.assistant.strip() for page in dialogue.pages)
    said = [text for page in dialogue.pages for text in (page.user, page.assistant)]
    assert len(set(said)) == len(said)
    times = [page.at for page in dialogue.pages]
    assert times == sorted(set(times))


def test_local_date_equals_utc_date(dialogue: Dialogue) -> None:
    for at in [*(page.at for page in dialogue.pages), *(each.asked_at for each in dialogue.questions)]:
        assert at.utcoffset() is not None
        assert at.date() == at.astimezone(timezone.utc).date()


def test_dialogue_spans_months_and_several_sessions(dialogue: Dialogue) -> None:
    days = {page.at.date() for page in dialogue.pages}
    assert len(days) >= 8
    assert max(days) - min(days) >= timedelta(days=90)


def test_evidence_exists_and_questions_follow_the_dialogue(dialogue: Dialogue) -> None:
    ids = {page.page_id for page in dialogue.pages}
    for question in dialogue.questions:
        assert question.evidence
        assert set(question.evidence) <= ids
        assert len(set(question.evidence)) == len(question.evidence)
        assert question.side in {"user", "assistant", "either"}
        assert question.asked_at > dialogue.pages[-1].at


def test_every_kind_occurs_and_only_multi_has_several_pages(dialogue: Dialogue) -> None:
    assert {question.kind for question in dialogue.questions} == set(KINDS)
    for question in dialogue.questions:
        assert (len(question.evidence) > 1) == (question.kind == "multi"), question.text
    assert {question.side for question in dialogue.questions} == {"user", "assistant", "either"}


def test_no_question_is_asked_twice(dialogue: Dialogue) -> None:
    asked = [re.sub(r"\W+", " ", question.text.lower()).strip() for question in dialogue.questions]
    assert len(set(asked)) == len(asked)


def test_relative_date_occurs_in_evidence_or_question(dialogue: Dialogue) -> None:
    relative = re.compile(RELATIVE[dialogue.language], re.IGNORECASE)
    for question in dialogue.questions:
        if question.kind == "relative_date":
            assert any(relative.search(text) for text in (question.text, *evidence(dialogue, question))), question.text


def test_half_of_the_questions_share_no_rare_word_with_evidence(dialogue: Dialogue) -> None:
    rare = rare_words(dialogue)
    without_shared_words = [
        question
        for question in dialogue.questions
        if not rare
        & content_words(question.text, dialogue.language)
        & content_words(" ".join(evidence(dialogue, question)), dialogue.language)
    ]
    assert len(without_shared_words) * 2 >= len(dialogue.questions)


def test_pages_are_in_their_language(dialogue: Dialogue) -> None:
    wrong = [
        text
        for page in dialogue.pages
        for text in (page.user, page.assistant)
        if language_of(text) != dialogue.language
    ]
    assert not wrong


def test_file_with_missing_field_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "en.json").write_text(json.dumps({"language": "en", "pages": [{"id": "en-01"}], "questions": []}))
    with pytest.raises(KeyError, match="at"):
        read_dialogue("en", tmp_path)


def test_benchmark_finds_existing_evidence_only() -> None:
    whole = read_dialogue("en")
    pages = whole.pages[:3]
    said = Question(pages[1].user, whole.questions[0].asked_at, (pages[1].page_id,), "user", "short")
    missing = Question("Anything?", whole.questions[0].asked_at, ("en-99",), "user", "name")
    report = run(Dialogue("en", pages, (said, missing)), HashEmbedder())
    assert report["pages"] == 3
    for row in report["recall"].values():
        assert row["short"]["1000 tokens"]["mean"] == 1.0
        assert row["name"]["1000 tokens"]["mean"] == 0.0
        assert row["all"]["1000 tokens"]["questions"] == 2


@pytest.mark.parametrize(
    ("name", "model", "file"),
    [
        ("first", None, "languages.json"),
        ("held-out", None, "languages-held-out.json"),
        ("first", "some/model", "languages-model.json"),
        ("held-out", "some/model", "languages-held-out-model.json"),
    ],
)
def test_each_set_and_embedder_has_its_own_result_file(
    name: str, model: str | None, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Dialogue] = []
    monkeypatch.setattr(benchmark, "CachingEmbedder", HashEmbedder)
    monkeypatch.setattr(benchmark, "build_embedder", lambda _: HashEmbedder())
    monkeypatch.setattr(benchmark, "run", lambda dialogue, _: measured.append(dialogue))
    options = ["--set", name, "--languages", "pt", "--data", str(tmp_path / "none"), "--out", str(tmp_path), "--json"]
    options += [] if model is None else ["--embedding-model", model]
    monkeypatch.setattr("sys.argv", ["benchmarks.languages", *options])
    benchmark.main()
    assert measured == [read_dialogue("pt", SETS[name])]
    assert [each.name for each in tmp_path.iterdir()] == [file]
    assert json.loads((tmp_path / file).read_text(encoding="utf-8"))["set"] == name


def test_only_the_labelled_side_counts() -> None:
    whole = read_dialogue("en")
    longer_than_the_budget = " ".join(f"Noted {number}cups." for number in range(1500))
    page = LabelledPage("en-01", whole.pages[0].at, "The kettle is red.", longer_than_the_budget)
    asked = [
        Question("What colour is the kettle?", whole.questions[0].asked_at, ("en-01",), side, "short") for side in SIDES
    ]
    found = [
        run(Dialogue("en", (page,), (each,)), HashEmbedder())["recall"]["memoryos"]["all"]["1000 tokens"]["mean"]
        for each in asked
    ]
    assert found == [1.0, 0.0, 1.0]


def test_language_mean_texts_are_parallel_and_in_no_set() -> None:
    everyday = json.loads(EVERYDAY.read_text(encoding="utf-8"))
    assert list(everyday) == list(LANGUAGES)
    assert {(len(each["sentences"]), len(each["passages"])) for each in everyday.values()} == {(30, 12)}
    for language, each in everyday.items():
        said = {
            text
            for folder in SETS.values()
            for page in read_dialogue(language, folder).pages
            for text in (page.user, page.assistant)
        }
        texts = [*each["sentences"], *each["passages"]]
        assert not said.intersection(texts)
        detected = [language_of(text) for text in texts]
        assert set(detected) <= {language, None}
