"""Selects the recalled memory that the proxy adds to a chat, best items first, within a token budget.

Messages that the chat already contains are left out.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from memoryos.generation.prompt import DATA
from memoryos.language.fence import fenced
from memoryos.language.text import content_words, estimate_tokens, fold
from memoryos.retrieval.excerpts import whole_page
from memoryos.retrieval.recall import Recall, RecalledPage, Signals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memoryos.model import Page
    from memoryos.retrieval.excerpts import Span
    from memoryos.retrieval.recall import Quote

__all__ = ["NAME", "OPENING", "VERSION", "fit", "memory_prompt", "recall_query", "sources_of"]

NAME = "proxy"
VERSION = "1"
OPENING = "You remember earlier conversations with this user: what helps you to answer stands in <memory>."

MAX_QUERY = 4_000
"""Maximum number of characters of a recall query. Of a longer message, only the beginning and the end are used."""
UNRANKED_SCORE = float("-inf")
"""Score of the pages of short-term memory that the ranking did not find. They are added last."""
MIN_WORD = 3
MAX_CHAT = 1_000_000
"""The words of an answer are searched only in this many characters at the end of a chat."""
MAX_PART = 16
"""Maximum length of a non-ASCII word that is also searched inside longer words of the chat, in characters."""
_WORD = re.compile(r"(\w+)(['’](?=\w))?")


def recall_query(message: str) -> str:
    """Returns the recall query for a message: the message, or its beginning and end if it is long."""
    if len(message) <= MAX_QUERY:
        return message
    half = MAX_QUERY // 2
    return f"{message[:half]}\n{message[-half:]}"


def memory_prompt(shown: Recall) -> str:
    """Returns the text of a system message with the recalled memory, which is marked as data."""
    return "\n\n".join([OPENING, DATA.format(tags="<memory>"), fenced("memory", shown.to_prompt(numbered=True))])


def fit(recall: Recall, chat_texts: frozenset[tuple[str, str]], max_tokens: int) -> Recall | None:
    """Returns the part of a recall that the proxy adds to a chat; None if no item fits into the token budget.

    Args:
        recall: The recall for the question. Pages of short-term memory are ranked like all others, because they may
            come from another chat.
        chat_texts: Role and text of each message of the chat. Recalled messages that the chat contains are left out.
        max_tokens: Maximum size of the system message in estimated tokens.
    """
    candidates = replace(recall, pages=tuple(_pages(recall, chat_texts)), short_term=(), excerpts={})
    frame = memory_prompt(Recall(recall.query))
    budget = max_tokens
    while True:
        shown = candidates.fitted(budget, frame=frame, numbered=True)
        excess = math.ceil(estimate_tokens(memory_prompt(shown)) - max_tokens)
        if excess <= 0 or budget <= 0:
            break
        budget -= excess  # the fence escapes some characters
    is_empty = not (shown.pages or shown.knowledge or shown.profile.attributes or shown.profile.traits)
    return None if is_empty else shown


def sources_of(answer: str, shown: Recall, chat: str) -> list[str]:
    """Returns the ids of the pages on which an answer is probably based.

    If one of these pages is forgotten later, the answer is deleted, too. LLM endpoints do not report sources, so the
    words are compared: a page counts as a source if it and the answer share a word that the chat does not contain.
    (``EchoFinder`` works differently: when pages are forgotten, it searches all remaining answers for their content.)

    Args:
        answer: The answer of the LLM.
        shown: The recalled memory that the proxy added to the chat.
        chat: The texts of the chat, without the added memory.
    """
    words = {word for word in content_words(answer) if len(word) >= MIN_WORD or not word.isalpha()}
    new_words = words - _words_in_chat(chat[-MAX_CHAT:], words)
    found: list[str] = []
    for text, page_ids in _shown_texts(shown):
        if not new_words.isdisjoint(content_words(text)):
            found += page_ids
    return list(dict.fromkeys(found))


def _words_in_chat(chat: str, words: set[str]) -> set[str]:
    """Returns those of the given words that a chat contains.

    An ASCII word must be a whole word of the chat. Other words may be parts of words, because some languages write no
    spaces between words. The time is proportional to the length of the chat and to the number of different lengths of
    non-ASCII words.
    """
    folded = fold(chat)
    runs = [(run[1], run[2]) for run in _WORD.finditer(folded)]
    words_in_chat = {run for run, _ in runs}
    words_in_chat.update(f"{first}{mark}{second}" for (first, mark), (second, _) in pairwise(runs) if mark)
    non_ascii = {word for word in words if not word.isascii()}
    for length in {len(word) for word in non_ascii if len(word) <= MAX_PART}:
        pieces = (folded[at : at + length] for at in range(len(folded) - length + 1))
        words_in_chat.update(non_ascii.intersection(pieces))
    return words & words_in_chat


def _shown_texts(shown: Recall) -> Iterator[tuple[str, Sequence[str]]]:
    for each in shown.pages:
        yield "\n".join(map(each.text, each.sides)), [each.page.page_id]
    for entry in shown.knowledge:
        yield entry.text, entry.source_page_ids
    for attribute in shown.profile.attributes:
        yield attribute.value, attribute.source_page_ids
    for trait in shown.profile.traits:
        yield trait.reason, trait.evidence_page_ids


def _pages(recall: Recall, chat_texts: frozenset[tuple[str, str]]) -> list[RecalledPage]:
    """Returns the pages that may be added: ranked pages, best first, then unranked pages of short-term memory.

    The unranked pages are sorted from newest to oldest.
    """
    best: dict[str, Quote] = {}
    for quote in recall.quotes:
        best.setdefault(quote.utterance.page_id, quote)
    ranked = {each.page.page_id: each for each in recall.pages}
    unranked: list[RecalledPage] = []
    for page in reversed(recall.short_term):
        if page.page_id in best:
            quote = best[page.page_id]
            ranked[page.page_id] = RecalledPage(page, _scored(page, quote), quote.score, quote.signals)
        else:
            unranked.append(RecalledPage(page, _scored(page), 0.0, Signals()))
    found = [*sorted(ranked.values(), key=lambda each: -each.score), *unranked]
    candidates = [replace(each, shown=_not_in_chat(each, chat_texts)) for each in found]
    return [each for each in candidates if each.shown]


def _scored(page: Page, quote: Quote | None = None) -> tuple[Span, ...]:
    """Returns the spans of a whole page, and that of the quoted passage inside it, in the order of the text.

    The rest of the page scores lower than the quoted passage.
    """
    score = UNRANKED_SCORE if quote is None else quote.score - 1
    spans = [replace(span, score=score) for span in whole_page(page)]
    spans += [quote.span] if quote is not None and quote.span is not None else []
    return tuple(sorted(spans, key=lambda each: (each.side != "user", each.start, each.end)))


def _not_in_chat(found: RecalledPage, chat_texts: frozenset[tuple[str, str]]) -> tuple[Span, ...]:
    known = [side for side in found.sides if (side, found.page.text(side).strip()) in chat_texts]
    return tuple(span for span in found.shown if span.side not in known)
