"""Formats dates and date ranges in the style of each supported language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.language.dates import format_date_range
from memoryos.language.latin_date_words import DUTCH_MONTHS, PORTUGUESE_MONTHS

if TYPE_CHECKING:
    from datetime import date

    from memoryos.language.dates import Mention
    from memoryos.language.languages import Language

__all__ = ["format_day", "format_mention"]

_LEAST_DAYS_OF_A_MONTH = 27
"""Number of days between the first and the last day of the shortest month."""


def format_day(day: date, language: Language) -> str:
    """Formats a day with its year in a language, e.g. "7 May 2023", "7 de maio de 2023" or "2023年5月7日"."""
    if language == "nl":
        return f"{day.day} {DUTCH_MONTHS[day.month - 1]} {day.year}"
    if language == "pt":
        return f"{day.day} de {PORTUGUESE_MONTHS[day.month - 1]} de {day.year}"
    if language == "vi":
        return f"ngày {day.day} tháng {day.month} năm {day.year}"
    if language in {"ja", "zh"}:
        return f"{day.year}年{day.month}月{day.day}日"
    return format_date_range(day, day)


def format_mention(mention: Mention, language: Language) -> str:
    """Formats the days of a date expression with a preposition, e.g. "on 7 May 2023"."""
    first, last = mention.first, mention.last
    if language in {"ja", "zh"}:
        return _han(first, last, "から" if language == "ja" else "至")
    if first == last:
        return {"en": "on ", "nl": "op ", "pt": "em ", "vi": ""}[language] + format_day(first, language)
    if (last - first).days < _LEAST_DAYS_OF_A_MONTH:
        around = {"en": "around ", "nl": "rond ", "pt": "por volta de ", "vi": "khoảng "}[language]
        if language == "en":
            return around + format_date_range(first, last)
        start = str(first.day) if first.month == last.month else _without_year(first, language)
        return f"{around}{start}–{format_day(last, language).removeprefix('ngày ')}"
    return _format_months_or_years(first, last, language)


def _format_months_or_years(first: date, last: date, language: Language) -> str:
    """Formats a range of at least one month as months or years with a preposition, e.g. "in May 2023"."""
    is_year = (first.month, first.day, last.month, last.day) == (1, 1, 12, 31)
    inside = {"en": "in ", "nl": "in ", "pt": "em ", "vi": ""}[language]
    if language == "en":
        return inside + format_date_range(first, last)
    if is_year:
        years = str(first.year) if first.year == last.year else f"{first.year}–{last.year}"
        return f"{inside}{'năm ' if language == 'vi' else ''}{years}"
    months = _month(last, language)
    if (first.year, first.month) != (last.year, last.month):
        months = f"{_month(first, language)} – {months}"
    return inside + months


def _month(day: date, language: Language) -> str:
    return format_day(day, language).removeprefix("ngày ").removeprefix(str(day.day)).removeprefix(" de").strip()


def _without_year(day: date, language: Language) -> str:
    return (
        format_day(day, language).removeprefix("ngày ").removesuffix(str(day.year)).removesuffix(" năm ").strip(" de")
    )


def _han(first: date, last: date, until: str) -> str:
    start = format_day(first, "zh")
    if first == last:
        return start
    if (
        first.day == 1
        and (first.year, first.month) == (last.year, last.month)
        and (last - first).days >= _LEAST_DAYS_OF_A_MONTH - 1
    ):
        return f"{first.year}年{first.month}月"
    if (first.month, first.day, last.month, last.day) == (1, 1, 12, 31):
        return f"{first.year}年"
    return f"{start}{until}{last.month}月{last.day}日"
