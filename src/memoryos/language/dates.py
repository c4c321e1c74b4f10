"""Finds date expressions in texts and resolves them: "yesterday" in a text of 8 May 2023 means 7 May 2023."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from dateutil.relativedelta import relativedelta

from memoryos.language.ascii_words import ascii_words
from memoryos.language.date_words import (
    DAY_WORDS,
    MONTHS,
    NAMES_IF_CAPITALISED,
    NUMBERS,
    PATTERNS,
    SHIFTS,
    UNITS,
    WEEKDAYS,
)
from memoryos.language.languages import language_of
from memoryos.language.tenses import direction_at, sentence_around

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from memoryos.language.languages import Language
    from memoryos.language.tenses import Direction

__all__ = ["Mention", "date_terms", "format_date_range", "mentions"]

Range = tuple[date, date]
if TYPE_CHECKING:
    OpenResolver = Callable[[re.Match[str], date, Direction | None], Range | None]

_WEEKEND_START = 5
_DAYS_A_WEEK = 7
_MONTHS_A_YEAR = 12
_FEW_DAYS = (3, 6)

_WORDS = re.compile(r"[a-z]+")
_BY_WORD: dict[str, list[int]] = {}
_BY_SIGN: dict[str, list[int]] = {}
for _place, (_kind, _triggers, _pattern, _of) in enumerate(PATTERNS):
    for _trigger in _triggers:
        (_BY_WORD if _WORDS.fullmatch(_trigger) else _BY_SIGN).setdefault(_trigger, []).append(_place)
_TRIGGERS = frozenset(_BY_WORD)
_WIDE_DIGITS = {0xFF10 + digit: str(digit) for digit in range(10)}
_DAY_FIRST = frozenset({"nl", "pt", "vi"})
"""Languages in which 5/3/2023 is the fifth of March. In English texts it is the third of May, as in the USA."""
_PORTUGUESE_PAST = re.compile(
    r"\b(?:\w+(?:ei|ou|eu|iu|amos|emos|imos|aram|eram|iram)|fui|foi|fiz|fez|tive|teve|vim|veio|vi|saí|caí|nasci|conheci)\b"
)
_AROUND = 60
_KANA = re.compile("[\u3040-\u30ff]")
_LONGEST_DETECTED = 1_000
"""Number of characters that are read to detect the language of a text with dates such as 5/3/2023."""
_language_of = lru_cache(maxsize=16)(language_of)


@dataclass(frozen=True, slots=True)
class Mention:
    """A date expression in a text.

    Attributes:
        start: Position of its first character in the text.
        end: Position after its last character in the text.
        text: The expression as it occurs in the text.
        first: First day that the expression means.
        last: Last day that the expression means, inclusive.
    """

    start: int
    end: int
    text: str
    first: date
    last: date


def mentions(text: str, at: datetime) -> list[Mention]:
    """Returns the date expressions of a text, in order and without overlaps.

    Args:
        text: A text in English, Dutch, Japanese, Portuguese, Vietnamese or Chinese.
        at: The time at which the text was written, in the zone of its sender. "Yesterday" is the day before its day.
            The tense of the sentence decides about a weekday, a month, or a date without a year: "I'm flying on Monday"
            means the next Monday, "I flew on Monday" the last one. If the sentence has no such verb, a weekday is the
            last one, and a date or month the one that is nearest to this time.
    """
    named = list(_all_mentions(text, at.date()))
    named.sort(key=lambda each: (each.start, -each.end))
    found: list[Mention] = []
    for mention in named:
        if not found or mention.start >= found[-1].end:
            found.append(mention)
    return found


def format_date_range(first: date, last: date) -> str:
    """Formats a range of days in English, e.g. "7 May 2023", "May 2023", "2022" or "1–7 May 2023"."""
    if first == last:
        return f"{first.day} {first:%B} {first.year}"
    if (first, last) == _year(first.year):
        return str(first.year)
    if (first, last) == _month(first.year, first.month):
        return f"{first:%B} {first.year}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{last.day} {first:%B} {first.year}"
    if first.year == last.year:
        return f"{first.day} {first:%B} – {last.day} {last:%B} {last.year}"
    return f"{first.day} {first:%B} {first.year} – {last.day} {last:%B} {last.year}"


@lru_cache(maxsize=10_000)
def date_terms(first: date, last: date) -> tuple[str, ...]:
    """Returns the search terms of a range of days, e.g. "@2023-05-07" and "@2023-05".

    Texts are indexed with these terms, and queries that contain a date search for them. A range of more than eight days
    has only terms for its months, and a range of about a year or more only terms for its years.
    """
    days = (last - first).days + 1
    if days <= _DAYS_A_WEEK + 1:
        all_days = [(first + timedelta(days=offset)).isoformat() for offset in range(days)]
        return tuple(dict.fromkeys([f"@{day}" for day in all_days] + [f"@{day[:7]}" for day in all_days]))
    if first.year == last.year and days < 360:  # noqa: PLR2004
        return tuple(f"@{first.year:04}-{month:02}" for month in range(first.month, last.month + 1))
    return tuple(f"@{year:04}" for year in range(first.year, min(last.year, first.year + 10) + 1))


def _all_mentions(text: str, today: date) -> Iterator[Mention]:
    lowered = text.lower()
    if len(lowered) != len(text):  # the lower-case form of a few letters is longer, which would shift positions
        lowered = text
    words = ascii_words(text)
    lowered = lowered if words is not None else lowered.translate(_WIDE_DIGITS)
    for kind, pattern, language in _applicable_patterns(
        lowered, _WORDS.findall(lowered) if words is None or "'" in lowered else words
    ):
        for match in pattern.finditer(lowered):
            if kind == "month_alone" and _is_name(match, text):
                continue
            try:
                days = _resolve(kind, match, today, language)
            except (ValueError, OverflowError, KeyError):
                continue
            if days is not None:
                yield Mention(match.start(), match.end(), text[match.start() : match.end()], *days)


def _is_name(match: re.Match[str], text: str) -> bool:
    """Returns whether the month of a match is the name of a person."""
    start, end = match.span("month")
    return text[start].isupper() and match["month"] in NAMES_IF_CAPITALISED and not text[start:end].isupper()


def _resolve(kind: str, match: re.Match[str], today: date, language: Language) -> Range | None:
    if kind not in _OPEN:
        return _RESOLVERS[kind](match, today)
    groups = match.groupdict()
    shift = SHIFTS[groups["shift"]] if groups.get("shift") else None
    is_directed = groups.get("year") is not None or shift or (shift == 0 and kind != "weekday")
    return _OPEN[kind](match, today, None if is_directed else _direction(match, language))


def _direction(match: re.Match[str], language: Language) -> Direction | None:
    """Returns whether the sentence of a date expression speaks of the past or the future.

    Args:
        match: The match of the expression in the lower-case text.
        language: The language of the pattern. English patterns match dates in Dutch texts, and Chinese ones dates in
            Japanese texts, so the language of the sentence is detected in these cases.
    """
    sentence, start = sentence_around(match.string, *match.span())
    if language == "zh":
        language = "ja" if _KANA.search(sentence) else "zh"
    elif language == "en":
        language = _language_of(sentence) or "en"
    return direction_at(sentence, match.start() - start, match.end() - start, language)


def _applicable_patterns(lowered: str, words: Sequence[str]) -> Iterator[tuple[str, re.Pattern[str], Language]]:
    """Yields the patterns of which at least one trigger word or trigger character occurs in the text.

    This saves time: matching a pattern takes 2 µs, and most texts contain no trigger.
    """
    numbers: set[int] = set()
    if not _TRIGGERS.isdisjoint(words):
        numbers.update(number for word in _TRIGGERS.intersection(words) for number in _BY_WORD[word])
    if not lowered.isascii() or "-" in lowered or "/" in lowered:
        numbers.update(number for sign, places in _BY_SIGN.items() if sign in lowered for number in places)
    for number in sorted(numbers):
        kind, _, pattern, language = PATTERNS[number]
        yield kind, pattern, language


def _day_month(match: re.Match[str], today: date, direction: Direction | None) -> Range | None:
    month = MONTHS[match["month"].rstrip(".")]
    day = _number(match["day"])
    year = match["year"]
    if year:
        return _day(date(int(year), month, day))
    return _in_direction([date(each, month, day) for each in _years_with(month, day, today)], today, direction)


def _day_alone(match: re.Match[str], today: date, direction: Direction | None) -> Range | None:
    """Resolves "on the 5th". Without a direction it is not a date, because it may be the fifth of anything."""
    if direction is None:
        return None
    day = int(match["day"])
    moved = [today + relativedelta(months=count) for count in (-2, -1, 0, 1, 2)]
    months = [_month(each.year, each.month) for each in moved]
    days = [first.replace(day=day) for first, last in months if day <= last.day]
    return _in_direction(days, today, direction)


def _month_year(match: re.Match[str], today: date) -> Range | None:  # noqa: ARG001
    return _month(int(match["year"]), MONTHS[match["month"].rstrip(".")])


def _month_alone(match: re.Match[str], today: date, direction: Direction | None) -> Range | None:
    month = MONTHS[match["month"].rstrip(".")]
    shift = match.groupdict().get("shift")
    if shift:
        year = today.year + (-1 if SHIFTS[shift] < 0 and month >= today.month else 0)
        return _month(year + (1 if SHIFTS[shift] > 0 and month <= today.month else 0), month)
    if direction is not None and month == today.month:
        return _month(today.year, month)
    first, _ = _in_direction([date(today.year + count, month, 1) for count in (-1, 0, 1)], today, direction)
    return _month(first.year, month)


def _if_directed(resolve: OpenResolver) -> OpenResolver:
    """Returns a resolver that resolves nothing if the sentence does not show the direction."""
    return lambda match, today, direction: None if direction is None else resolve(match, today, direction)


def _iso(match: re.Match[str], today: date) -> Range | None:  # noqa: ARG001
    return _day(date(int(match["year"]), int(match["month"]), int(match["day"])))


def _slashes(match: re.Match[str], today: date) -> Range | None:  # noqa: ARG001
    first, second = int(match["month"]), int(match["day"])
    is_month_first = first <= _MONTHS_A_YEAR and _language_of(match.string[:_LONGEST_DETECTED]) not in _DAY_FIRST
    month, day = (first, second) if is_month_first or second > _MONTHS_A_YEAR else (second, first)
    return _day(date(int(match["year"]), month, day))


def _in_year(match: re.Match[str], today: date) -> Range | None:  # noqa: ARG001
    return _year(int(match["year"]))


def _day_word(match: re.Match[str], today: date) -> Range | None:
    return _day(today + timedelta(days=DAY_WORDS[" ".join(match["word"].split())]))


def _ago(match: re.Match[str], today: date) -> Range | None:
    unit = UNITS[match["unit"]]
    sign = 1 if match.groupdict().get("ahead") else -1
    if match["few"]:
        if unit != "days":
            low, high = _FEW_DAYS[0], _FEW_DAYS[1]
            return _sorted(_shifted(today, unit, sign * low)[0], _shifted(today, unit, sign * high)[1])
        return _sorted(today + timedelta(days=sign * 2), today + timedelta(days=sign * _FEW_DAYS[1]))
    count = sign * _number(match["count"])
    if unit == "days":
        return _day(today + timedelta(days=count))
    if unit == "weeks":
        centre = today + timedelta(weeks=count)
        return centre - timedelta(days=1), centre + timedelta(days=1)
    return _shifted(today, unit, count)


def _ago_if_past(match: re.Match[str], today: date) -> Range | None:
    """Resolves Portuguese "há três dias" as a date only near a verb in the past tense.

    Without such a verb the expression is a duration: "moro aqui há três dias".
    """
    around = match.string[max(0, match.start() - _AROUND) : match.end() + _AROUND]
    return _ago(match, today) if _PORTUGUESE_PAST.search(around) else None


def _shift(match: re.Match[str], today: date) -> Range | None:
    unit, shift = UNITS.get(match["unit"], "years"), SHIFTS[match["shift"]]
    if unit == "weekends":
        saturday = _monday(today) + timedelta(days=_WEEKEND_START, weeks=shift)
        if shift < 0 and today.weekday() < _WEEKEND_START and saturday >= today:
            saturday -= timedelta(weeks=1)
        return saturday, saturday + timedelta(days=1)
    if unit == "days":
        return None
    return _shifted(today, unit, shift)


def _weekday(match: re.Match[str], today: date, direction: Direction | None) -> Range | None:
    weekday = WEEKDAYS[match["weekday"]]
    shift = SHIFTS[match["shift"]] if match.groupdict().get("shift") else None
    ahead, back = (weekday - today.weekday()) % _DAYS_A_WEEK, (today.weekday() - weekday) % _DAYS_A_WEEK
    if shift and shift > 0:
        return _day(today + timedelta(days=ahead or _DAYS_A_WEEK))
    if shift:
        return _day(today - timedelta(days=back or _DAYS_A_WEEK))
    if shift == 0 and direction is None:
        return _day(_monday(today) + timedelta(days=weekday))
    return _day(today + timedelta(days=ahead) if direction == "ahead" else today - timedelta(days=back))


def _week_weekday(match: re.Match[str], today: date) -> Range | None:
    monday = _monday(today) + timedelta(weeks=SHIFTS[match["shift"]])
    return _day(monday + timedelta(days=WEEKDAYS[match["weekday"]]))


_RESOLVERS: dict[str, Callable[[re.Match[str], date], Range | None]] = {
    "month_year": _month_year,
    "iso": _iso,
    "slashes": _slashes,
    "year": _in_year,
    "day_word": _day_word,
    "ago": _ago,
    "ago_if_past": _ago_if_past,
    "shift": _shift,
    "week_weekday": _week_weekday,
}
_OPEN: dict[str, OpenResolver] = {
    "day_month": _day_month,
    "day_alone": _day_alone,
    "month_alone": _month_alone,
    "month_if_directed": _if_directed(_month_alone),
    "weekday": _weekday,
    "weekday_if_directed": _if_directed(_weekday),
}
"""The resolvers of expressions whose direction depends on the tense of the sentence."""


def _number(word: str) -> int:
    return int(word) if word.isdigit() else NUMBERS[word]


def _day(day: date) -> Range:
    return day, day


def _month(year: int, month: int) -> Range:
    first = date(year, month, 1)
    return first, first + relativedelta(months=1, days=-1)


def _year(year: int) -> Range:
    return date(year, 1, 1), date(year, 12, 31)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _sorted(one: date, other: date) -> Range:
    return (one, other) if one <= other else (other, one)


def _shifted(today: date, unit: str, count: int) -> Range:
    if unit == "weeks":
        monday = _monday(today) + timedelta(weeks=count)
        return monday, monday + timedelta(days=_DAYS_A_WEEK - 1)
    if unit == "weekends":
        saturday = _monday(today) + timedelta(days=_WEEKEND_START, weeks=count)
        return saturday, saturday + timedelta(days=1)
    if unit == "days":
        return _day(today + timedelta(days=count))
    if unit == "months":
        moved = today + relativedelta(months=count)
        return _month(moved.year, moved.month)
    return _year(today.year + count)


def _years_with(month: int, day: int, today: date) -> Iterator[int]:
    """Yields the years around today that have a day; 29 February exists in leap years only."""
    for year in (today.year - 1, today.year, today.year + 1):
        try:
            date(year, month, day)
        except ValueError:
            continue
        yield year


def _in_direction(days: Sequence[date], today: date, direction: Direction | None) -> Range:
    """Returns the nearest of several days: of the future, of the past, or of both without a direction.

    Today counts as both. If no day is in the direction, the nearest of all is returned.
    """
    allowed = [day for day in days if direction is None or (day >= today if direction == "ahead" else day <= today)]
    nearest = min(allowed or days, key=lambda day: abs((day - today).days))
    return nearest, nearest
