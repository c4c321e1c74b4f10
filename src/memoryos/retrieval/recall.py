"""The result of a recall: the recalled items, their scores and signals, and their text in a prompt."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from memoryos.language.fence import indented
from memoryos.language.text import estimate_tokens
from memoryos.model import ABOUT, SIDES, About, Attribute, Page, Profile, Side, Trait
from memoryos.retrieval.excerpts import LEFT_OUT, MAX_PIECES, Span, pieces, sorted_spans, whole_page
from memoryos.retrieval.prompt_lines import (
    date_heading,
    dated_lines,
    fact_line,
    is_instruction,
    page_lines,
    profile_lines,
    section,
    when,
)
from memoryos.retrieval.recalled_items import Quote, RecalledKnowledge, RecalledPage, Signals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["RECALLED_HEADING", "Quote", "Recall", "RecalledKnowledge", "RecalledPage", "Signals"]

ATTRIBUTES_SHARE = 0.1
KNOWLEDGE_SHARE = 0.2
SHORT_TERM_SHARE = 0.6
"""The budget of a prompt is filled in this order: attributes until 10% of it are used, facts until 20%, the short-term
window until 60% or until it has ``Recall.short_term_tokens``, then recalled pages. If tokens are left, the rest of the
window, more attributes, facts and traits follow."""
BEST_SHARE = 1 / 3
"""The share of the window's tokens for the passages of the window that match the query best."""
NEWEST_SHARE = 1 / 2
"""The share of the remaining window tokens that each page may use, newest pages first."""


