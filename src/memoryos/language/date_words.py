"""The words of dates, by language: what ``dates`` looks for. English and Chinese; a language is added by adding rows."""

from __future__ import annotations

import re

__all__ = ["DAY_WORDS", "MONTHS", "NUMBERS", "PATTERNS", "SHIFTS", "UNITS", "WEEKDAYS"]

_ENGLISH_MONTHS = "january february march april may june july august september october november december".split()
MONTHS: dict[str, int] = (
    {name: number for number, name in enumerate(_ENGLISH_MONTHS, 1)}
    | {name[:3]: number for number, name in enumerate(_ENGLISH_MONTHS, 1)}
    | {"sept": 9}
    | {str(number): number for number in range(1, 13)}
    | {f"0{number}": number for number in range(1, 10)}
    | {word: number for number, word in enumerate("一 二 三 四 五 六 七 八 九 十 十一 十二".split(), 1)}
)
_ENGLISH_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
WEEKDAYS: dict[str, int] = (
    {name: number for number, name in enumerate(_ENGLISH_WEEKDAYS)}
    | {word: number for number, word in enumerate("一二三四五六日")}
    | {"天": 6}
)
NUMBERS: dict[str, int] = (
    {
        word: number
        for number, word in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1)
    }
    | {"a": 1, "an": 1, "couple": 2, "a couple of": 2, "a couple": 2, "两": 2}
    | {word: number for number, word in enumerate("一 二 三 四 五 六 七 八 九 十".split(), 1)}
)
UNITS: dict[str, str] = {
    "day": "days", "days": "days", "week": "weeks", "weeks": "weeks", "weekend": "weekends", "weekends": "weekends",
    "month": "months", "months": "months", "year": "years", "years": "years", "天": "days", "日": "days",
    "周": "weeks", "星期": "weeks", "个星期": "weeks", "个礼拜": "weeks", "礼拜": "weeks", "月": "months",
    "个月": "months", "年": "years", "周末": "weekends",
}  # fmt: skip
SHIFTS: dict[str, int] = {
    "last": -1, "past": -1, "previous": -1, "this": 0, "next": 1, "coming": 1, "this past": -1,
    "上": -1, "上个": -1, "这": 0, "这个": 0, "本": 0, "下": 1, "下个": 1, "去": -1, "今": 0, "明": 1,
}  # fmt: skip
DAY_WORDS: dict[str, int] = {
    "yesterday": -1, "last night": -1, "today": 0, "tonight": 0, "this morning": 0, "this afternoon": 0,
    "this evening": 0, "tomorrow": 1, "the day before yesterday": -2, "the day after tomorrow": 2, "the other day": -3,
    "昨天": -1, "昨晚": -1, "昨日": -1, "今天": 0, "今晚": 0, "今早": 0, "今日": 0, "明天": 1, "明日": 1, "前天": -2, "后天": 2,
}  # fmt: skip

_MONTH = "|".join([*_ENGLISH_MONTHS, "sept", *(name[:3] for name in _ENGLISH_MONTHS if name != "may")])
_MONTH_WORDS = (*_ENGLISH_MONTHS, "sept", *(name[:3] for name in _ENGLISH_MONTHS))
_UNIT_WORDS = ("day", "days", "week", "weeks", "weekend", "weekends", "month", "months", "year", "years")
_DAY = r"(?P<day>[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_OPTIONAL_YEAR = rf"(?:,?\s{{1,2}}(?:of\s)?{_YEAR}\b)?"
_ENGLISH_SHIFT = r"(?P<shift>this past|last|past|previous|this|next|coming)"
_ENGLISH_COUNT = r"(?:(?P<count>\d{1,3}|a couple of|a couple|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)|(?P<few>a few|several|some))"
_CHINESE_DIGITS = "[一二两三四五六七八九十]"

