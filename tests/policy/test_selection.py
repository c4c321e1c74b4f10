"""Selection: what fills a budget of tokens, and the excerpts in which it is shown."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.language.passages import cut_passages
from memoryos.language.text import estimate_tokens
from memoryos.model import SIDES, Page, Profile, Side, Trait
from memoryos.retrieval.excerpts import LEFT_OUT, Span, excerpt_of, sorted_spans, whole_page
from memoryos.retrieval.prompt_lines import dated_lines, page_lines
from memoryos.retrieval.recall import Recall, RecalledPage, Signals
from memoryos.retrieval.selection import REPETITION_LOSS, WHOLE_SHARE, ScoredUtterance, select

NOW = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
PLAN = "\n\n".join(
    f"## Day {day}\n\n" + "\n".join(f"- Stop {stop} of day {day}: {'walk along the river ' * 8}." for stop in range(4))
    for day in range(1, 7)
)


def page(seq: int, user: str, assistant: str = "") -> Page:
    return Page(f"p{seq}", seq, NOW + timedelta(days=seq % 3), user, assistant)


def scored(page: Page, score: float, side: str = "user") -> ScoredUtterance:
    count = len(cut_passages(page.text(side)))  # type: ignore[arg-type]
    return ScoredUtterance(page, side, score, [score - 0.1 * part for part in range(count)])  # type: ignore[arg-type]


def size(shown: dict[str, tuple[Span, ...]], pages: list[Page]) -> float:
    lines = dated_lines([(each, shown[each.page_id]) for each in pages if each.page_id in shown])
    return estimate_tokens("\n".join([*lines, ""])) if lines else 0.0


texts = st.text("ab ,.", min_size=1, max_size=60) | st.sampled_from([PLAN, PLAN[:900], "你好。" * 200, "word " * 300])


@given(st.lists(st.tuples(texts, st.floats(-3, 3)), max_size=12), st.integers(0, 1_500), st.none() | st.integers(1, 4))
def test_selected_parts_fit_the_budget(items: list[tuple[str, float]], max_tokens: int, max_pages: int | None) -> None:
    pages = [page(seq, text) for seq, (text, _) in enumerate(items) if text.strip()]
    scores = {f"p{seq}": score for seq, (_, score) in enumerate(items)}
    utterances = sorted((scored(each, scores[each.page_id]) for each in pages), key=lambda each: -each.score)
    shown = select(utterances, max_tokens, estimate_tokens, max_pages=max_pages)
    assert size(shown, pages) <= max_tokens
    assert len(shown) <= (max_pages or len(pages))
    for each in pages:
        for span in shown.get(each.page_id, ()):
            assert 0 <= span.start < span.end <= len(each.user_text)


def test_better_utterances_are_selected_first_and_one_that_does_not_fit_is_skipped() -> None:
    best, long, short = page(1, "the best one"), page(1001, "much too long " * 8), page(2001, "a short one")
    utterances = [scored(best, 3), scored(long, 2), scored(short, 1)]
    shown = select(utterances, 25, estimate_tokens)
    assert list(shown) == ["p1", "p2001"]


def test_repeated_text_loses_against_new_text() -> None:
    first, copy, new = page(1, "Nora bakes rye bread"), page(4, "Nora bakes rye bread!"), page(7, "a blue boat sails")
    utterances = [scored(first, 3), scored(copy, 2.5), scored(new, 2)]
    assert list(select(utterances, 1_000, estimate_tokens, repetition_loss=REPETITION_LOSS)) == ["p1", "p7", "p4"]
    assert list(select(utterances, 1_000, estimate_tokens)) == ["p1", "p4", "p7"]


def test_long_utterance_is_shown_whole_if_it_fits_and_as_passages_if_it_would_fill_the_budget() -> None:
    plan = page(1, "", PLAN)
    whole = select([scored(plan, 1, "assistant")], 4_000, estimate_tokens)
    assert whole == {"p1": (Span("assistant", 0, len(PLAN)),)}
    part = select([scored(plan, 1, "assistant")], 300, estimate_tokens)["p1"]
    text = excerpt_of(plan, "assistant", part)
    assert text.startswith("## Day 1\n\n- Stop 0")
    assert text.endswith(f" {LEFT_OUT}")
    assert 0 < estimate_tokens(text) <= 300 * WHOLE_SHARE


def test_excerpt_marks_what_is_left_out_and_joins_neighbours() -> None:
    text = "One. Two. Three.\nFour. Five."
    said = page(1, text)

    def shown(*parts: str) -> str:
        return excerpt_of(
            said, "user", [Span("user", text.index(each), text.index(each) + len(each)) for each in parts]
        )

    assert shown("One.", "Two.") == "One. Two. […]"
    assert shown("Two.") == "[…] Two. […]"
    assert shown("One.", "Three.") == "One. […] Three. […]"
    assert shown("One.", "Four.") == "One. […]\nFour. […]"
    assert shown("Three.", "Four.", "Five.") == "[…] Three.\nFour. Five."
    assert shown("Two. Three.", "Three.\nFour.") == "[…] Two. Three.\nFour. […]", "overlapping spans are joined"
    assert excerpt_of(said, "user", whole_page(said)) == text


def test_spans_are_sorted_and_equal_ones_keep_the_best_score() -> None:
    one, other = Span("user", 0, 4, 1.0), Span("user", 0, 4, 2.0)
    found = sorted_spans([Span("assistant", 0, 2), one, other, Span("user", 9, 12)])
    assert found == (one, Span("user", 9, 12), Span("assistant", 0, 2))
    assert found[0].score == 2.0


@given(st.lists(st.tuples(st.sampled_from(SIDES), st.integers(0, 20), st.integers(1, 9)), max_size=9))
def test_sorted_spans_are_not_inside_each_other_and_cover_the_same_text(items: list[tuple[Side, int, int]]) -> None:
    spans = [Span(side, start, start + length) for side, start, length in items]
    found = sorted_spans(spans)
    covered = {(each.side, at) for each in spans for at in range(each.start, each.end)}
    assert {(each.side, at) for each in found for at in range(each.start, each.end)} == covered
    for one, other in pairwise(found):
        assert one.side != other.side or (one.start < other.start and one.end < other.end)
    assert sorted_spans(found) == found


def test_passage_that_contains_a_heading_keeps_its_own_score() -> None:
    heading, first, second = Span("user", 0, 9, 3.0), Span("user", 0, 90, 1.0), Span("user", 91, 180, 3.0)
    found = sorted_spans([heading, second, first])
    assert [(each.start, each.end, each.score) for each in found] == [(0, 90, 1.0), (91, 180, 3.0)]


def windowed(window: list[Page], best: str = "", **given: object) -> Recall:
    """Returns a recall with a short-term window, in which the passages that contain a text have the best score."""
    passages = {
        each.page_id: tuple(
            tuple(Span(side, start, end, float(best in cut.text(each.text(side)))) for start, end in cut.spans())
            for side in each.speaking()
            for cut in cut_passages(each.text(side))
        )
        for each in window
    }
    return Recall("q", short_term=tuple(window), short_term_passages=passages, **given)  # type: ignore[arg-type]


def window_sizes(shown: Recall, pages: list[Page]) -> list[float]:
    parts = {each.page_id: shown.excerpts.get(each.page_id, ()) for each in pages}
    return [estimate_tokens("\n".join(page_lines(each, parts[each.page_id]))) for each in pages]


@pytest.mark.parametrize("budget", [0, 50, 200, 1_000, 2_000])
def test_window_fits_the_budget_and_prefers_good_passages_and_new_pages(budget: int) -> None:
    pages = [page(seq, f"question {seq}", PLAN.replace("Day 5", f"Day 5 of {seq}")) for seq in range(1, 8)]
    shown = windowed(pages, "Day 5 of 2").fitted(budget)
    text = shown.to_prompt()
    assert estimate_tokens(text) <= budget
    if budget >= 200:
        assert "Day 5 of 2" in text
    if budget >= 1_000:
        sizes = window_sizes(shown, pages)
        assert sizes[6] > sizes[5] > max(sizes[0], sizes[2])
        assert "question 7" in text
        assert LEFT_OUT in text


@pytest.mark.parametrize("position", range(7))
@pytest.mark.parametrize("filler", ["", "I drink green tea. " * 60])
def test_best_passage_of_the_window_is_shown_wherever_it_is(position: int, filler: str) -> None:
    pages = [page(seq, f"question {seq}", PLAN) for seq in range(1, 8)]
    pages[position] = page(position + 1, f"question\n\n{PLAN}\n\nThe code of the gate is 4711.\n\n{PLAN}", "Noted.")
    others = [page(seq, filler) for seq in range(101, 120)] if filler else []
    recalled = tuple(RecalledPage(each, whole_page(each), 0.5, Signals()) for each in others)
    for tokens in (200.0, 1.0):
        found = windowed(pages, "4711", pages=recalled, short_term_tokens=tokens)
        for budget in (250, 1_000, 3_000, None):
            assert "4711" in found.to_prompt(max_tokens=budget), (tokens, budget)


def test_window_is_shown_whole_if_tokens_are_left_or_unlimited() -> None:
    pages = [page(seq, f"question {seq}", PLAN) for seq in range(1, 8)]
    whole = estimate_tokens(Recall("q", short_term=tuple(pages)).to_prompt())
    trait = Trait("", "warmth", "high", "a reason " * 90, ())
    found = windowed(pages, "Day 5", short_term_tokens=100, profile=Profile(traits=(trait,)))
    for limit in (None, whole + 20):
        assert LEFT_OUT not in found.to_prompt(max_tokens=limit)
        assert found.to_prompt(max_tokens=limit).count("Stop 3 of day 6") == 7
    part = found.to_prompt(max_tokens=whole - 300)
    assert part.count("question") == 7
    assert estimate_tokens(part) > whole - 600, "the refill uses the budget"


def test_ordinary_short_pages_of_the_window_are_shown_whole() -> None:
    pages = [page(seq, f"question {seq} about the garden", "A short answer about the garden.") for seq in range(1, 8)]
    trait = Trait("", "warmth", "high", "a reason " * 900, ())
    shown = windowed(pages, profile=Profile(traits=(trait,))).fitted(1_000)
    assert shown.excerpts == {each.page_id: whole_page(each) for each in pages}