@dataclass(frozen=True, slots=True)
class Recall:
    """What is remembered for a query.

    Attributes:
        query: The question.
        pages: Recalled pages, best first; none of them is in ``short_term``.
        knowledge: Recalled entries: those about the user, best first, then those about the assistant.
        profile: The current profile.
        short_term: The pages of the short-term window, oldest first; always part of the context.
        quotes: The best-matching utterances of the whole scope, including the window, best first.
        near_misses: The best pages that are neither in ``pages`` nor in ``short_term``, best first. ``recall`` returns
            at most the requested number of them.
        tokens: Tokens of a prompt that contains only ``pages``.
        excerpts: The parts of window pages that a prompt without a limit shows, by page id. A window page without an
            entry is shown whole.
        short_term_passages: The passages of each window page in the order of the text, by page id. Each passage is a
            list of spans: those of the headings above it, then that of its own text. A prompt with a limit selects
            from them by their scores.
        short_term_tokens: If the prompt has a limit: the number of tokens that the window may use before recalled
            pages are added. If tokens are left at the end, the window uses more.
        max_tokens: Maximum tokens of ``to_prompt()``; None for no limit.
        count_tokens: Function that counts the tokens of a text. A recall can be pickled if this function can.
    """

    query: str
    pages: tuple[RecalledPage, ...] = ()
    knowledge: tuple[RecalledKnowledge, ...] = ()
    profile: Profile = field(default_factory=Profile)
    short_term: tuple[Page, ...] = ()
    quotes: tuple[Quote, ...] = ()
    near_misses: tuple[RecalledPage, ...] = ()
    tokens: int = 0
    excerpts: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    short_term_passages: Mapping[str, tuple[tuple[Span, ...], ...]] = field(default_factory=dict, repr=False)
    short_term_tokens: float = math.inf
    max_tokens: int | None = None
    count_tokens: Callable[[str], float] = field(default=estimate_tokens, repr=False, compare=False)

    def to_prompt(
        self,
        *,
        include_short_term: bool = True,
        include_profile: bool = True,
        include_knowledge: bool = True,
        numbered: bool = False,
        max_tokens: float | None = None,
    ) -> str:
        """Returns the context as text: profile, knowledge, recalled pages, short-term pages; pages in time order.

        Each utterance is shown after its speaker's name, under a date line; "[…]" stands for parts that are left out.
        The second and later lines of an utterance are indented, and control characters are removed. So an utterance
        can't imitate a heading ("# …"), a date line ("[8 May 2023]"), a speaker or a fact ("- …"): only lines that
        this library writes begin without indentation.

        Args:
            include_short_term: Whether to include the short-term window.
            include_profile: Whether to include the profile.
            include_knowledge: Whether to include the facts.
            numbered: Whether the first line of each page begins with the page's place in ``numbered_pages()``, for
                example "3. ". Utterances that read like instructions to a model are then marked.
            max_tokens: Maximum tokens of the text; default: ``self.max_tokens``. The parts that match the query least
                are left out.
        """
        included = replace(
            self,
            short_term=self.short_term if include_short_term else (),
            profile=self.profile if include_profile else Profile(),
            knowledge=self.knowledge if include_knowledge else (),
        )
        limit = self.max_tokens if max_tokens is None else max_tokens
        numbers = self._numbers() if numbered else None
        shown = included if limit is None else _fitted(included, limit, numbers, "")
        return _prompt_text(shown, numbers)

    def fitted(self, max_tokens: float, *, frame: str = "", numbered: bool = False) -> Recall:
        """Returns a smaller recall, whose prompt and ``frame`` have at most ``max_tokens`` tokens together.

        The parts that match the query best are kept.

        Args:
            max_tokens: Maximum tokens of the prompt and of ``frame``, together.
            frame: Text that the caller adds to the prompt.
            numbered: Whether the prompt will be numbered.
        """
        fitted = _fitted(self, max_tokens, self._numbers() if numbered else None, frame)
        return replace(fitted, max_tokens=None)

    def shown_short_term(self) -> tuple[RecalledPage, ...]:
        """Returns all pages of the short-term window with the parts that ``to_prompt()`` shows, oldest first.

        If ``max_tokens`` is set, some pages may have no shown parts.
        """
        fitted = self if self.max_tokens is None else self.fitted(self.max_tokens)
        excerpts = {page.page_id: _window_spans(fitted, page) for page in fitted.short_term}
        return tuple(RecalledPage(page, excerpts.get(page.page_id, ())) for page in self.short_term)

    def numbered_pages(self) -> tuple[Page, ...]:
        """Returns all pages of the context: the recalled pages in time order, then those of the window."""
        return (*sorted((each.page for each in self.pages), key=when), *sorted(self.short_term, key=when))

    @property
    def found_page_ids(self) -> tuple[str, ...]:
        """Ids of the pages that match the query, best first. A page of the window is included only if it matches."""
        found = [each.page.page_id for each in self.pages] + [each.utterance.page_id for each in self.quotes]
        return tuple(dict.fromkeys(found))

    @property
    def flagged(self) -> tuple[str, ...]:
        """Ids of the pages in the context whose text or speaker name reads like an instruction to a model."""
        shown: dict[str, Sequence[Side]] = {each.page.page_id: each.sides for each in self.pages}
        return tuple(
            page.page_id
            for page in self.numbered_pages()
            if any(is_instruction(page, side) for side in page.speaking() if side in shown.get(page.page_id, SIDES))
        )

    def _numbers(self) -> dict[str, int]:
        return {page.page_id: number for number, page in enumerate(self.numbered_pages(), 1)}

    def __str__(self) -> str:
        return self.to_prompt()


PROFILE = "Profile of the user"
KNOWN: Mapping[About, str] = {about: f"Known about the {about}" for about in ABOUT}
RECALLED = "Recalled from earlier conversations"
RECALLED_HEADING = f"# {RECALLED}\n"
SHORT_TERM = "The conversation so far"


def _prompt_text(recall: Recall, numbers: Mapping[str, int] | None) -> str:
    """Returns all parts of a recall as text."""
    known = {about: [fact_line(each.knowledge) for each in recall.knowledge if each.about == about] for about in ABOUT}
    window = [(page, _window_spans(recall, page)) for page in recall.short_term]
    parts = [
        section(PROFILE, profile_lines(recall.profile)),
        *(section(KNOWN[about], known[about]) for about in ABOUT),
        section(RECALLED, dated_lines([(each.page, each.shown) for each in recall.pages], numbers)),
        section(SHORT_TERM, dated_lines(window, numbers)),
    ]
    return "\n\n".join(part for part in parts if part)


def _window_spans(recall: Recall, page: Page) -> tuple[Span, ...]:
    return recall.excerpts.get(page.page_id, whole_page(page))


