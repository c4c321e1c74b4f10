"""The words around what the local analyst quotes, and the questions that an attribute answers, in each language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from memoryos.language.languages import Language

__all__ = ["ATTRIBUTE_QUESTIONS", "PHRASES", "Phrases", "retold"]

ATTRIBUTE_QUESTIONS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(rule, re.IGNORECASE))
    for name, rule in (
        ("name", r"\bmy name\b|我(?:叫什么|的名字)|\bhoe heet ik\b|\bmijn (?:eigen )?naam\b|\bmeu nome\b|\bcomo (?:eu )?me chamo\b|\b(?:tôi|mình|em|toi|minh) tên (?:là )?gì\b|\btên (?:của )?(?:tôi|mình|em)\b|(?:私|僕|俺|わたし)の名前"),
        ("home", r"\bwhere (?:do|did) i live\b|\bmy (?:home|city)\b|我住在?哪|\bwaar woon ik\b|\bmijn woonplaats\b|\bonde (?:é que )?(?:eu )?(?:moro|vivo)\b|\b(?:tôi|mình|em|toi|minh) (?:đang |hiện )*(?:sống|ở|song) (?:ở )?(?:đâu|dau|thành phố nào)\b|(?:私|僕|俺|わたし)は?どこに住んで"),
        ("job", r"\bmy (?:job|occupation|profession)\b|\bdo i (?:work|do for a living)\b|我的?(?:工作|职业)|\bmijn (?:werk|beroep|baan)\b|\bwat doe ik voor werk\b|\bminha profissão\b|\bmeu (?:trabalho|emprego)\b|\b(?:com o que|em que|onde) (?:eu )?trabalho\b|\b(?:tôi|mình|em) làm (?:nghề|việc|công việc) gì\b|\b(?:nghề|công việc) (?:của )?(?:tôi|mình|em)\b|(?:私|僕|俺|わたし)の(?:仕事|職業)"),
        ("birth_year", r"\bhow old am i\b|\bmy (?:age|birth year)\b|我(?:多大|几岁)|\bhoe oud ben ik\b|\bmijn leeftijd\b|\bquantos anos (?:eu )?tenho\b|\bminha idade\b|\b(?:tôi|mình|em) bao nhiêu tuổi\b|(?:私|僕|俺|わたし)は?(?:何歳|いくつ)|(?:私|僕|俺)の(?:年齢|歳)"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Phrases:
    """What is said around a quotation in one language.

    Attributes:
        said: Introduces the words of an utterance.
        known: Introduces what was noted.
        nothing: Says that nothing is remembered.
        user: The user, as whoever answers calls them.
        assistant: Whoever answers.
        earlier: Stands for a day that is not known.
        attributes: What those of ``ATTRIBUTE_QUESTIONS`` are called.
    """

    said: str
    known: str
    nothing: str
    user: str
    assistant: str
    earlier: str
    attributes: Mapping[str, str]


def _called(name: str, home: str, job: str, birth_year: str) -> dict[str, str]:
    return {"name": name, "home": home, "job": job, "birth_year": birth_year}


PHRASES: dict[Language, Phrases] = {
    "en": Phrases(
        'I remember this, quoting our conversation of {date}: {speaker} said, "{text}"',
        "I remember this, noted from our conversation of {date}: {text}.",
        "I don't remember anything about that.",
        "you", "I", "earlier", _called("name", "home", "job", "birth year"),
    ),
    "nl": Phrases(
        "Dit herinner ik me, uit ons gesprek van {date}: {speaker} zei: “{text}”",
        "Dit herinner ik me, genoteerd uit ons gesprek van {date}: {text}.",
        "Daar herinner ik me niets over.",
        "je", "ik", "eerder", _called("naam", "woonplaats", "werk", "geboortejaar"),
    ),
    "ja": Phrases(
        "{date}の会話から引用します。{speaker}はこう言いました：「{text}」",
        "{date}の会話から覚えていること：{text}。",
        "それについては何も覚えていません。",
        "あなた", "私", "以前", _called("名前", "住まい", "仕事", "生まれた年"),
    ),
    "pt": Phrases(
        "Lembro-me disto, da nossa conversa de {date}: {speaker} disse: “{text}”",
        "Lembro-me disto, anotado da nossa conversa de {date}: {text}.",
        "Não me lembro de nada sobre isso.",
        "você", "eu", "antes", _called("nome", "casa", "trabalho", "ano de nascimento"),
    ),
    "vi": Phrases(
        "Tôi nhớ điều này, trích cuộc trò chuyện của chúng ta {date}: {speaker} đã nói: “{text}”",
        "Tôi nhớ điều này, ghi lại từ cuộc trò chuyện của chúng ta {date}: {text}.",
        "Tôi không nhớ gì về điều đó.",
        "bạn", "tôi", "trước đây", _called("tên", "nơi ở", "công việc", "năm sinh"),
    ),
    "zh": Phrases(
        "我记得，引用我们{date}的对话：{speaker}说过：“{text}”",
        "我记得，这是我从{date}的对话中记下的：{text}。",
        "关于这件事，我没有任何记忆。",
        "你", "我", "之前", _called("名字", "住处", "工作", "出生年份"),
    ),
}  # fmt: skip

_LONGEST = {"date": 60, "speaker": 120, "text": 2_000}
"""Characters that each part of a phrase has at most where an answer is read back."""
_RETOLD = tuple(phrase for each in PHRASES.values() for phrase in (each.said, each.known))
_NOTHING = frozenset(each.nothing for each in PHRASES.values())


def retold(text: str) -> str | None:
    """Returns what an answer that was given in these phrases tells, "" if it tells nothing; None for any other text."""
    answer = text.strip()
    if answer in _NOTHING:
        return ""
    found = (_read_back(phrase, answer) for phrase in _RETOLD)
    return next((each for each in found if each is not None), None)


def _read_back(phrase: str, answer: str) -> str | None:
    """Returns what stands in the place of {text}, the last gap of a phrase; None if the answer has another form."""
    head, *gaps = [(before, name) for before, name, _, _ in Formatter().parse(phrase)]
    end = gaps[-1][0]
    if not answer.startswith(head[0]) or not answer.endswith(end):
        return None
    at, name = len(head[0]), head[1]
    for before, next_name in gaps[:-1]:
        found = answer.find(before, at + 1, at + _LONGEST[str(name)] + len(before))
        if found == -1 or "\n" in answer[at:found]:
            return None
        at, name = found + len(before), next_name
    told = answer[at : len(answer) - len(end)]
    return told if 0 < len(told) <= _LONGEST["text"] else None
