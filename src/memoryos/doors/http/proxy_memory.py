"""Selects the recalled memory that the proxy adds to a chat, best items first, within a token budget.

Messages that the chat already contains are left out.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from memoryos.generation.prompt import DATA
from memoryos.language.fence import fenced
from memoryos.language.text import content_words, estimate_tokens, fold
from memoryos.model import Page, Profile, Side
from memoryos.retrieval.recall import Quote, Recall, RecalledKnowledge, RecalledPage, Signals, line_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from memoryos.model import Attribute, Trait

__all__ = ["NAME", "OPENING", "VERSION", "fit", "memory_prompt", "recall_query", "sources_of"]

NAME = "proxy"
VERSION = "1"
OPENING = "You remember earlier conversations with this user: what helps you to answer stands in <memory>."

MAX_QUERY = 4_000
"""Maximum number of characters of a recall query. Of a longer message, only the beginning and the end are used."""
MIN_EXCERPT = 125
MAX_EXCERPT = 8_000
SHARE_OF_ATTRIBUTES = 0.25
SHARE_OF_FACTS = 0.5
"""Before pages, facts are added until this share of the token budget is used (attributes: ``SHARE_OF_ATTRIBUTES``).

After the pages, the remaining attributes and facts may use the rest of the budget.
"""
MIN_WORD = 3
MAX_CHAT = 1_000_000
"""The words of an answer are searched only in this many characters at the end of a chat."""
MAX_PART = 16
"""Maximum length of a non-ASCII word that is also searched inside longer words of the chat, in characters."""
_WORD = re.compile(r"(\w+)(['’](?=\w))?")
LINE_NUMBER_TOKENS = 1.5
"""Maximum number of tokens for the number of a page in the prompt, plus the blank line before a heading."""


def recall_query(message: str) -> str:
    """Returns the recall query for a message: the message, or its beginning and end if it is long."""
    if len(message) <= MAX_QUERY:
        return message
    half = MAX_QUERY // 2
    return f"{message[:half]}\n{message[-half:]}"


def memory_prompt(shown: Recall, max_tokens: int) -> str:
    """Returns the text of a system message with the recalled memory, which is marked as data."""
    record = shown.to_prompt(numbered=True, longest_utterance=_max_utterance(max_tokens))
    return "\n\n".join([OPENING, DATA.format(tags="<memory>"), fenced("memory", record)])


def fit(recall: Recall, chat_texts: frozenset[tuple[str, str]], max_tokens: int) -> Recall | None:
    """Returns the part of a recall that the proxy adds to a chat; None if no item fits into the token budget.

    Args:
        recall: The recall for the question. Pages of short-term memory are ranked like all others, because they may
            come from another chat.
        chat_texts: Role and text of each message of the chat. Recalled messages that the chat contains are left out.
        max_tokens: Maximum size of the system message in estimated tokens.
    """
    packer = _Packer(recall.query, max_tokens)
    profile = recall.profile
    packer.add_attributes(profile.attributes, SHARE_OF_ATTRIBUTES)
    packer.add_knowledge(recall.knowledge, SHARE_OF_FACTS)
    packer.add_pages(_pages(recall, chat_texts))
    packer.add_attributes(profile.attributes, 1.0)
    packer.add_knowledge(recall.knowledge, 1.0)
    packer.add_traits(profile.traits)
    shown = packer.shown
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
        yield "\n".join(map(each.page.text, each.shown)), [each.page.page_id]
    for entry in shown.knowledge:
        yield entry.text, entry.source_page_ids
    for attribute in shown.profile.attributes:
        yield attribute.value, attribute.source_page_ids
    for trait in shown.profile.traits:
        yield trait.reason, trait.evidence_page_ids


class _Packer:
    """Selects recalled items until a token budget is used. An item that does not fit is skipped."""

    def __init__(self, query: str, max_tokens: int) -> None:
        self.shown = Recall(query)
        self._max_tokens = max_tokens
        frame = memory_prompt(self.shown, max_tokens)
        self._used_tokens = estimate_tokens(frame)
        self._counted_lines = set(frame.splitlines())

    def add_attributes(self, attributes: Iterable[Attribute], share: float) -> None:
        for each in attributes:
            profile = self.shown.profile
            if each not in profile.attributes and self._count(self._single(profile=Profile(attributes=(each,))), share):
                self._add(profile=replace(profile, attributes=(*profile.attributes, each)))

    def add_knowledge(self, entries: Iterable[RecalledKnowledge], share: float) -> None:
        for each in entries:
            if each not in self.shown.knowledge and self._count(self._single(knowledge=(each,)), share):
                self._add(knowledge=(*self.shown.knowledge, each))

    def add_pages(self, pages: Iterable[RecalledPage]) -> None:
        """Adds each page that fits. If both messages don't fit together, adds the first message that fits alone."""
        for each in pages:
            for sides in dict.fromkeys([each.shown, *((side,) for side in each.shown)]):
                page = replace(each, shown=sides)
                if self._count(self._single(pages=(page,))):
                    self._add(pages=(*self.shown.pages, page))
                    break

    def add_traits(self, traits: Iterable[Trait]) -> None:
        for each in traits:
            if self._count(self._single(profile=Profile(traits=(each,)))):
                self._add(profile=replace(self.shown.profile, traits=(*self.shown.profile.traits, each)))

    def _single(self, **parts: Any) -> Recall:
        """Returns a recall that contains only one item."""
        return Recall(self.shown.query, **parts)

    def _add(self, **parts: Any) -> None:
        self.shown = replace(self.shown, **parts)

    def _count(self, item: Recall, share: float = 1.0) -> bool:
        """Adds the tokens of an item to the used tokens if they fit into a share of the budget.

        Returns:
            Whether the item fits.
        """
        lines = self._new_lines(item)
        tokens = sum(map(line_tokens, lines)) + LINE_NUMBER_TOKENS
        if self._used_tokens + tokens > self._max_tokens * share:
            return False
        self._used_tokens += tokens
        self._counted_lines.update(filter(_is_heading, lines))
        return True

    def _new_lines(self, item: Recall) -> list[str]:
        """Returns the prompt lines of an item, without lines that are already counted (e.g. repeated headings)."""
        lines = memory_prompt(item, self._max_tokens).splitlines()
        return [line for line in lines if line not in self._counted_lines]