def _fitted(recall: Recall, max_tokens: float, numbers: Mapping[str, int] | None, frame: str) -> Recall:
    """Returns a smaller recall, whose prompt and ``frame`` have at most ``max_tokens`` tokens together.

    A tokenizer may count more tokens in a whole text than in its separate lines. So the prompt of the result is
    counted again, and the budget is lowered until the prompt fits.
    """
    shown, budget = recall, max_tokens
    tokens = recall.count_tokens(frame + _prompt_text(shown, numbers))
    while tokens > max_tokens and budget > 0:
        shown = _Fitter(recall, budget, numbers, frame).shown()
        tokens = recall.count_tokens(frame + _prompt_text(shown, numbers))
        budget = min(budget - 1, budget * max_tokens / max(tokens, 1))
    if tokens <= max_tokens:
        return shown
    return replace(recall, pages=(), knowledge=(), profile=Profile(), short_term=(), excerpts={})


class _Fitter:
    """Selects parts of a recall within a budget of tokens. Skips a part that does not fit and tries the next one."""

    def __init__(self, source: Recall, budget: float, numbers: Mapping[str, int] | None, frame: str) -> None:
        self._source = source
        self._budget = budget
        self._numbers = numbers
        self._used = source.count_tokens(frame)
        self._headings: set[tuple[str, str]] = set()
        self._attributes: dict[Attribute, None] = {}
        self._traits: list[Trait] = []
        self._knowledge: set[int] = set()
        self._recalled: dict[str, tuple[Span, ...]] = {}
        self._window: dict[str, tuple[Span, ...]] = {}
        self._page_tokens: dict[tuple[str, str], float] = {}
        self._min_tokens: dict[tuple[str, Span], float] = {}
        self._mark_tokens = source.count_tokens(f" {LEFT_OUT} ")

    def shown(self) -> Recall:
        """Returns the selected parts."""
        self._add_attributes(ATTRIBUTES_SHARE)
        self._add_knowledge(KNOWLEDGE_SHARE)
        self._add_window_within(min(self._budget * SHORT_TERM_SHARE, self._used + self._source.short_term_tokens))
        self._add_pages()
        self._add_newest(self._budget, 1)
        self._add_attributes(1)
        self._add_knowledge(1)
        self._add_traits()
        source = self._source
        attributes = tuple(each for each in source.profile.attributes if each in self._attributes)
        return replace(
            source,
            profile=replace(source.profile, attributes=attributes, traits=tuple(self._traits)),
            knowledge=tuple(each for number, each in enumerate(source.knowledge) if number in self._knowledge),
            pages=tuple(
                replace(each, shown=self._recalled[each.page.page_id])
                for each in source.pages
                if each.page.page_id in self._recalled
            ),
            short_term=tuple(page for page in source.short_term if page.page_id in self._window),
            excerpts=self._window,
        )

    def _add_attributes(self, share: float) -> None:
        for each in self._source.profile.attributes:
            tokens = self._count(profile_lines(Profile(attributes=(each,))))
            if each not in self._attributes and self._take(self._budget * share, tokens, PROFILE):
                self._attributes[each] = None

    def _add_traits(self) -> None:
        for each in self._source.profile.traits:
            if self._take(self._budget, self._count(profile_lines(Profile(traits=(each,)))), PROFILE):
                self._traits.append(each)

    def _add_knowledge(self, share: float) -> None:
        limit = self._budget * share
        for number, each in enumerate(self._source.knowledge):
            tokens = self._count([fact_line(each.knowledge)])
            if number not in self._knowledge and self._take(limit, tokens, KNOWN[each.about]):
                self._knowledge.add(number)

    def _add_window_within(self, limit: float) -> None:
        """Adds the best passages of the window, and then its newest pages, until ``limit`` tokens are used in total."""
        best_limit = self._used + (limit - self._used) * BEST_SHARE
        for number, (page, passage) in enumerate(self._best_of_window()):
            self._add_spans(best_limit if number else limit, page, passage, self._window, SHORT_TERM)
        self._add_newest(limit, NEWEST_SHARE)

    def _add_newest(self, limit: float, share: float) -> None:
        """Adds the pages of the window, newest first. Each may use a share of the tokens that are left to ``limit``.

        A text that does not fit is reduced to its first passage and its best passages.
        """
        for page in reversed(self._source.short_term):
            page_limit = self._used + (limit - self._used) * share
            spans = _window_spans(self._source, page)
            left = [each for each in spans if not self._add_spans(page_limit, page, (each,), self._window, SHORT_TERM)]
            for side in dict.fromkeys(each.side for each in left):
                for passage in self._passages(page, side):
                    self._add_spans(page_limit, page, passage, self._window, SHORT_TERM)

    def _best_of_window(self) -> list[tuple[Page, tuple[Span, ...]]]:
        """Returns the best passages of all window pages, best first."""
        passages = self._source.short_term_passages
        found = [(page, each) for page in self._source.short_term for each in passages.get(page.page_id, ())]
        return sorted(found, key=lambda each: -each[1][-1].score)[:MAX_PIECES]

    def _passages(self, page: Page, side: Side) -> list[tuple[Span, ...]]:
        """Returns the first passage of an utterance of the window, and then its best passages."""
        passages = self._source.short_term_passages.get(page.page_id)
        if passages is None:
            spans = [each for each in _window_spans(self._source, page) if each.side == side]
            return [(each,) for span in spans for each in pieces(page, span)]
        first, *others = [each for each in passages if each[-1].side == side] or [()]
        return [first, *sorted(others, key=lambda each: -each[-1].score)[: MAX_PIECES - 1]]

    def _add_pages(self) -> None:
        """Adds the parts of recalled pages, best first. The best passage of the window is treated like them."""
        parts = [
            *((each.page, (span,), self._recalled, RECALLED) for each in self._source.pages for span in each.shown),
            *((page, passage, self._window, SHORT_TERM) for page, passage in self._best_of_window()[:1]),
        ]
        for page, spans, shown, title in sorted(parts, key=lambda each: -each[1][-1].score):
            if not self._add_spans(self._budget, page, spans, shown, title) and len(spans) == 1:
                for piece in pieces(page, spans[0]):
                    self._add_spans(self._budget, page, (piece,), shown, title)

    def _add_spans(
        self, limit: float, page: Page, spans: Sequence[Span], shown: dict[str, tuple[Span, ...]], title: str
    ) -> bool:
        """Adds spans of a page if they fit all together. Returns whether they are shown."""
        before = shown.get(page.page_id, ())
        after = sorted_spans([*before, *spans])
        if after == before:
            return True
        min_tokens = sum(self._min_tokens_of(page, each) for each in spans if not any(map(each.overlaps, before)))
        if self._used + min_tokens > limit:
            return False
        key = (title, page.page_id)
        tokens = self._count(page_lines(page, after, None if self._numbers is None else self._numbers[page.page_id]))
        if self._take(limit, tokens - self._page_tokens.get(key, 0.0), title, date_heading(page.day)):
            shown[page.page_id] = after
            self._page_tokens[key] = tokens
            return True
        return False

    def _min_tokens_of(self, page: Page, span: Span) -> float:
        """Returns a lower bound of the tokens that a span adds to a page.

        Adding the span can remove the "[…]" marks at both of its ends, so their tokens are subtracted.
        """
        key = (page.page_id, span)
        if key not in self._min_tokens:
            text = indented(page.text(span.side)[span.start : span.end])
            self._min_tokens[key] = max(0.0, self._source.count_tokens(text) - 2 * self._mark_tokens)
        return self._min_tokens[key]

    def _take(self, limit: float, tokens: float, title: str, day: str | None = None) -> bool:
        """Reserves the tokens of some lines if they fit into the budget; returns whether they fit.

        The heading of a section and the line of a date are counted once.

        Args:
            limit: Tokens that may be used in total.
            tokens: Tokens of the lines. For a page that is already shown, only the tokens that are added.
            title: Heading of the section that contains the lines.
            day: Date line above the lines; None without one.
        """
        headings = {(title, ""): f"# {title}\n"} | ({(title, day): day} if day else {})
        tokens += self._count([heading for key, heading in headings.items() if key not in self._headings])
        if self._used + tokens > limit:
            return False
        self._used += tokens
        self._headings.update(headings)
        return True

    def _count(self, lines: Sequence[str]) -> float:
        return self._source.count_tokens("\n".join([*lines, ""])) if lines else 0.0
