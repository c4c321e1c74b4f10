"""Words and patterns of dates in Chinese and Japanese."""

from __future__ import annotations

__all__ = ["DAY_WORDS", "MONTHS", "NUMBERS", "RULES", "SHIFTS", "UNITS", "WEEKDAYS"]

_DIGITS = "一二三四五六七八九"
_TO_31 = [
    *_DIGITS,
    "十",
    *(f"十{one}" for one in _DIGITS),
    "二十",
    *(f"二十{one}" for one in _DIGITS),
    "三十",
    "三十一",
]
MONTHS: dict[str, int] = {word: number for number, word in enumerate(_TO_31[:12], 1)}
WEEKDAYS: dict[str, int] = (
    {word: number for number, word in enumerate("一二三四五六日")}
    | {"天": 6}
    | {word: number for number, word in enumerate("月火水木金土日")}
)
NUMBERS: dict[str, int] = {word: number for number, word in enumerate(_TO_31, 1)} | {"两": 2, "二": 2}
UNITS: dict[str, str] = {
    "天": "days", "日": "days", "周": "weeks", "星期": "weeks", "个星期": "weeks", "个礼拜": "weeks", "礼拜": "weeks", "月": "months",
    "个月": "months", "年": "years", "周末": "weekends", "週間": "weeks", "週": "weeks", "週末": "weekends", "ヶ月": "months", "か月": "months",
    "カ月": "months", "ケ月": "months", "個月": "months",
}  # fmt: skip
SHIFTS: dict[str, int] = {
    "上": -1, "上个": -1, "上上": -2, "上上个": -2, "这": 0, "这个": 0, "本": 0, "下": 1, "下个": 1, "下下": 2, "下下个": 2, "去": -1, "今": 0, "明": 1, "前": -2,
    "后": 2, "先": -1, "先々": -2, "先先": -2, "来": 1, "再来": 2, "昨": -1, "一昨": -2, "おととし": -2, "この前": -1, "前の": -1, "次": 1, "今度": 1, "この": 0,
}  # fmt: skip
DAY_WORDS: dict[str, int] = {
    "昨天": -1, "昨晚": -1, "昨日": -1, "昨夜": -1, "今天": 0, "今晚": 0, "今早": 0, "今日": 0, "明天": 1, "明日": 1, "明晚": 1, "前天": -2, "后天": 2, "大前天": -3, "大后天": 3,
    "きのう": -1, "昨晩": -1, "ゆうべ": -1, "一昨日": -2, "おととい": -2, "今朝": 0, "今夜": 0, "今晩": 0, "きょう": 0, "明日の夜": 1, "あした": 1, "明後日": 2, "あさって": 2,
}  # fmt: skip

_YEAR = r"(?P<year>(?:19|20)\d\d)"
_COUNT = r"(?P<count>\d{1,3}|[二三]?十[一二三四五六七八九]?|[一二两三四五六七八九])"
_DAY = r"(?P<day>[12]\d|3[01]|0?[1-9]|[二三]?十[一二三四五六七八九]?|[一二三四五六七八九])"
_MONTH = r"(?P<month>1[0-2]|0?[1-9]|十[一二]|[一二三四五六七八九十])"
_CHINESE_PERIODS = ("周", "星期", "礼拜", "月")
_CHINESE_SHIFT = r"(?P<shift>上上个?|上个?|这个?|本|下下个?|下个?)"
_MONTHS_LONG = "[ヶかカケ個]月"

