"""What of a recall goes into a chat that passes the proxy: what the chat does not hold, best first, while it fits."""

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

__all__ = ["NAME", "OPENING", "VERSION", "fit", "memory_prompt", "question", "sources_of"]

NAME = "proxy"
VERSION = "1"
OPENING = "You remember earlier conversations with this user: what helps you to answer stands in <memory>."

LONGEST_QUESTION = 4_000
"""Characters by which a longer message is looked up: its first and its last, where people say what they want."""
SHORTEST_EXCERPT = 125
LONGEST_EXCERPT = 8_000
SHARE_OF_ATTRIBUTES = 0.25
SHARE_OF_FACTS = 0.5
"""Of the tokens, that attributes and facts may take before pages; what pages leave they may take as well."""
SHORTEST_WORD = 3
LONGEST_CHAT = 1_000_000
"""Characters of a chat, its last ones, in which the words of an answer are looked for."""
LONGEST_PART = 16
"""A longer word that is not ASCII is looked for as a whole word only."""
_WORD = re.compile(r"(\w+)(['’](?=\w))?")
LINE_NUMBER_TOKENS = 1.5
"""What the number of a page and the blank line above a heading add at most."""


def question(asked: str) -> str:
    """Returns the words by which a message is looked up."""
    if len(asked) <= LONGEST_QUESTION:
        return asked
    half = LONGEST_QUESTION // 2
    return f"{asked[:half]}\n{asked[-half:]}"


def memory_prompt(shown: Recall, max_tokens: int) -> str:
    """Returns the system message that shows what is remembered, fenced as a record."""
    record = shown.to_prompt(numbered=True, longest_utterance=_longest(max_tokens))
    return "\n\n".join([OPENING, DATA.format(tags="<memory>"), fenced("memory", record)])


def fit(recall: Recall, said: frozenset[tuple[str, str]], max_tokens: int) -> Recall | None:
    """Returns the part of a recall that a chat is shown; None if there is nothing to show, or no room.

    Args:
        recall: What is remembered for the question. Pages of the short-term window are ranked among the others: this
            chat may not be the one that they stem from.
        said: Role and text of each message of the chat; what was said there is not shown again.
        max_tokens: Estimated tokens of the whole system message at most.
    """
    room = _Room(recall.query, max_tokens)
    profile = recall.profile
    room.add_attributes(profile.attributes, SHARE_OF_ATTRIBUTES)
    room.add_knowledge(recall.knowledge, SHARE_OF_FACTS)
    room.add_pages(_pages(recall, said))
    room.add_attributes(profile.attributes, 1.0)
    room.add_knowledge(recall.knowledge, 1.0)
    room.add_traits(profile.traits)
    shown = room.shown
    is_empty = not (shown.pages or shown.knowledge or shown.profile.attributes or shown.profile.traits)
    return None if is_empty else shown


def sources_of(answer: str, shown: Recall, chat: str) -> list[str]:
    """Returns ids of the pages that an answer seems to be based on, by which forgetting them finds the answer.

    They are those that brought a word into it that the chat itself does not hold: an endpoint does not say what it has
    used.
    """
    told = {word for word in content_words(answer) if len(word) >= SHORTEST_WORD or not word.isalpha()}
    fresh = told - _said_in(chat[-LONGEST_CHAT:], told)
    found: list[str] = []
    for text, page_ids in _shown_texts(shown):
        if not fresh.isdisjoint(content_words(text)):
            found += page_ids
    return list(dict.fromkeys(found))


def _said_in(chat: str, words: set[str]) -> set[str]:
    """Returns the words that a chat holds: ASCII ones as whole words, others anywhere, as not all languages use spaces.

    The chat is read once for each length of words that are not ASCII, however many words there are.
    """
    folded = fold(chat)
    runs = [(run[1], run[2]) for run in _WORD.finditer(folded)]
    said = {run for run, _ in runs}
    said.update(f"{one}{mark}{other}" for (one, mark), (other, _) in pairwise(runs) if mark)
    others = {word for word in words if not word.isascii()}
    for length in {len(word) for word in others if len(word) <= LONGEST_PART}:
        pieces = (folded[at : at + length] for at in range(len(folded) - length + 1))
        said.update(others.intersection(pieces))
    return words & said