def _is_heading(line: str) -> bool:
    """Returns whether a prompt line is the heading of a section ("# …") or of a day ("[…")."""
    return line.startswith(("# ", "["))


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
            ranked[page.page_id] = RecalledPage(page, page.speaking(), quote.score, quote.signals)
        else:
            unranked.append(RecalledPage(page, page.speaking(), 0.0, Signals()))
    for page_id, quote in best.items():
        ranked.setdefault(page_id, _page_of(quote))
    found = [*sorted(ranked.values(), key=lambda each: -each.score), *unranked]
    candidates = [replace(each, shown=_sides_not_in_chat(each, chat_texts)) for each in found]
    return [each for each in candidates if each.shown]


def _page_of(quote: Quote) -> RecalledPage:
    """Returns a page that contains only the quoted message.

    Such a message was too long for the recalled pages. The prompt will contain an excerpt of it.
    """
    of = quote.utterance
    text, name = {of.side: of.text}, {of.side: None if of.speaker == of.side else of.speaker}
    page = Page(
        page_id=of.page_id, seq=of.seq, at=of.at, user_text=text.get("user", ""),
        assistant_text=text.get("assistant", ""), user_name=name.get("user"), assistant_name=name.get("assistant"),
    )  # fmt: skip
    return RecalledPage(page, (of.side,), quote.score, quote.signals)


def _sides_not_in_chat(found: RecalledPage, chat_texts: frozenset[tuple[str, str]]) -> tuple[Side, ...]:
    return tuple(side for side in found.shown if (side, found.page.text(side).strip()) not in chat_texts)


def _max_utterance(max_tokens: int) -> int:
    return min(max(max_tokens, MIN_EXCERPT), MAX_EXCERPT)
