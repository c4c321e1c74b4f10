"""Quoting: the local analyst's answer is the best-matching memory, word for word, with its date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.analysts.answer_words import ATTRIBUTE_QUESTIONS, PHRASES, retold
from memoryos.analysts.attributes import statements
from memoryos.analysts.grouping import is_small_talk
from memoryos.language.date_phrases import format_day
from memoryos.language.languages import language_of
from memoryos.language.text import content_words, fold, sentences, terms
from memoryos.seams import Reply
from memoryos.slots import slot_named

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from memoryos.analysts.answer_words import Phrases
    from memoryos.language.languages import Language
    from memoryos.retrieval.recall import Quote, Recall

__all__ = ["quote_answer"]

MIN_COSINE = 0.35
"""A memory that shares no content word with the question must be as near as this to it."""
LONGEST_QUOTE = 400
LONGEST_READ = 4_000
FACT_ADVANTAGE = 0.25

_ASKING = frozenset(
    (
        "remember recall know tell mention mentioned recommend recommended said told 记得 还记 曾经 "
        "weet herinner herinneren vertelde aangeraden lembra lembrar recorda sabe disse nho biet"
    ).split()
)
"""What a question about memory says of itself."""


def quote_answer(query: str, recall: Recall) -> Reply:
    """Returns the answer: a profile attribute or a knowledge entry where one fits, else the best utterance, quoted."""
    language = language_of(query) or _language_of_memory(recall)
    phrases = PHRASES[language]
    asked = (frozenset(content_words(query)) or frozenset(terms(query))) - _ASKING
    dates = {page.page_id: page.day for page in recall.short_term}
    dates |= {each.page.page_id: each.page.day for each in recall.pages}
    dates |= {each.utterance.page_id: each.utterance.day for each in recall.quotes}
    attribute = _attribute(query, recall, phrases)
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


def _attribute(query: str, recall: Recall, phrases: Phrases) -> tuple[str, tuple[str, ...]] | None:
    for name, pattern in ATTRIBUTE_QUESTIONS:
        if pattern.search(query):
            for each in recall.profile.attributes:
                if each.name == slot_named(name):
                    return f"{phrases.attributes[name]}: {each.value}", each.source_page_ids
    return None


def _states_what_is_asked(query: str, quote: Quote) -> bool:
    utterance = quote.utterance
    names = {name for name, pattern in ATTRIBUTE_QUESTIONS if pattern.search(query)}
    if not names or utterance.side != "user":
        return False
    said = [
        each.name
        for sentence in sentences(utterance.text[:LONGEST_READ])
        for each in statements(sentence, utterance.local_at)
    ]
    return not names.isdisjoint(said)


def _best_quote(query: str, asked: frozenset[str], recall: Recall) -> Quote | None:
    fitting: list[tuple[int, int, Quote]] = []
    for rank, quote in enumerate(recall.quotes):
        text = quote.utterance.text
        if fold(text).strip() == fold(query).strip() or is_small_talk(text) or _told_again(quote) == "":
            continue
        if _states_what_is_asked(query, quote):
            fitting.append((-1, rank, quote))
            continue
        shared = _share(asked, text)
        if shared == 0 and quote.cosine < MIN_COSINE:
            continue
        fitting.append((int(_is_asking(asked, text)), rank, quote))
    ordered = [quote for _, _, quote in sorted(fitting, key=lambda each: each[:2])]
    return _original(ordered) if ordered else None


def _original(ordered: Sequence[Quote]) -> Quote:
    """Returns the first one, or what it tells again where that was found too."""
    told = _told_again(ordered[0])
    if told is None:
        return ordered[0]
    words = " ".join(told.rstrip("…").split())
    others = (each for each in ordered if _told_again(each) is None)
    return next((each for each in others if words in " ".join(each.utterance.text.split())), ordered[0])


def _told_again(quote: Quote) -> str | None:
    """Returns what an earlier answer like these tells, None if the utterance is none."""
    return retold(quote.utterance.text) if quote.utterance.side == "assistant" else None


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


def _quoted(quote: Quote, asked: frozenset[str], phrases: Phrases, language: Language) -> str:
    utterance = quote.utterance
    if _told_again(quote):
        return _innermost(utterance.text.strip())
    speaker = {"user": phrases.user, "assistant": phrases.assistant}.get(utterance.speaker, utterance.speaker)
    return phrases.said.format(
        date=_when(utterance.day, language), speaker=speaker, text=_passage(utterance.text, asked)
    )


def _innermost(answer: str) -> str:
    """Returns the answer that an answer tells again, however often that was done."""
    while (told := retold(answer)) and retold(told):
        answer = told
    return answer


def _passage(text: str, asked: frozenset[str]) -> str:
    if len(text) <= LONGEST_QUOTE:
        return " ".join(text.split())
    pieces = sentences(text)
    best = max(range(len(pieces)), key=lambda index: (_share(asked, pieces[index]), -index))
    passage = " ".join(pieces[best : best + 2])
    return passage if len(passage) <= LONGEST_QUOTE else f"{passage[:LONGEST_QUOTE]}…"


def _when(day: date | None, language: Language) -> str:
    return PHRASES[language].earlier if day is None else format_day(day, language)


def _language_of_memory(recall: Recall) -> Language:
    """Returns the language of what is remembered, for a query that does not tell, as a name alone."""
    said = (language_of(quote.utterance.text) for quote in recall.quotes)
    return next((each for each in said if each is not None), "en")