_CHINESE_PERIODS = ("周", "星期", "礼拜", "月")
_RULES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("iso", ("-",), rf"\b{_YEAR}-(?P<month>0?[1-9]|1[0-2])-(?P<day>[12]\d|3[01]|0?[1-9])\b"),
    ("slashes", ("/",), rf"\b(?P<month>\d{{1,2}})/(?P<day>\d{{1,2}})/{_YEAR}\b"),
    ("day_month", _MONTH_WORDS, rf"\b{_DAY}\s{{1,2}}(?:of\s)?(?P<month>{_MONTH})\b\.?{_OPTIONAL_YEAR}"),
    ("day_month", _MONTH_WORDS,
     rf"\b(?P<month>{_MONTH})\b\.?\s{{1,2}}(?:the\s)?{_DAY}\b(?!:|%|\s?(?:am|pm)\b){_OPTIONAL_YEAR}"),
    ("month_year", _MONTH_WORDS, rf"\b(?P<month>{_MONTH})\b\.?,?\s{{1,2}}(?:of\s)?{_YEAR}\b"),
    ("month_alone", _MONTH_WORDS, rf"\b(?P<shift>last|this|next)\s(?P<month>{'|'.join(_ENGLISH_MONTHS)})\b"),
    ("month_alone", _MONTH_WORDS, rf"\bin\s(?P<shift>)(?P<month>{'|'.join(_ENGLISH_MONTHS)})\b(?!\s\d)"),
    ("year", ("in", "since", "of"), rf"\b(?:in|since|of)\s{_YEAR}\b"),
    ("day_word", ("yesterday", "tomorrow", "today", "tonight", "morning", "afternoon", "evening", "night", "other"),
     r"\b(?P<word>the\sday\sbefore\syesterday|the\sday\safter\stomorrow|the\sother\sday|yesterday|last\snight|"
     r"today|tonight|this\s(?:morning|afternoon|evening)|tomorrow)\b"),
    ("ago", ("ago", "back", "earlier"),
     rf"\b{_ENGLISH_COUNT}\s(?P<unit>days?|weeks?|weekends?|months?|years?)\s(?:ago|back|earlier)\b"),
    ("ago", _UNIT_WORDS, rf"\bin\s{_ENGLISH_COUNT}\s(?P<unit>days?|weeks?|months?|years?)\b"),
    ("shift", ("week", "weekend", "month", "year"), rf"\b{_ENGLISH_SHIFT}\s(?P<unit>week|weekend|month|year)\b"),
    ("weekday", tuple(_ENGLISH_WEEKDAYS), rf"\b(?:{_ENGLISH_SHIFT}\s|on\s)(?P<weekday>{'|'.join(_ENGLISH_WEEKDAYS)})\b"
                rf"(?!\s(?:mornings|afternoons|evenings|nights))"),
    ("day_month", ("月",), rf"(?:{_YEAR}年)?(?P<month>1[0-2]|0?[1-9]|十[一二]|[一二三四五六七八九十])月{_DAY}[日号]"),
    ("month_year", ("年",), rf"{_YEAR}年(?P<month>1[0-2]|0?[1-9])月(?!\d)"),
    ("year", ("年",), rf"{_YEAR}年(?!\d)"),
    ("day_word", ("天", "日", "晚", "早"), r"(?P<word>昨天|昨晚|昨日|今天|今晚|今早|今日|明天|明日|前天|后天)"),
    ("ago", ("前",),
     rf"(?:(?P<count>\d{{1,3}}|{_CHINESE_DIGITS})|(?P<few>几))(?P<unit>天|个?星期|个?礼拜|周|个月|年)(?:之?前)"),
    ("week_weekday", _CHINESE_PERIODS,
     r"(?P<shift>上个?|这个?|本|下个?)(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天])"),
    ("shift", _CHINESE_PERIODS, r"(?P<shift>上个?|这个?|本|下个?)(?P<unit>周末|周|星期|礼拜|月)"),
    ("shift", ("年",), r"(?P<shift>去|今|明)(?P<unit>年)"),
)  # fmt: skip
PATTERNS: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = tuple(
    (kind, triggers, re.compile(rule)) for kind, triggers, rule in _RULES
)
"""(Kind, words or signs of which one must be in the lower-cased text, pattern)."""
