"""Tests of the measure of the benchmarks: whether a context shows an utterance or a fact."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from memoryos.doors.bench.evidence import shown_ids, shown_text
from memoryos.doors.bench.word_coverage import is_shown
from memoryos.model import Page, Side
from memoryos.retrieval.excerpts import whole_page
from memoryos.retrieval.recall import Recall, RecalledPage, Signals


@pytest.mark.parametrize(
    ("text", "pieces", "expected"),
    [
        ("I moved to Lisbon in the spring.", ["She was moving to Lisbon last spring"], True),
        ("I planned a move to Lisbon.", ["planning to move, not to Lisbon"], True),
        ("Moved to Lisbon with two cats", ["moved", "Lisbon", "two cats"], False),
        ("Anna plays chess, violin and tennis", ["Anna likes chess and violin"], True),
        ("Anna plays chess, violin and tennis", ["Anna likes chess"], False),
        ("You and me?", ["It is for you and me"], True),
        ("You and me?", ["nothing of the kind"], False),
        ("我喜欢在上海吃小笼包", ["他喜欢在上海吃小笼包子"], True),
        ("我喜欢在上海吃小笼包", ["北京下雪了"], False),
        ("I moved to Lisbon.", [], False),
        ("I moved to Lisbon.", [""], False),
        ("👍", ["fine 👍"], True),
        ("👍", ["fine"], False),
    ],
)
def test_a_text_is_shown_when_one_piece_has_60_percent_of_its_content_words(
    text: str, pieces: list[str], *, expected: bool
) -> None:
    assert is_shown(text, pieces) == expected


def recalled(user: str, assistant: str, *shown: Side) -> RecalledPage:
    ids = {"user_id": "u", "assistant_id": "a"}
    page = Page("p1", 1, datetime(2026, 5, 8, tzinfo=timezone.utc), user, assistant, metadata=ids)
    return RecalledPage(page, tuple(span for span in whole_page(page) if span.side in shown), 1.0, Signals())


def test_evidence_is_found_by_the_words_that_are_shown_of_its_page() -> None:
    both = recalled("I moved to Lisbon in spring.", "So you live in Lisbon since spring.", "user", "assistant")
    assert shown_text(both) == "I moved to Lisbon in spring.\nSo you live in Lisbon since spring."
    assert shown_ids(Recall("Where?", (both,)), with_window=False) == {"u", "a"}
    one = recalled("I moved to Lisbon in spring.", "The weather is nice there.", "user")
    assert shown_ids(Recall("Where?", (one,)), with_window=False) == {"u"}
    window = Recall("Where?", short_term=(one.page,))
    assert shown_ids(window, with_window=False) == set()
    assert shown_ids(window, with_window=True) == {"u", "a"}


def test_an_utterance_without_text_is_no_evidence() -> None:
    assert shown_ids(Recall("Where?", (recalled("I moved to Lisbon.", "", "user"),)), with_window=True) == {"u"}
