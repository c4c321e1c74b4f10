"""Retractions: a speaker states that one of their slots has no value any more, or another one ("I no longer live in X").

The rules are data. Each applies to one sentence. A rule with a value also covers plain denials ("I don't live in X"),
because a retraction with a value has no effect on other values of the slot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.analysts.attributes import JOB, NOT_A_JOB
from memoryos.analysts.speech import PROPER, unmarked
from memoryos.language.matching import Bounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from memoryos.language.languages import Language

__all__ = ["LANGUAGES", "Retraction", "retractions"]


@dataclass(frozen=True, slots=True)
class Retraction:
    """A retraction, as stated in a sentence.

    Attributes:
        slot: The slot that loses its value.
        value: The value that it loses; None for any value.
        text: The statement without its subject.
        is_event: Whether the sentence states an event, such as the end of a job, which is a fact of its own.
    """

    slot: str
    value: str | None
    text: str
    is_event: bool


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule. The groups ``value…`` of the pattern contain the value; "{}" in the text stands for it."""

    slots: tuple[str, ...]
    text: str
    pattern: Bounded
    is_event: bool = False


def _rule(slots: str, text: str, pattern: str, *, is_event: bool = False) -> _Rule:
    return _Rule(tuple(slots.split()), text, Bounded(pattern, re.IGNORECASE), is_event)


_END = r"(?=\s*(?:[.,;!]|$|\b(?:and|but|so|because|since|now|any\s?more|any longer|after all|right now|at the moment|these days|last|yesterday|today|this|in|on|two|three|a)\b))"
_PLACE = rf"(?P<value>{PROPER}(?:,\s{PROPER})?)"
_THING = r"(?P<value>(?:[\w'-]+\s){0,4}?[\w'-]+)"
_NOT = r"\bi(?:'m| am|'ve| have)?\s(?:actually\s)?(?:no longer|don't|do not|not|used to|stopped)\s(?:actually\s|really\s|even\s)?"
_AM_NOT = r"\bi(?:'m| am)?\s(?:actually\s)?(?:no longer|not|used to be)\s(?:actually\s|really\s|even\s)?"
_JUST = r"\bi(?:'ve| have)?\s(?:just\s|recently\s|finally\s|already\s)?"
_ANIMAL = r"(?P<value>dog|cat|rabbit|hamster|parrot|bird|horse|fish|turtle|tortoise|guinea pig|puppy|kitten)s?"
_CHINESE_PLACE = "(?P<value>[\u4e00-\u9fffA-Za-z]{2,12}?)"

