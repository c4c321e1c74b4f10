"""Citations: the tag of sources leaves the answer, its numbers become page ids, nothing else is touched or held back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memoryos.analysts.citing import LONGEST_LIST, CitationReader
from memoryos.model import Page
from memoryos.retrieval.excerpts import whole_page
from memoryos.retrieval.recall import Recall, RecalledPage, Signals

AT = datetime(2023, 5, 8, tzinfo=timezone.utc)
PAGES = tuple(Page(f"p{number}", number, AT + timedelta(days=number), "hi", "") for number in range(1, 9))
RECALL = Recall(
    "q",
    pages=tuple(RecalledPage(page, whole_page(page)[:1], 1.0, Signals()) for page in reversed(PAGES[:6])),
    short_term=PAGES[6:],
)
ALL_RECALLED = ("p6", "p5", "p4", "p3", "p2", "p1")


def read(*pieces: str) -> tuple[str, tuple[str, ...]]:
    reader = CitationReader(RECALL)
    return "".join(reader.read(pieces)), reader.page_ids()


@pytest.mark.parametrize(
    ("said", "text", "sources"),
    [
        ("In Porto.\n<sources>2, 5</sources>", "In Porto.", ("p2", "p5")),
        ("In Porto. <sources>5,2</sources>\n", "In Porto.", ("p5", "p2")),
        ("In Porto. <sources>7 8</sources>", "In Porto.", ("p7", "p8")),
        ("In Porto. <sources></sources>", "In Porto.", ()),
        ("In Porto. <sources/>", "In Porto.", ()),
        ("In Porto. <SOURCES>2</Sources>", "In Porto.", ("p2",)),
        ("In Porto. <sources >2</ sources>", "In Porto.", ("p2",)),
        ("In Porto. <sources>2<sources>", "In Porto.", ("p2",)),
        ("In Porto. <sources>[2], #5 and 3.</sources>", "In Porto.", ("p2", "p5", "p3")),
        ("In Porto. <sources>pages 2、3</sources>", "In Porto.", ("p2", "p3")),
        ("In Porto. <sources>2-4</sources>", "In Porto.", ("p2", "p3", "p4")),
        ("In Porto. <sources>2, 2, 2</sources>", "In Porto.", ("p2",)),
        ("<sources>2</sources> In Porto.", "In Porto.", ("p2",)),
        ("In Porto <sources>2</sources> and Ghent <sources>5</sources>.", "In Porto and Ghent.", ("p2", "p5")),
        ("In Porto.<sources>2</sources>\n\nMore.", "In Porto.\n\nMore.", ("p2",)),
        ("Porto <sources>2</sources><sources>3</sources>x", "Porto x", ("p2", "p3")),
    ],
)
def test_the_tag_is_taken_out_and_read(said: str, text: str, sources: tuple[str, ...]) -> None:
    assert read(said) == (text, sources)


@pytest.mark.parametrize(
    ("said", "text", "sources"),
    [
        ("In Porto. <sources>2, 5", "In Porto.", ("p2", "p5")),
        ("In Porto. <sources>2, 5</sour", "In Porto.", ("p2", "p5")),
        ("In Porto. <sources>2\n\nGhent is far, 7 hours.", "In Porto.\n\nGhent is far, 7 hours.", ("p2",)),
        ("In Porto. <sources>" + "Ghent is far. " * 40, "In Porto. " + "Ghent is far. " * 39 + "Ghent is far.", ALL_RECALLED),
        ("In Porto. <sources", "In Porto.", ALL_RECALLED),
        ("In Porto. <sources>", "In Porto.", ALL_RECALLED),
    ],
)  # fmt: skip
def test_a_tag_that_is_never_closed_swallows_no_text(said: str, text: str, sources: tuple[str, ...]) -> None:
    read_text, read_sources = read(said)
    assert (read_text.rstrip(), read_sources) == (text, sources)


@pytest.mark.parametrize(
    "numbers",
    ["99", "0", "-2", "9", "12345", "23", "2023-05-08", "1.5", "page2", "9" * 290, "9-12", "²", "2e0", "1000-1"],
)
def test_a_number_that_was_not_shown_is_no_source(numbers: str) -> None:
    assert read(f"In Porto. <sources>{numbers}</sources>") == ("In Porto.", ())
    assert read(f"In Porto. <sources>{numbers}, 4</sources>") == ("In Porto.", ("p4",))


def test_an_answer_without_the_tag_is_based_on_all_that_was_recalled() -> None:
    assert read("In Porto.") == ("In Porto.", ALL_RECALLED)


def test_the_numbers_are_those_of_the_prompt() -> None:
    shown = RECALL.to_prompt(numbered=True).splitlines()
    for number, page in enumerate(RECALL.numbered_pages(), 1):
        assert f"{number}. user: hi" in shown
        assert read(f"x <sources>{number}</sources>")[1] == (page.page_id,)


@pytest.mark.parametrize(
    "said",
    [
        "a < b and c > d",
        "I <3 you",
        "<b>bold</b> <source src='x'> <sourcery> <sourcesque>",
        "x <",
        "x <sour",
        "İİİİİİ < İ <s İ",  # lower() makes two characters of each
        "<" * 50,
        "two  spaces \n\n and a line break at the end\n",
        "  indented",
        "<sources and resources>",
        "< sources>2</sources>",
    ],
)
def test_other_text_comes_through_as_it_is(said: str) -> None:
    assert read(said) == (said, ALL_RECALLED)


@pytest.mark.parametrize("said", ["", " ", "\n\n", " <sources>2</sources> \n", "\n<sources/>"])
def test_a_tag_or_blank_space_alone_says_nothing(said: str) -> None:
    assert list(CitationReader(RECALL).read(list(said))) == []


def test_a_letter_that_grows_when_it_is_lowered_does_not_shift_the_tag() -> None:
    assert read("İİİİ <sources>3</sources>") == ("İİİİ", ("p3",))
    assert read(*"İİİİ <sources>3</sources>") == ("İİİİ", ("p3",))


fragments = st.sampled_from(
    ["<", "/", ">", "<sources>", "</sources>", "<SOURCES >", "sources", "<sour", "ces", "İ", " ", "\n", "1", "2, 5", "a", "5-7", "<b", "1, " * 110, "x" * LONGEST_LIST]
)  # fmt: skip


@st.composite
def cut(draw: st.DrawFn) -> tuple[str, list[str]]:
    text = "".join(draw(st.lists(st.one_of(fragments, st.text(max_size=3)), max_size=9)))
    places = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12))) if draw(st.booleans()) else range(len(text))
    bounds = [0, *places, len(text)]
    return text, [text[start:end] for start, end in pairwise(bounds)]


@settings(max_examples=200)
@given(cut())
@example(("x <sources>1 </sources>", ["x <sour", "ces>1 <", "/sources>"]))
def test_however_the_answer_is_cut_it_is_the_same(case: tuple[str, list[str]]) -> None:
    text, pieces = case
    assert "".join(pieces) == text
    assert read(*pieces) == read(text)


@settings(max_examples=200)
@given(st.lists(st.one_of(st.sampled_from(["<", "<so", "a", " ", "\n", ">", "b c"]), st.text(max_size=4)), max_size=8))
def test_text_without_a_tag_is_never_changed(parts: list[str]) -> None:
    text = "".join(parts)
    if "<sources" not in text.lower() and text.strip():
        assert read(*parts)[0] == text


def said_before_the_end(pieces: list[str]) -> str:
    """Returns what was said by the time that the last piece was taken, before anyone knew that it was the last."""
    said: list[str] = []
    until_then: list[str] = []

    def source() -> Iterator[str]:
        yield from pieces
        until_then.extend(said)

    for piece in CitationReader(RECALL).read(source()):
        said.append(piece)  # noqa: PERF402  (what is there already matters)
    return "".join(until_then)


@settings(max_examples=200)
@given(st.text(st.sampled_from("ab <s/>so"), max_size=20))
def test_no_more_is_held_back_than_blank_space_and_the_beginning_of_a_tag(text: str) -> None:
    held = text.removeprefix(said_before_the_end(list(text)))
    assert held == "" or held[0].isspace() or "<sources>".startswith(held)
    assert held.strip() == "" or "<sources>".startswith(held.lstrip())


def test_a_tag_in_the_middle_does_not_hold_the_rest_back() -> None:
    assert said_before_the_end(["Porto <sources>2</sources> and", " Ghent"]) == "Porto and Ghent"
    assert said_before_the_end(["Porto <sources>2", ", 3 and <b>Ghent"]) == "Porto and <b>Ghent"
    assert said_before_the_end(["Porto <sources>", "x" * (LONGEST_LIST + 1)]).startswith("Porto x")