RULES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("day_month", ("月",), rf"(?:{_YEAR}年)?{_MONTH}月{_DAY}[日号]"),
    ("month_year", ("年",), rf"{_YEAR}年(?P<month>1[0-2]|0?[1-9])月(?!\d)"),
    ("month_alone", ("月",), r"(?<![\d年\-/一二三四五六七八九十個か])(?P<shift>)(?P<month>1[0-2]|[1-9]|十[一二]|[一二三四五六七八九十])月(?=[にのはから、中末初]|です|でし|份|初|底)(?!の間)"),
    ("month_if_directed", ("月",), r"(?<![\d年\-/一二三四五六七八九十個个か])(?P<month>1[0-2]|[1-9]|十[一二]|[一二三四五六七八九十])月(?![にのはから、中末初份底\d一二三四五六七八九十河天号日曜]|革命|長|长|間|间|です|でし)"),
    ("month_alone", ("去年", "昨年", "今年", "来年", "明年"), r"(?P<shift>去|昨|今|来|明)年の?(?P<month>1[0-2]|0?[1-9]|十[一二]|[一二三四五六七八九十])月(?!\d)"),
    ("year", ("年",), rf"{_YEAR}年(?!\d)"),
    ("day_word", ("天", "日", "晚", "晩", "早", "夜", "朝", "きのう", "ゆうべ", "おととい", "きょう", "あした", "あさって"),
     r"(?P<word>大前天|大后天|一昨日|明後日|昨天|昨晚|昨日|昨夜|昨晩|今天|今晚|今早|今日(?!本)|今朝|今夜|今晩|明天|明晚|明日(?!本)|前天|后天|きのう|ゆうべ|おととい|きょう(?!だい|う|り|か|し)|あした|あさって)"),
    ("weekday_if_directed", ("周", "星期", "礼拜"), r"(?<![上下这本每个隔逢至到])(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天])(?![到至、和一二三四五六日])"),
    ("day_alone", ("日", "号"), r"(?<![\d月一二三四五六七八九十])(?P<day>[12]\d|3[01]|[1-9])(?:日(?=に(?![\d一]))|号(?=$|[，。！？,]|[我你要去有飞走考交开]|出发|结婚|上午|下午|晚上|早上))"),
    ("ago", ("前",), rf"(?:{_COUNT}|(?P<few>几))(?P<unit>天|个?星期|个?礼拜|周|个月|年)(?:之?前)"),
    ("ago", ("前",), rf"(?:{_COUNT}|(?P<few>数))(?P<unit>日|週間|{_MONTHS_LONG}|年)(?:ほど|くらい|ぐらい)?前"),
    ("ago", ("后", "後"), rf"(?:{_COUNT}|(?P<few>几|数))(?P<unit>天|个?星期|个?礼拜|周|个月|日|週間|{_MONTHS_LONG}|年)(?P<ahead>之?[后後])"),
    ("week_weekday", _CHINESE_PERIODS, rf"{_CHINESE_SHIFT}(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天])"),
    ("week_weekday", ("週",), r"(?P<shift>先々|先先|先|今|再来|来)週の?(?P<weekday>[月火水木金土日])(?:曜日?)(?!日)"),
    ("weekday", ("曜",), r"(?P<shift>この前|前の|次|今度|この)の?(?P<weekday>[月火水木金土日])曜日?"),
    ("weekday", ("曜",), r"(?<!週)(?<!週の)(?<!前の)(?<!次の)(?<!度の)(?<!この)(?<!毎)(?P<shift>)(?P<weekday>[月火水木金土日])曜日?(?=に|です|でし|だ)"),
    ("shift", _CHINESE_PERIODS, rf"{_CHINESE_SHIFT}(?P<unit>周末|周|星期|礼拜|月)"),
    ("shift", ("週",), r"(?P<shift>先々|先先|先|今|再来|来)(?P<unit>週末|週)(?!間)"),
    ("shift", ("月",), r"(?P<shift>先々|先先|先|今|再来|来)(?P<unit>月)(?!曜|\d)"),
    ("shift", ("年",), r"(?<![\d一二三四五六七八九十])(?P<shift>一昨|去|昨|今|明|再来|来|前|后)(?P<unit>年)(?!度|間|以|夜)"),
    ("shift", ("おととし",), r"(?P<shift>おととし)(?P<unit>)"),
)  # fmt: skip
"""The kind, the trigger words and the regular expression of each form of date. Part of ``date_words.PATTERNS``."""
