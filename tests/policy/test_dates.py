"""Relative and absolute dates, in English and Chinese."""

from __future__ import annotations

from datetime import date, datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.language.dates import date_terms, mentions, spoken

AT = datetime(2023, 5, 8, 13, 56, tzinfo=timezone.utc)  # a Monday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I went yesterday.", "7 May 2023"),
        ("the day before yesterday", "6 May 2023"),
        ("last night was fun", "7 May 2023"),
        ("see you tomorrow", "9 May 2023"),
        ("last Friday", "5 May 2023"),
        ("on Saturday", "6 May 2023"),
        ("next Friday", "12 May 2023"),
        ("last week", "1–7 May 2023"),
        ("this weekend", "13–14 May 2023"),
        ("last weekend", "6–7 May 2023"),
        ("next month", "June 2023"),
        ("last year", "2022"),
        ("three days ago", "5 May 2023"),
        ("two months ago", "March 2023"),
        ("7 May 2023", "7 May 2023"),
        ("on May 2nd", "2 May 2023"),
        ("the 5th of June", "5 June 2023"),
        ("December 30", "30 December 2022"),
        ("June 2021", "June 2021"),
        ("in 2019", "2019"),
        ("2023-04-30", "30 April 2023"),
        ("13/4/2023", "13 April 2023"),
        ("in June", "June 2023"),
        ("昨天我去了公园", "7 May 2023"),
        ("5月2日", "2 May 2023"),
        ("2022年3月", "March 2022"),
        ("上周五", "5 May 2023"),
        ("三天前", "5 May 2023"),
        ("去年", "2022"),
    ],
)
def test_a_mention_is_resolved(text: str, expected: str) -> None:
    found = mentions(text, AT)
    assert [spoken(each.first, each.last) for each in found] == [expected]


@pytest.mark.parametrize(
    "text",
    ["I may go", "march on", "a second one", "the sun is out", "Sunday mornings", "on Sunday mornings", "at 5", ""],
)
def test_no_date_is_read_where_none_is(text: str) -> None:
    assert mentions(text, AT) == []


@given(st.text(st.characters(), max_size=200), st.datetimes(timezones=st.just(timezone.utc)))
def test_any_text_at_any_time(text: str, at: datetime) -> None:
    last = 0
    for each in mentions(text, at):
        assert last <= each.start < each.end <= len(text)
        assert each.first <= each.last
        assert text[each.start : each.end] == each.text
        assert spoken(each.first, each.last)
        last = each.end


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 2000))
def test_the_terms_of_a_range_hold_those_of_its_days(first: date, days: int) -> None:
    last = date.fromordinal(first.toordinal() + days)
    assert date_terms(first, last)
    if days == 0:
        assert date_terms(first, last) == (f"@{first}", f"@{first:%Y-%m}")
