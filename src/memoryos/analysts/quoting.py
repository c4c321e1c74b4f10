"""Quoting: the local analyst's answer is the best-matching memory, word for word, with its date."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.analysts.attributes import statements
from memoryos.analysts.digesting import is_small_talk
from memoryos.language.dates import spoken
from memoryos.language.text import content_words, fold, sentences, terms
from memoryos.seams import Reply

if TYPE_CHECKING:
    from datetime import date

    from memoryos.retrieval.recall import Quote, Recall

__all__ = ["quote_answer"]

MIN_COSINE = 0.35
"""A memory that shares no content word with the question must be as near as this to it."""
LONGEST_QUOTE = 400
LONGEST_READ = 4_000
FACT_ADVANTAGE = 0.25

_ATTRIBUTE_QUESTIONS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("name", re.compile(r"\bmy name\b|我(?:叫什么|的名字)", re.IGNORECASE)),
    ("home", re.compile(r"\bwhere (?:do|did) i live\b|\bmy (?:home|city)\b|我住在?哪", re.IGNORECASE)),
    (
        "job",
        re.compile(
            r"\bmy (?:job|occupation|profession)\b|\bdo i (?:work|do for a living)\b|我的?(?:工作|职业)", re.IGNORECASE
        ),
    ),
    ("birth_year", re.compile(r"\bhow old am i\b|\bmy (?:age|birth year)\b|我(?:多大|几岁)", re.IGNORECASE)),
)
_ASKING = frozenset(
    "remember recall know tell mention mentioned recommend recommended said told 记得 还记 曾经".split()
)
"""What a question about memory says of itself."""
_JAPANESE = re.compile("[\u3040-\u30ff]")
_CHINESE = re.compile("[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class _Phrases:
    said: str
    known: str
    nothing: str
    user: str
    assistant: str


_PHRASES = {
    "en": _Phrases(
        'I remember this, quoting our conversation of {date}: {speaker} said, "{text}"',
        "I remember this, noted from our conversation of {date}: {text}.",
        "I don't remember anything about that.",
        "you",
        "I",
    ),
    "zh": _Phrases(
        "我记得，引用我们{date}的对话：{speaker}说过：“{text}”",
        "我记得，这是我从{date}的对话中记下的：{text}。",
        "关于这件事，我没有任何记忆。",
        "你",
        "我",
    ),
    "ja": _Phrases(
        "{date}の会話から引用します。{speaker}はこう言いました：「{text}」",
        "{date}の会話から覚えていること：{text}。",
        "それについては何も覚えていません。",
        "あなた",
        "私",
    ),
}


def quote_answer(query: str, recall: Recall) -> Reply:
    """Returns the answer: a profile attribute or a knowledge entry where one fits, else the best utterance, quoted."""
    language = "ja" if _JAPANESE.search(query) else "zh" if _CHINESE.search(query) else "en"
    phrases = _PHRASES[language]
    asked = (frozenset(content_words(query)) or frozenset(terms(query))) - _ASKING
    dates = {page.page_id: page.at.date() for page in recall.short_term}
    dates |= {each.page.page_id: each.page.at.date() for each in recall.pages}
    dates |= {each.utterance.page_id: each.utterance.at.date() for each in recall.quotes}
    attribute = _attribute(query, recall)
    quote = _best_quote(query, asked, recall)
    fact = _best_fact(asked, recall)
    if attribute is not None and attribute[1]:
        text, sources = attribute
        when = _when(min((dates[each] for each in sources if each in dates), default=None), language)
        return Reply(iter([phrases.known.format(date=when, text=text)]), lambda: sources)
    if fact is not None and (quote is None or fact[0] > _share(asked, quote.utterance.text) + FACT_ADVANTAGE):
        _, text, sources, day = fact
        when = _when(min((dates[each] for each in sources if each in dates), default=day), language)
        return Reply(iter([phrases.known.format(date=when, text=text.rstrip(".。"))]), lambda: sources)
    if quote is None:
        return Reply(iter([phrases.nothing]))
    return Reply(iter([_quoted(quote, asked, phrases, language)]), lambda: (quote.utterance.page_id,))


def _attribute(query: str, recall: Recall) -> tuple[str, tuple[str, ...]] | None:
    for name, pattern in _ATTRIBUTE_QUESTIONS:
        if pattern.search(query):
            for each in recall.profile.attributes:
                if each.name == name:
                    return f"{name.replace('_', ' ')}: {each.value}", each.source_page_ids
    return None


def _states_what_is_asked(query: str, quote: Quote) -> bool:
    utterance = quote.utterance
    names = {name for name, pattern in _ATTRIBUTE_QUESTIONS if pattern.search(query)}
    if not names or utterance.side != "user":
        return False
    said = [
        each.name
        for sentence in sentences(utterance.text[:LONGEST_READ])
        for each in statements(sentence, utterance.at)
    ]
    return not names.isdisjoint(said)


def _best_quote(query: str, asked: frozenset[str], recall: Recall) -> Quote | None:
    fitting: list[tuple[int, int, Quote]] = []
    for rank, quote in enumerate(recall.quotes):
        text = quote.utterance.text
        if fold(text).strip() == fold(query).strip() or is_small_talk(text):
            continue
        if _states_what_is_asked(query, quote):
            fitting.append((-1, rank, quote))
            continue
        shared = _share(asked, text)
        if shared == 0 and quote.cosine < MIN_COSINE:
            continue
        fitting.append((int(_is_asking(asked, text)), rank, quote))
    return min(fitting, key=lambda each: each[:2])[2] if fitting else None


def _is_asking(asked: frozenset[str], text: str) -> bool:
    """Returns whether what matches best in a text is a question itself."""
    pieces = sentences(text[:LONGEST_READ])
    best = max(pieces, key=lambda piece: _share(asked, piece), default="")
    return best.endswith(("?", "？"))


def _best_fact(asked: frozenset[str], recall: Recall) -> tuple[float, str, tuple[str, ...], date] | None:
    facts = [
        (_share(asked, each.text), -rank, each.text, each.source_page_ids, each.knowledge.recorded_at.date())
        for rank, each in enumerate(recall.knowledge)
    ]
    facts = [each for each in facts if each[0] > 0]
    if not facts:
        return None
    share, _, text, sources, day = max(facts, key=lambda each: each[:2])
    return share, text, sources, day


def _share(asked: frozenset[str], text: str) -> float:
    stems = set(terms(" ".join(asked)))
    return len(stems.intersection(terms(text[:20_000]))) / max(1, len(stems))


def _quoted(quote: Quote, asked: frozenset[str], phrases: _Phrases, language: str) -> str:
    utterance = quote.utterance
    speaker = {"user": phrases.user, "assistant": phrases.assistant}.get(utterance.speaker, utterance.speaker)
    return phrases.said.format(
        date=_when(utterance.at.date(), language), speaker=speaker, text=_passage(utterance.text, asked)
    )


def _passage(text: str, asked: frozenset[str]) -> str:
    if len(text) <= LONGEST_QUOTE:
        return " ".join(text.split())
    pieces = sentences(text)
    best = max(range(len(pieces)), key=lambda index: (_share(asked, pieces[index]), -index))
    passage = " ".join(pieces[best : best + 2])
    return passage if len(passage) <= LONGEST_QUOTE else f"{passage[:LONGEST_QUOTE]}…"


def _when(day: date | None, language: str) -> str:
    if day is None:
        return {"en": "earlier", "zh": "之前", "ja": "以前"}[language]
    return spoken(day, day) if language == "en" else f"{day.year}年{day.month}月{day.day}日"