_RULES: Mapping[Language, tuple[_Rule, ...]] = {
    "en": (
        _rule("home", "No longer lives in {}", rf"{_NOT}(?:live|living|based|reside|residing)\s(?:in|near)\s{_PLACE}{_END}"),
        _rule("home", "No longer lives there", r"\bi\s(?:no longer live there|(?:don't|do not) live there (?:any\s?more|any longer))\b"),
        _rule("home", "Moved away from {}", rf"{_JUST}moved\s(?:away from|out of)\s{_PLACE}{_END}", is_event=True),
        _rule("job", "No longer works as {}", rf"{_NOT}work(?:ing)?\sas\s(?:an?\s|the\s)?{_THING}{_END}"),
        _rule("job", "Does not work as {}", rf"{_AM_NOT}an?\s{JOB}{_END}"),
        _rule("job", "Left the job as {}", rf"{_JUST}(?:quit|left|lost|resigned from)\smy\s(?:\w+\s)?job\sas\s(?:an?\s|the\s)?{_THING}{_END}", is_event=True),
        _rule("job employer", "Left their job", rf"{_JUST}(?:quit|left|lost|resigned from)\smy\s(?:\w+\s)?job\b(?!\s(?:as|offer|interview|application|early|late|at \d)\b)", is_event=True),
        _rule("job employer", "Left their job", r"\bi(?:'ve| have)?\s(?:just\s|recently\s)?(?:got|was|been|were)\s(?:just\s|recently\s)?(?:fired(?! up)|laid off|let go|made redundant)\b", is_event=True),
        _rule("job employer", "Retired", rf"{_JUST}retired{_END}", is_event=True),
        _rule("employer", "No longer works for {}", rf"{_NOT}work(?:ing)?\s(?:at|for|with)\s(?P<value>{PROPER}){_END}"),
        _rule("employer", "Left {}", rf"{_JUST}(?:quit|left|resigned from)\s(?P<value>{PROPER}){_END}", is_event=True),
        _rule("relationship_status", "Is not {}", rf"{_AM_NOT}(?P<value>married|engaged|single|divorced|widowed){_END}"),
        _rule("partner relationship_status", "Separated", r"\bwe(?:'ve| have)?\s(?:just\s|recently\s|finally\s)?(?:broken? up|split up|separated|got divorced)(?=\s*(?:[.,;!]|$|\b(?:and|but|so|because|after|last|yesterday|today|this|two|three|a)\b))", is_event=True),
        _rule("partner", "No longer with {}", rf"\bi(?:'m| am)\s(?:no longer with\s(?P<value>{PROPER}){_END}|not with\s(?P<value2>{PROPER})\s(?:any\s?more|any longer)\b)"),
        _rule("partner", "Separated from {}", rf"\b(?P<value>{PROPER})\sand i\s(?:have\s|just\s|recently\s)*(?:broken? up|split up|separated)\b|{_JUST}(?:broken? up|split up) with\s(?P<value2>{PROPER})", is_event=True),
        _rule("allergy", "Is not allergic to {}", rf"{_AM_NOT}allergic\sto\s{_THING}{_END}"),
        _rule("language", "Does not speak {}", rf"{_NOT}speak(?:ing)?\s(?P<value>{PROPER}){_END}"),
        _rule("diet", "Is not {}", rf"{_AM_NOT}(?:an?\s)?(?P<value>vegan|vegetarian|pescatarian){_END}"),
        _rule("pet", "Their {} died", rf"\bmy\s(?:old\s|beloved\s|sweet\s|dear\s)?{_ANIMAL}(?:\s\w+)?,?\s(?:has\s|just\s|recently\s|sadly\s)*(?:died|passed away|was put down|ran away)\b", is_event=True),
        _rule("pet", "Has no {}", rf"\bi\s(?:no longer have|no longer own|don't have|do not have|haven't got|have no)\s(?:an?\s|any\s|the\s|my\s)?{_ANIMAL}\b"),
    ),
    "nl": (
        _rule("home", "Woont niet meer in {}", rf"\bik woon (?:nu )?niet (?:meer|langer) in (?P<value>{PROPER})"),
        _rule("employer", "Werkt niet meer voor {}", rf"\bik werk (?:nu )?niet (?:meer|langer) (?:bij|voor) (?P<value>{PROPER})"),
        _rule("job", "Werkt niet meer als {}", r"\bik werk (?:nu )?niet (?:meer|langer) als (?P<value>[\w-]+)"),
        _rule("relationship_status", "Is niet meer {}", r"\bik ben niet (?:meer|langer) (?P<value>getrouwd|verloofd|single|vrijgezel)\b"),
        _rule("allergy", "Is niet meer allergisch voor {}", r"\bik ben niet (?:meer|langer) allergisch voor (?P<value>[\w-]+)"),
    ),
    "pt": (
        _rule("home", "Não mora mais em {}", rf"\bnao moro mais (?:em|no|na) (?P<value>{PROPER})"),
        _rule("employer", "Não trabalha mais para {}", rf"\bnao trabalho mais (?:em|no|na|para a?) (?P<value>{PROPER})"),
        _rule("job", "Não trabalha mais como {}", r"\bnao trabalho mais como (?P<value>\w+)"),
        _rule("relationship_status", "Não está mais {}", r"\bnao (?:sou|estou) mais (?P<value>casad[oa]|solteir[oa]|noiv[oa])\b"),
        _rule("allergy", "Não tem mais alergia a {}", r"\bnao (?:sou|tenho) mais (?:alergic[oa]|alergia) a (?P<value>\w+)"),
    ),
    "vi": (
        _rule("home", "Không còn sống ở {}", rf"\b(?:toi|minh|em) khong con (?:song|o) (?:o|tai) (?P<value>{PROPER})"),
        _rule("employer", "Không còn làm việc ở {}", rf"\b(?:toi|minh|em) khong con lam(?: viec)? (?:o|tai|cho) (?P<value>{PROPER})"),
    ),
    "ja": (
        _rule("home", "もう{}に住んでいない", r"^(?:私は|僕は|俺は)?もう(?P<value>[^、。はに]{1,12})に(?:は)?住んで(?:いない|いません|ない|ません)"),
        _rule("employer", "もう{}で働いていない", r"^(?:私は|僕は|俺は)?もう(?P<value>[^、。はで]{1,16})で(?:は)?働いて(?:いない|いません|ない|ません)"),
    ),
    "zh": (
        _rule("home", "不再住在{}", f"我(?:已经|现在)?不(?:再)?住在?{_CHINESE_PLACE}(?:了|[，。！]|$)"),
        _rule("employer", "不再在{}工作", f"我(?:已经|现在)?不(?:再)?在{_CHINESE_PLACE}(?:工作|上班)"),
        _rule("allergy", "对{}不再过敏", f"我(?:已经|现在)?对{_CHINESE_PLACE}(?:已经)?不(?:再)?过敏"),
        _rule("partner relationship_status", "分手了", "我们?(?:已经|刚刚?)?(?:和.{1,8})?分手了", is_event=True),
    ),
}  # fmt: skip
LANGUAGES = tuple(_RULES)
"""The languages with rules."""
_UNSURE: Mapping[Language, Bounded] = {
    "en": Bounded(
        r"[?\"“]|\b(?:if|unless|until|would|wish|might|should|could|maybe|perhaps|suppose|imagine|pretend|says?|said|thinks?|thought|dream\w*)\b",
        re.IGNORECASE,
    ),
    "nl": Bounded(r"[?\"“]|\b(?:als|zou|misschien|stel|denk|zei|zegt)\b", re.IGNORECASE),
    "pt": Bounded(r"[?\"“]|\b(?:se|talvez|acho|disse|diz)\b", re.IGNORECASE),
    "vi": Bounded(r"[?\"“]|\b(?:neu|co le|nghi|noi)\b", re.IGNORECASE),
    "ja": Bounded("[?？「]|もし|かも|なら|たら|でしょう"),
    "zh": Bounded("[?？“「]|如果|要是|希望|可能|说"),
}


def retractions(sentence: str, language: Language) -> Iterator[Retraction]:
    """Yields the retractions that a sentence states. Suppositions and the words of others are left out.

    Args:
        sentence: The sentence.
        language: Its language.
    """
    text = sentence.replace("’", "'")
    plain = unmarked(text) if language in {"pt", "vi"} else text
    if language not in _RULES or _UNSURE[language].search(plain):
        return
    for rule in _RULES[language]:
        match = rule.pattern.search(plain)
        if match is None:
            continue
        group = next((name for name, value in match.groupdict().items() if value), None)
        value = text[match.start(group) : match.end(group)].strip(" -,'") if group else None
        if "job" in rule.slots and value and NOT_A_JOB.search(value):
            continue
        for slot in rule.slots:
            yield Retraction(slot, value, rule.text.format(value), rule.is_event)
