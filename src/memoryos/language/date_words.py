"""Words and patterns that occur in dates: the English ones, combined with those of the modules for other languages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memoryos.language import han_date_words, latin_date_words

if TYPE_CHECKING:
    from memoryos.language.languages import Language

__all__ = ["DAY_WORDS", "MONTHS", "NAMES_IF_CAPITALISED", "NUMBERS", "PATTERNS", "SHIFTS", "UNITS", "WEEKDAYS"]

_ENGLISH_MONTHS = "january february march april may june july august september october november december".split()
MONTHS: dict[str, int] = (
    {name: number for number, name in enumerate(_ENGLISH_MONTHS, 1)}
    | {name[:3]: number for number, name in enumerate(_ENGLISH_MONTHS, 1)}
    | {"sept": 9}
    | {str(number): number for number in range(1, 13)}
    | {f"0{number}": number for number in range(1, 10)}
    | latin_date_words.MONTHS
    | han_date_words.MONTHS
)
_ENGLISH_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
WEEKDAYS: dict[str, int] = (
    {name: number for number, name in enumerate(_ENGLISH_WEEKDAYS)}
    | latin_date_words.WEEKDAYS
    | han_date_words.WEEKDAYS
)
NUMBERS: dict[str, int] = (
    {
        word: number
        for number, word in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1)
    }
    | {"a": 1, "an": 1, "couple": 2, "a couple of": 2, "a couple": 2}
    | latin_date_words.NUMBERS
    | han_date_words.NUMBERS
)
UNITS: dict[str, str] = (
    {
        "day": "days", "days": "days", "week": "weeks", "weeks": "weeks", "weekend": "weekends",
        "weekends": "weekends", "month": "months", "months": "months", "year": "years", "years": "years",
    }
    | latin_date_words.UNITS
    | han_date_words.UNITS
)  # fmt: skip
SHIFTS: dict[str, int] = (
    {"last": -1, "past": -1, "previous": -1, "this": 0, "next": 1, "coming": 1, "this past": -1}
    | latin_date_words.SHIFTS
    | han_date_words.SHIFTS
)
DAY_WORDS: dict[str, int] = (
    {
        "yesterday": -1, "last night": -1, "today": 0, "tonight": 0, "this morning": 0, "this afternoon": 0,
        "this evening": 0, "tomorrow": 1, "the day before yesterday": -2, "the day after tomorrow": 2, "the other day": -3,
    }
    | latin_date_words.DAY_WORDS
    | han_date_words.DAY_WORDS
)  # fmt: skip

_MONTH = "|".join([*_ENGLISH_MONTHS, "sept", *(name[:3] for name in _ENGLISH_MONTHS if name != "may")])
_MONTH_WORDS = (*_ENGLISH_MONTHS, "sept", *(name[:3] for name in _ENGLISH_MONTHS))
_UNIT_WORDS = ("day", "days", "week", "weeks", "weekend", "weekends", "month", "months", "year", "years")
_DAY = r"(?P<day>[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_OPTIONAL_YEAR = rf"(?:,?\s{{1,2}}(?:of\s)?{_YEAR}\b)?"
_NO_VERB_BEFORE = r"(?!(?:(?<=\bi )|(?<=\bwe )|(?<=\byou )|(?<=\bthey )|(?<=\bwill )|(?<=\bcan )|(?<=\bmust )|(?<=\bnot )|(?<='ll ))(?:may|march)\b)"
_NO_VERB_AFTER = (
    r"(?!(?<=\bmay)\s(?:be|have|not|never|also|well|still|go|come|take|make|need|want|get|give|find|feel|cause|become|help|lead|leave|enter|join|"
    r"contain|include|require|result|seem|mean|apply|vary|happen|occur|prove|differ|depend|affect)\b)"
    r"(?!(?<=\bmarch)\s(?:formation|step|order)\b)"
)
"""Exclude the verbs "may" and "march", as in "this may take a while" and "we march 5 miles"."""
_NO_UNIT_AFTER = r"(?!\s?(?:miles?|km|kilomet\w{2,4}|met(?:er|re)s?|hours?|minutes?|times|blocks|steps|people)\b)"
_ENGLISH_SHIFT = r"(?P<shift>this past|last|past|previous|this|next|coming)"
_ENGLISH_COUNT = r"(?:(?P<count>\d{1,3}|a couple of|a couple|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)|(?P<few>a few|several|some))"

_ENGLISH_RULES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("iso", ("-",), rf"\b{_YEAR}-(?P<month>0?[1-9]|1[0-2])-(?P<day>[12]\d|3[01]|0?[1-9])\b"),
    ("slashes", ("/",), rf"\b(?P<month>\d{{1,2}})/(?P<day>\d{{1,2}})/{_YEAR}\b"),
    ("day_month", _MONTH_WORDS,
     rf"\b{_DAY}\s{{1,2}}(?:of\s)?(?P<month>{_MONTH})\b{_NO_VERB_AFTER}\.?{_OPTIONAL_YEAR}"),
    ("day_month", _MONTH_WORDS,
     rf"\b{_NO_VERB_BEFORE}(?P<month>{_MONTH})\b\.?\s{{1,2}}(?:the\s)?{_DAY}\b(?!:|%|\s?(?:am|pm)\b){_NO_UNIT_AFTER}{_OPTIONAL_YEAR}"),
    ("month_year", _MONTH_WORDS, rf"\b(?P<month>{_MONTH})\b\.?,?\s{{1,2}}(?:of\s)?{_YEAR}\b"),
    ("month_alone", _MONTH_WORDS, rf"\b(?P<shift>last|this|next)\s(?P<month>{'|'.join(_ENGLISH_MONTHS)})\b{_NO_VERB_AFTER}"),
    ("month_alone", _MONTH_WORDS, rf"\bin\s(?P<shift>)(?P<month>{'|'.join(_ENGLISH_MONTHS)})\b(?!\s\d){_NO_VERB_AFTER}"),
    ("year", ("in", "since", "of"), rf"\b(?:in|since|of)\s{_YEAR}\b"),
    ("day_word", ("yesterday", "tomorrow", "today", "tonight", "morning", "afternoon", "evening", "night", "other"),
     r"\b(?P<word>the\sday\sbefore\syesterday|the\sday\safter\stomorrow|the\sother\sday|yesterday|last\snight|"
     r"today|tonight|this\s(?:morning|afternoon|evening)|tomorrow)\b"),
    ("ago", ("ago", "back", "earlier"),
     rf"\b{_ENGLISH_COUNT}\s(?P<unit>days?|weeks?|weekends?|months?|years?)\s(?:ago|back|earlier)\b"),
    ("ago", _UNIT_WORDS, rf"\b(?P<ahead>in)\s{_ENGLISH_COUNT}\s(?P<unit>days?|weeks?|months?|years?)\b"),
    ("shift", ("week", "weekend", "month", "year"), rf"\b{_ENGLISH_SHIFT}\s(?P<unit>week|weekend|month|year)\b"),
    ("weekday", tuple(_ENGLISH_WEEKDAYS), rf"\b(?:{_ENGLISH_SHIFT}\s|on\s)(?P<weekday>{'|'.join(_ENGLISH_WEEKDAYS)})\b"
                rf"(?!\s(?:mornings|afternoons|evenings|nights))"),
    ("day_alone", ("on",),
     r"\bon\sthe\s(?P<day>[12]\d|3[01]|[1-9])(?:st|nd|rd|th)(?=\s?(?:[.,;:!?)]|$)|\s(?:at|and|or|but|with|because|when|if|i|we|he|she|they|my|our)\b)"),
)  # fmt: skip
_RULES: dict[Language, tuple[tuple[str, tuple[str, ...], str], ...]] = {
    "en": _ENGLISH_RULES,
    "nl": latin_date_words.DUTCH_RULES,
    "pt": latin_date_words.PORTUGUESE_RULES,
    "vi": latin_date_words.VIETNAMESE_RULES,
    "zh": han_date_words.RULES,
}
PATTERNS: tuple[tuple[str, tuple[str, ...], re.Pattern[str], Language], ...] = tuple(
    (kind, triggers, re.compile(rule), language) for language, rules in _RULES.items() for kind, triggers, rule in rules
)
"""The kind, the trigger words, the pattern and the language of each form of date, e.g. "year" for "in 2023".

A pattern is tried only if the lower-case text contains one of its trigger words. Dutch and other texts contain dates in
the English form, too, and Japanese texts those in the Chinese form.
"""
NAMES_IF_CAPITALISED = frozenset({"marco"})
"""Months that are names of people if their first letter is a capital: "em Marco" names no month."""