def _shown_texts(shown: Recall) -> Iterator[tuple[str, Sequence[str]]]:
    for each in shown.pages:
        yield "\n".join(map(each.page.text, each.shown)), [each.page.page_id]
    for entry in shown.knowledge:
        yield entry.text, entry.source_page_ids
    for attribute in shown.profile.attributes:
        yield attribute.value, attribute.source_page_ids
    for trait in shown.profile.traits:
        yield trait.reason, trait.evidence_page_ids


class _Room:
    """Takes what fits into so many tokens; what does not is passed over, and the next may."""

    def __init__(self, query: str, max_tokens: int) -> None:
        self.shown = Recall(query)
        self._max_tokens = max_tokens
        frame = memory_prompt(self.shown, max_tokens)
        self._used = estimate_tokens(frame)
        self._headings = set(frame.splitlines())

    def add_attributes(self, attributes: Iterable[Attribute], share: float) -> None:
        for each in attributes:
            profile = self.shown.profile
            if each not in profile.attributes and self._fits(share, profile=Profile(attributes=(each,))):
                self._widen(profile=replace(profile, attributes=(*profile.attributes, each)))

    def add_knowledge(self, entries: Iterable[RecalledKnowledge], share: float) -> None:
        for each in entries:
            if each not in self.shown.knowledge and self._fits(share, knowledge=(each,)):
                self._widen(knowledge=(*self.shown.knowledge, each))

    def add_pages(self, found: Iterable[RecalledPage]) -> None:
        for each in found:
            for sides in dict.fromkeys([each.shown, *((side,) for side in each.shown)]):
                page = replace(each, shown=sides)
                if self._fits(1.0, pages=(page,)):
                    self._widen(pages=(*self.shown.pages, page))
                    break

    def add_traits(self, traits: Iterable[Trait]) -> None:
        for each in traits:
            if self._fits(1.0, profile=Profile(traits=(each,))):
                self._widen(profile=replace(self.shown.profile, traits=(*self.shown.profile.traits, each)))

    def _widen(self, **parts: Any) -> None:
        self.shown = replace(self.shown, **parts)

    def _fits(self, share: float, **parts: Any) -> bool:
        """Returns whether so much more fits, and then counts it; a heading that stands already costs nothing."""
        lines = memory_prompt(Recall(self.shown.query, **parts), self._max_tokens).splitlines()
        fresh = [line for line in lines if line not in self._headings]
        price = sum(map(line_tokens, fresh)) + LINE_NUMBER_TOKENS
        if self._used + price > self._max_tokens * share:
            return False
        self._used += price
        self._headings.update(line for line in fresh if line.startswith(("# ", "[")))
        return True


def _pages(recall: Recall, said: frozenset[tuple[str, str]]) -> list[RecalledPage]:
    """Returns every page that may be shown: the ranked ones, best first, then the rest of the window, newest first."""
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
    fresh = [replace(each, shown=_unsaid(each, said)) for each in found]
    return [each for each in fresh if each.shown]


def _page_of(quote: Quote) -> RecalledPage:
    """Returns the page of an utterance that was too long to be recalled whole: an excerpt of it is shown."""
    of = quote.utterance
    text, name = {of.side: of.text}, {of.side: None if of.speaker == of.side else of.speaker}
    page = Page(
        page_id=of.page_id, seq=of.seq, at=of.at, user_text=text.get("user", ""),
        assistant_text=text.get("assistant", ""), user_name=name.get("user"), assistant_name=name.get("assistant"),
    )  # fmt: skip
    return RecalledPage(page, (of.side,), quote.score, quote.signals)


def _unsaid(found: RecalledPage, said: frozenset[tuple[str, str]]) -> tuple[Side, ...]:
    return tuple(side for side in found.shown if (side, found.page.text(side).strip()) not in said)


def _longest(max_tokens: int) -> int:
    return min(max(max_tokens, SHORTEST_EXCERPT), LONGEST_EXCERPT)
