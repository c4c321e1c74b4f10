"""Static attributes: what a person says of themselves in so many words (name, home, job, …)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.analysts.dutch import DUTCH
from memoryos.analysts.japanese import JAPANESE
from memoryos.analysts.portuguese import PORTUGUESE
from memoryos.analysts.speech import unmarked
from memoryos.analysts.vietnamese import VIETNAMESE
from memoryos.language.languages import language_of
from memoryos.language.matching import Bounded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from memoryos.analysts.speech import Speech
    from memoryos.language.languages import Language

__all__ = ["JOB", "NOT_A_JOB", "SPEECHES", "Statement", "note_of", "slot_of", "statements"]

SPEECHES: dict[Language, Speech] = {"nl": DUTCH, "ja": JAPANESE, "pt": PORTUGUESE, "vi": VIETNAMESE}
"""The languages that are told by a table; English and Chinese have rules of their own."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One attribute as stated: its name, its value, the language of the text."""

    name: str
    value: str
    language: Language = "en"


_END = r"(?=\s*(?:[.,;!?]|$|\band\b|\bbut\b|\bwith\b|\bsince\b|\bfor\b|\bwhere\b|\bnow\b|\bbecause\b|\bthese days\b|\brecently\b|\blast\b|\bthis\b|\bon\b|\byesterday\b|\btoday\b|\btwo\b|\bthree\b|\bsome\b|\ba\b|\bin\b|\bto\b|\bas\b|\bafter\b|\bwhen\b|\bright\b))"
_PROPER = r"(?-i:[A-Z][\w'’-]*(?:\s(?:of\s)?[A-Z][\w'’-]*){0,3})"
_PLACE = rf"(?P<value>{_PROPER}(?:,\s{_PROPER})?)"
_NOT_A_NAME = frozenset(
    "glad sorry happy fine good great sure just not so very here back new also really done ready excited tired busy from in at on a an "
    "the your still now going looking thinking ok okay well all always proud single married vegetarian vegan".split()
)
JOB = (
    r"(?P<value>(?:[a-z][\w-]*\s){0,3}(?:\w+(?:er|or|ist|ian|eer|yst|ect|ant|ent|iac|tician)|nurse|chef|coach|student|pilot|cook|clerk|judge|"
    r"vet|mechanic|athlete|freelance\w*|ceo|cto|founder|intern|social worker|barista|scientist|data scientist)(?:\s(?:at|for)\s[\w&.' -]+?)?)"
)
NOT_A_JOB = Bounded(
    r"\b(?:fan|lover|person|beginner|believer|member|winner|owner|number|user|reader|listener|supporter|mother|father|brother|sister|daughter|"
    r"parent|talker|eater|sleeper|helper|keeper|partner|one|learner|follower|dreamer|different|patient|better|bigger|lover|newcomer|"
    r"foodie|perfectionist|vegetarian|enthusiast|extrovert|introvert|optimist|minimalist|big|huge|late|early|heavy|quick|fast|slow)\b",
    re.IGNORECASE,
)
_ENGLISH: tuple[tuple[str, str], ...] = (
    ("name", rf"\b(?:my name(?:'s| is)|call me|i am called|i'm called)\s(?P<value>{_PROPER}){_END}"),
    ("name", r"^(?:\W*(?:hi|hello|hey)\b[^.!?]{0,25}?[,!.]?\s*)?(?:i'm|i am|this is)\s(?P<value>(?-i:[A-Z][a-z]+(?:\s[A-Z][a-z]+)?))\s*(?=[,.!]|$)"),
    ("home", rf"\bi(?:'m| am)?\s(?:now\s|currently\s|still\s)?(?:live|living|based|reside)\s(?:in|near)\s{_PLACE}{_END}"),
    ("home", rf"\bi(?:'ve| have)?\s(?:just\s|recently\s|finally\s)?(?:moved|relocated)\s(?:back\s|over\s|here\s)?to\s{_PLACE}{_END}"),
    ("hometown", rf"\bi(?:'m| am)\s(?:originally\s)?from\s{_PLACE}{_END}|\bi (?:grew up|was born|was raised) in\s(?P<value2>{_PROPER}){_END}"),
    ("job", rf"\bi(?:'m| am)?\s(?:now\s|currently\s|also\s|still\s)?work(?:ing)?\sas\s(?:an?\s)?(?P<value>[\w' -]+?(?:\s(?:at|in|for)\s{_PROPER})?)(?=\s{{0,2}}(?:[.,;!?]|$|\band\b|\bbut\b|\bsince\b|\bnow\b))"),
    ("job", rf"\bi(?:'m| am)\s(?:now\s|currently\s)?an?\s{JOB}(?=\s*(?:[.,;!?]|$|\band\b|\bbut\b|\bin\b|\bwho\b|\bhere\b))"),
    ("job", r"\bi(?:'m| am)\s\d{1,3}\s(?:years old\s)?and\s(?:i\s)?work\sas\s(?:an?\s)?(?P<value>[\w' -]+?)(?=\s{0,2}(?:[.,;!?]|$|\b(?:and|but|since|now|in|at|for)\b))"),
    ("job", r"\bi\s(?:just\s|recently\s)?(?:started|got|took)\s(?:a new job|working)\sas\s(?:an?\s)?(?P<value>[\w' -]+?)(?=\s*(?:[.,;!?]|$|\band\b|\bbut\b))"),
    ("employer", rf"\bi(?:'m| am)?\s(?:now\s|currently\s)?work(?:ing)?\s(?:at|for)\s(?P<value>{_PROPER}){_END}"),
    ("age", r"\bi(?:'m| am| just turned| turned)\s(?P<value>\d{1,3})(?:\syears?\sold)?(?=\s*(?:[.,;!?]|$|\band\b|\bbut\b|\bnow\b|\byears\b|\btoday\b))"),
    ("birth_year", r"\bi was born in\s(?P<value>(?:19|20)\d\d)\b"),
    ("gender", r"\b(?:as|i'm|i am)\s(?:a\s)(?:\w+\s){0,2}?(?P<value>woman|man|girl|boy|mother|mom|mum|father|dad|wife|husband|female|male|trans woman|transgender woman|trans man)\b"),
    ("relationship_status", r"\bi(?:'m| am)\s(?:still\s|now\s|happily\s|newly\s|recently\s|just\s)?(?P<value>single|married|engaged|divorced|widowed)(?=\s*(?:[.,;!?]|$|\band\b|\bagain\b|\bto\b|\bnow\b|\bbut\b|\bwith\b))"),
    ("relationship_status", r"\bi(?:'ve been| just got| got)\s(?P<value>married|engaged|divorced)\b"),
    ("allergies", r"\bi(?:'m| am)\s(?:severely\s|very\s|also\s)?allergic\sto\s(?P<value>[\w ,'-]+?)(?=\s*(?:[.;!?]|$|\bso\b|\bbut\b|,? as well\b|,? too\b|,? and i\b))"),
    ("diet", r"\bi(?:'m| am)\s(?:now\s|also\s|a\s)*(?P<value>vegan|vegetarian|pescatarian)(?=\s*(?:[.,;!]|$|\band\b|\bbut\b|\bnow\b|\bso\b))"),
    ("pet", r"\bi(?:'ve got| have)\san?\s(?P<value>(?:[a-z]+\s){0,2}?(?:dog|cat|rabbit|hamster|parrot|horse)(?:\s(?:named|called)\s(?-i:[A-Z]\w+))?)(?=\s*(?:[.,;!]|$))"),
    ("languages", r"\bi speak\s(?P<value>(?-i:[A-Z]\w+(?:(?:,\s|\sand\s|,\sand\s)[A-Z]\w+)*))"),
    ("birthday", r"\bmy birthday(?:'s| is)\s(?:on\s)?(?:the\s)?(?P<value>(?:\d{1,2}(?:st|nd|rd|th)?\s(?:of\s)?\w+|\w+\s\d{1,2}(?:st|nd|rd|th)?))"),
)  # fmt: skip
_CHINESE: tuple[tuple[str, str], ...] = (
    ("name", r"(?:我叫|我的名字(?:是|叫)|我的名字为)(?P<value>[\u4e00-\u9fff]{2,4}|[A-Za-z]+)(?=[，。！,.!\s]|$)"),
    ("home", r"我(?:现在|目前)?(?:住在|搬到了?|定居在)(?P<value>[\u4e00-\u9fff]{2,8}?)(?=[，。！了,.!]|$)"),
    (
        "hometown",
        r"我(?:是|来自)(?P<value>[\u4e00-\u9fff]{2,6}?)(?:人)(?=[，。！,.!]|$)|我来自(?P<value2>[\u4e00-\u9fff]{2,8})",
    ),
    (
        "job",
        r"我(?:现在|目前)?是(?:一名|一个|一位|个|名)?(?P<value>[\u4e00-\u9fff]{0,8}(?:师|员|医生|学生|经理|作家|画家|护士|教练|律师|记者|警察|司机|科学家|程序员))(?=[，。！,.!]|$)",
    ),
    ("age", r"我(?:今年)?(?P<value>\d{1,3})岁"),
    ("relationship_status", r"我(?:已经|还是|是)?(?P<value>单身|已婚|结婚了|离婚了|订婚了)"),
    ("allergies", r"我对(?P<value>[\u4e00-\u9fff、和]{1,12})过敏"),
    ("birthday", r"我的生日是(?P<value>\d{1,2}月\d{1,2}[日号])"),
)
_PATTERNS: dict[Language, tuple[tuple[str, Bounded], ...]] = {
    "en": tuple((name, Bounded(rule, re.IGNORECASE)) for name, rule in _ENGLISH),
    "zh": tuple((name, Bounded(rule)) for name, rule in _CHINESE),
    **{language: speech.attributes for language, speech in SPEECHES.items()},
}
_NOTES: dict[str, tuple[str, str]] = {
    "name": ("Is called {}", "叫{}"),
    "home": ("Lives in {}", "住在{}"),
    "hometown": ("Comes from {}", "来自{}"),
    "job": ("Works as {}", "是{}"),
    "employer": ("Works for {}", "在{}工作"),
    "birth_year": ("Was born in {}", "出生于{}年"),
    "gender": ("", ""),
    "relationship_status": ("Is {}", "{}"),
    "allergies": ("Is allergic to {}", "对{}过敏"),
    "diet": ("Is {}", "{}"),
    "pet": ("Has a {}", "有{}"),
    "languages": ("Speaks {}", "会说{}"),
    "birthday": ("Has their birthday on {}", "生日是{}"),
}
_SINGLE_VALUED = ("name", "home", "job", "employer", "relationship_status", "birth_year", "birthday", "hometown")
_TEMPLATES = [(name, template) for name in _SINGLE_VALUED for template in _NOTES[name]] + [
    (name, speech.notes[name]) for speech in SPEECHES.values() for name in _SINGLE_VALUED
]
_STATUSES = (
    *("single", "married", "engaged", "divorced", "widowed", "单身", "已婚", "结婚了", "离婚了", "订婚了"),
    *(status for speech in SPEECHES.values() for status in speech.statuses),
)
_SLOTS = (
    *(
        (name, Bounded("^" + re.escape(template).replace(re.escape("{}"), "(.+)") + "$"))
        for name, template in _TEMPLATES
        if template not in {"Is {}", "Está {}", "是{}", "{}"}
    ),
    ("relationship_status", Bounded(f"^(?:Is |Está )?(?:{'|'.join(_STATUSES)})$")),
    ("job", Bounded("^是.+(?:师|员|医生|学生|经理|作家|画家|护士|教练|律师|记者|警察|司机|科学家|程序员)$")),
)
_HYPOTHETICAL = Bounded(
    r"\b(?:if|would|wish|might|should|could|used to|want to|hope to)\b|\b(?:when|while) (?:i|we) (?:was|were)\b|"
    r"\bas an? (?:kid|child|teen\w*)\b|\bin my (?:childhood|youth|teens|twenties)\b|如果|要是|希望|小时候",
    re.IGNORECASE,
)
_DENIED = Bounded(
    r"\bik (?:\w+ ){1,3}?(?:niet|geen)\b|\bnao (?:me |sou|moro|trabalho|tenho|falo|vivo)|\b(?:khong|chua) (?:phai|song|o|lam|noi|biet|con)\b"
    r"|(?:て|で)(?:い)?(?:ない|ません)|では?ない|じゃない|(?:では|じゃ)ありません|せません|せない",
    re.IGNORECASE,
)
"""What a sentence denies it does not state."""
_IN_BRACKETS = Bounded(r" \(.*\)$|（.*）$")
_ARTICLE = Bounded(r"^(?:an?|the)\s")
_FEMALE = frozenset({"woman", "girl", "mother", "mom", "mum", "wife", "female", "trans woman", "transgender woman"})
_ARTICLE_VOWELS = "aeiou"
_OLDEST = 120


