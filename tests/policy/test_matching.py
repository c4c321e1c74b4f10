"""Bounded patterns, RE2 and normalisation."""

from __future__ import annotations

import re
import unicodedata

import pytest

from memoryos.config import Config
from memoryos.language.matching import Bounded, linear
from memoryos.language.normalizing import MAX_MARKS, normalized
from memoryos.language.text import sentences

PATTERN = Bounded("(a+)b", re.IGNORECASE, longest=10)
LONG = f"aab{'x' * 8}"


def test_a_bounded_pattern_finds_what_its_pattern_finds() -> None:
    found = PATTERN.search("xAAb")
    assert found is not None
    assert found[1] == "AA"
    assert PATTERN.match("xab") is None
    assert PATTERN.match("xab", 1)
    assert PATTERN.fullmatch("aab")
    assert [each.start() for each in PATTERN.finditer("abxab")] == [0, 3]
    assert PATTERN.split("1ab2") == ["1", "a", "2"]
    assert PATTERN.sub(r"<\1>", "1aab") == "1<aa>"


def test_a_bounded_pattern_finds_nothing_in_a_longer_text() -> None:
    assert PATTERN.search(LONG) is None
    assert PATTERN.match(LONG) is None
    assert PATTERN.fullmatch(LONG) is None
    assert list(PATTERN.finditer(LONG)) == []
    assert PATTERN.split(LONG) == [LONG]
    assert PATTERN.sub("", LONG) == LONG


def test_re2_counts_places_in_characters() -> None:
    assert [each.start() for each in linear("(?i)ENDE").finditer("Größe ende, 我ende")] == [6, 13]


def test_normalising_drops_surplus_combining_marks_only() -> None:
    for ordinary in ("Café ﬁn Å", "Tiếng Việt", "e" + "\u0301\u0323" * (MAX_MARKS // 2)):
        assert normalized("NFKC", ordinary) == unicodedata.normalize("NFKC", ordinary)
    runs = "e" + "\u0301" * 500 + "x" + "\u0323" * 500
    assert len(normalized("NFD", runs)) == 2 + 2 * MAX_MARKS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I left... Then I ate.", ["I left...", "Then I ate."]),
        ('He said "no." Then he left', ['He said "no."', "Then he left"]),
        ("See v1.2.3 of it. Fine", ["See v1.2.3 of it.", "Fine"]),
        ("Dr. Lee came. 我走了。好", ["Dr. Lee came.", "我走了。", "好"]),
        ("Really?!x no", ["Really?!x no"]),
        ("The end.", ["The end."]),
    ],
)
def test_sentence_boundaries(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://tom:s:e/c@db:5432/m", "postgresql://tom:•••@db:5432/m"),
        ("postgresql://db:5432/m?user=tom&password=secret&x=1", "postgresql://db:5432/m?user=tom&password=•••&x=1"),
        ("postgresql://db:5432/m", "postgresql://db:5432/m"),
    ],
)
def test_passwords_of_databases_are_hidden(url: str, shown: str) -> None:
    assert Config(database_url=url).shown()["database_url"] == shown
