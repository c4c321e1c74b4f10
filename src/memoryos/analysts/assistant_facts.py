"""What the assistant did: recommended, suggested, promised. Concrete content only; offers of help are none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memoryos.analysts.notes import Note
from memoryos.language.date_phrases import format_day
from memoryos.language.dates import format_date_range
from memoryos.language.matching import Bounded
from memoryos.language.text import content_words

if TYPE_CHECKING:
    from datetime import datetime

    from memoryos.language.languages import Language

__all__ = ["deed"]

_LONGEST = 240
_MIN_CONTENT = 2
_EMPTY = Bounded(
    r"\b(?:let me know|feel free|happy to|glad to|here (?:for you|to help)|if you (?:have|need|want)|(?:some|any|more|other|the following|different|many|a few) "
    r"(?:suggestions?|recommendations?|books?|movies?|questions?|tips?|ideas?|things)\s*(?:to you|for you)?[.!:]?$|help you|assist|i guess)\b|as an ai\b",
    re.IGNORECASE,
)
_RECOMMENDED = Bounded(
    r"\bi(?:'d| would|'ll| will| can| could| also| highly| strongly| really| definitely)*\s(?P<verb>recommend|suggest|advise)(?:ed)?\s"
    r"(?:that\s)?(?:you\s(?:to\s|should\s)?)?(?P<what>.+)",
    re.IGNORECASE,
)
_PROPOSED = Bounded(
    r"^(?:(?:also|then|so|well|in addition|besides|first|second|sure|of course|great|yes|if so|maybe|perhaps)[,!.\s]+)*you\s(?:can|could|should|might want to|may want to|may)\s"
    r"(?:also\s|definitely\s|always\s|just\s)*(?P<what>(?:try|read|watch|listen|visit|go|use|start|practi[cs]e|take|learn|make|add|choose|keep|eat|drink|"
    r"set|do|join|check|consider|look|write|find|buy|get|cook|play|download|follow|talk|share|plan)\b.+)",
    re.IGNORECASE,
)
_PROMISED = Bounded(
    r"\b(?:i promise(?: you)?(?: to| that i'?ll| i'?ll)|i(?:'ll| will) (?=remind|send|check|prepare|keep track|look up|look into|follow up|make a|write up|book|schedule|share|bring))\s*(?P<what>.+)",
    re.IGNORECASE,
)
_POINTING = Bounded(r"(?:it|that|this|them|you)\b(?!\s\w+\s\w+\s\w+)", re.IGNORECASE)
_THING = Bounded(r"(?:\w+ing|an?|the|some|that)\b")
_CHINESE_RECOMMENDED = Bounded(
    r"(?:我|可以|那我)?(?:会|也|再|强烈|特别|给你|向你|很){0,6}(?P<verb>推荐|建议)(?:你|您|给你)?(?P<what>.+)"
)
_CHINESE_PROPOSED = Bounded(r"^(?:当然[，,])?(?:你|您)(?:也|还)?可以(?:去|试试|试着|考虑)?(?P<what>.+)")
_CHINESE_EMPTY = Bounded(
    r"[?？]|吗|需要(?:我|帮助)|有什么|随时|帮到你|一些(?:建议|推荐)$|告诉我|谢谢|感谢|我会去|你的(?:推荐|建议)|您的(?:推荐|建议)"
)

_OTHERS: dict[Language, tuple[Bounded, str]] = {
    "nl": (Bounded(r"\bik (?:zou (?:je |u )?|kan (?:je |u )?)?(?:raad(?: je| u)?|beveel(?: je| u)?)?\s?(?P<what>.+?)\s(?:aan|aanraden|aanbevelen)$", re.IGNORECASE), "Raadde {} aan"),
    "pt": (Bounded(r"\b(?:recomendo|sugiro|indico|aconselho|recomendaria)\s(?:que você |muito |a você |também )?(?P<what>.+)$", re.IGNORECASE), "Recomendou {}"),
    "vi": (Bounded(r"\b(?:mình|tôi|em|tớ)\s(?:xin\s|cũng\s|rất\s)*(?:gợi ý|đề xuất|giới thiệu|khuyên|recommend)\s(?:bạn\s|anh\s|chị\s|em\s|là\s|nên\s)*(?P<what>.+)$", re.IGNORECASE), "Đã gợi ý {}"),
    "ja": (Bounded(r"^(?:.{0,12}[、は]\s?)?(?P<what>.{2,60}?)(?:を(?:特に)?(?:おすすめ|お勧め|オススメ|お薦め|推薦)(?:し(?:ます|たい)|いたし)|が(?:おすすめ|お勧め|オススメ)(?:です|かな))"), "{}をすすめた"),
}  # fmt: skip
_OTHERS_EMPTY = Bounded(
    r"[?？]|\b(?:iets|wat dingen|algo|alguma coisa|gì đó|vài thứ)\b|^(?:dat|dit|isso|isto|điều này|それ|これ)\b",
    re.IGNORECASE,
)


def deed(sentence: str, at: datetime, language: Language = "en", *, is_person: bool = False) -> Note | None:
    """Returns what the assistant recommended, suggested or promised in a sentence, with the day; None if nothing.

    Args:
        sentence: As said.
        at: When.
        language: Of the sentence.
        is_person: Whether two people talk: then "you could …" is small talk more often than advice.
    """
    text = sentence.strip().replace("’", "'")
    if language == "zh":
        return _chinese_deed(text.rstrip("。！!"), at)
    if language != "en":
        return _other_deed(text.rstrip("。.！!"), at, language)
    if len(text) > _LONGEST or text.endswith("?") or _EMPTY.search(text):
        return None
    for done, pattern in (("Recommended", _RECOMMENDED), ("Suggested to", _PROPOSED), ("Promised to", _PROMISED)):
        match = None if is_person and pattern is _PROPOSED else pattern.search(text)
        if match is None:
            continue
        what = match["what"].strip(" .!,:")
        if len(content_words(what)) < _MIN_CONTENT or _POINTING.match(what):
            return None
        if done == "Recommended" and match["verb"].lower() != "recommend":
            done = "Suggested" if _THING.match(what) else "Suggested to"  # noqa: PLW2901
        text = f"{done} {what} (on {format_date_range(at.date(), at.date())})"
        is_promise = pattern is _PROMISED
        return Note(text, at, kind="promise" if is_promise else "advice", status="open" if is_promise else None)
    return None


def _other_deed(text: str, at: datetime, language: Language) -> Note | None:
    pattern, template = _OTHERS[language]
    match = pattern.search(text) if len(text) <= _LONGEST else None
    if match is None or _OTHERS_EMPTY.search(match["what"]):
        return None
    brackets = "（{}）" if language == "ja" else " ({})"
    text = template.format(match["what"].strip(" ,:、")) + brackets.format(format_day(at.date(), language))
    return Note(text, at, kind="advice")


def _chinese_deed(text: str, at: datetime) -> Note | None:
    if len(text) > _LONGEST or _CHINESE_EMPTY.search(text):
        return None
    match = _CHINESE_RECOMMENDED.search(text)
    verb = match["verb"] if match else "建议"
    match = match or _CHINESE_PROPOSED.match(text)
    if match is None:
        return None
    what = match["what"].strip("，,：: ")
    if len(what) < 4:  # noqa: PLR2004
        return None
    return Note(f"{verb}{what}（{at.year}年{at.month}月{at.day}日）", at, kind="advice")