def statements(sentence: str, at: datetime, language: Language | None = None) -> Iterator[Statement]:
    """Yields the attributes that a sentence states of its speaker, ages turned into the year of birth.

    Args:
        sentence: As said.
        at: When.
        language: The language of the sentence, where that is known better than its words tell.
    """
    text = sentence.replace("’", "'")
    language = language or language_of(text, "en") or "en"
    plain = unmarked(text) if language in {"pt", "vi"} else text
    unsure = SPEECHES[language].unsure if language in SPEECHES else _HYPOTHETICAL
    if unsure.search(plain) or (language in SPEECHES and _DENIED.search(plain)):
        return
    for name, pattern in _PATTERNS[language]:
        match = pattern.search(plain)
        if match is None:
            continue
        group = next(key for key, each in match.groupdict().items() if key.startswith("value") and each)
        statement = _read(name, text[match.start(group) : match.end(group)].strip(" -,'"), at, language)
        if statement is not None:
            yield statement


def note_of(statement: Statement) -> str:
    """Returns the knowledge entry of an attribute; "" for one that the profile alone keeps."""
    if statement.language in SPEECHES:
        template = SPEECHES[statement.language].notes.get(statement.name, "")
    else:
        template = _NOTES[statement.name][statement.language == "zh"]
    value = statement.value
    if statement.name == "job" and statement.language == "en" and not value.startswith(("a ", "an ", "the ")):
        value = f"{'an' if value[:1].lower() in _ARTICLE_VOWELS else 'a'} {value}"
    return template.format(value) if template else ""


def slot_of(text: str) -> str | None:
    """Returns the attribute that an entry of this analyst states, if a person has only one at a time; else None."""
    base = _IN_BRACKETS.sub("", text)
    return next((name for name, pattern in _SLOTS if pattern.match(base)), None)


def _read(name: str, value: str, at: datetime, language: Language) -> Statement | None:
    if name == "age":
        years = int(value)
        return Statement("birth_year", str(at.year - years), language) if 3 < years < _OLDEST else None  # noqa: PLR2004
    if name == "gender":
        return Statement("gender", "female" if value.lower() in _FEMALE else "male")
    if name == "name" and value.split(maxsplit=1)[0].lower() in _NOT_A_NAME:
        return None
    if name == "job" and language == "en":
        value = _ARTICLE.sub("", value)
        if NOT_A_JOB.search(value) or len(value.split()) > 8:  # noqa: PLR2004
            return None
    return Statement(name, value, language)
