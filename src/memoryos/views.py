"""What can be seen of a memory: what is recalled, its tiers, counts and costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memoryos.errors import InputError, NotFoundError
from memoryos.inputs import read_count, read_query
from memoryos.language.fence import one_line
from memoryos.model import ABOUT, SIDES, Profile
from memoryos.retrieval.recall import Recall, profile_lines
from memoryos.transfer import export_lines, write_export
from memoryos.updating.heat import heat
from memoryos.updating.stats import NOTHING, count_tiers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from memoryos.config import Config, RankingWeights
    from memoryos.engine import MemoryEngine
    from memoryos.model import About, Chain, Cost, Knowledge, Page, Scope, Segment

__all__ = ["MemoryView", "SegmentContent"]

SEARCHED_PAGES = 5_000
SEARCHED_SLICE = 500


@dataclass(frozen=True, slots=True)
class SegmentContent:
    """A segment with all that is in it.

    Attributes:
        segment: The segment.
        heat: Its heat now (Eq. 4).
        chains: The chains that its pages belong to; a chain may reach into other segments.
        pages: Its pages, oldest first.
    """

    segment: Segment
    heat: float
    chains: tuple[Chain, ...]
    pages: tuple[Page, ...]


class MemoryView:
    """The tiers of one scope as they are now.

    Args:
        scope: Whose memory.
        engine: The engine that it lives in.
    """

    def __init__(self, scope: Scope, engine: MemoryEngine) -> None:
        self.scope = scope
        self.__engine = engine
        self._known_scope_id: str | None = None

    @property
    def engine(self) -> MemoryEngine:
        """The engine that it lives in."""
        return self.__engine

    @property
    def _engine(self) -> MemoryEngine:
        """The engine, for use now."""
        self._check_usable()
        return self.__engine

    def _check_usable(self) -> None:
        """Raises an error where the engine can't be used.

        Raises:
            StoreUnavailableError: In a forked child.
        """
        self.__engine.check_process()

    @property
    def config(self) -> Config:
        """The settings that it lives under."""
        return self.engine.config

    def recall(
        self,
        query: str,
        *,
        max_pages: int | None = None,
        max_tokens: int | None = None,
        ranking: RankingWeights | None = None,
        near_misses: int = 0,
    ) -> Recall:
        """Returns what is remembered for a query, with the reason for each item. Calls no LLM.

        Args:
            query: The question.
            max_pages: Pages at most; default: ``retrieval_queue_capacity``, unless ``max_tokens`` is given.
            max_tokens: Estimated tokens of the recalled pages at most; then single sides of pages may be shown.
            ranking: What each signal counts, for this recall only; it is taken for a trial, which heats no segment.
            near_misses: So many of the next best pages are in ``Recall.near_misses``.

        Raises:
            InputError: If the query is empty or no text, or a number is less than 1 (``near_misses``: than 0).
            EmbeddingError: If the embedder failed.
            StoreError: If the store can't be read.
        """
        query = read_query(query)
        max_pages, max_tokens = read_count("max_pages", max_pages), read_count("max_tokens", max_tokens)
        missed = read_count("near_misses", near_misses or None) or 0
        scope_id = self._find_scope_id()
        if scope_id is None:
            return Recall(query)
        self._engine.worker.note_foreground_activity()
        found = self._engine.retriever.recall(
            scope_id,
            query,
            now=self._engine.clock(),
            max_pages=max_pages,
            max_tokens=max_tokens,
            ranking=ranking,
            near_misses=missed,
        )
        visited = {each.page.segment_id for each in found.pages if each.page.segment_id is not None}
        if visited and ranking is None:
            self._engine.updater.note_visits(scope_id, visited)
            self._wake(scope_id)
        return found

    @property
    def profile(self) -> Profile:
        """The user's profile as it is now."""
        scope_id = self._find_scope_id()
        return Profile() if scope_id is None else self._engine.store.long_term.profile(scope_id)

    def knowledge(self, about: About | None = "user", *, history: bool = False) -> list[Knowledge]:
        """Returns what is known, oldest first; with ``history`` what was superseded or archived too.

        Args:
            about: "user", "assistant", or None for both.
            history: Whether entries that are no longer current are listed.

        Raises:
            InputError: If ``about`` is something else.
        """
        if about not in {None, *ABOUT}:
            raise InputError("about", "must be 'user', 'assistant' or None")
        scope_id = self._find_scope_id()
        return [] if scope_id is None else self._engine.store.long_term.knowledge(scope_id, about, history=history)

    def history(self, knowledge_id: str) -> list[Knowledge]:
        """Returns a fact with all that it replaced and all that replaced it, oldest first.

        Raises:
            NotFoundError: If there is no such fact.
        """
        entries = {entry.knowledge_id: entry for entry in self.knowledge(None, history=True)}
        if knowledge_id not in entries:
            raise NotFoundError(f"no knowledge {knowledge_id}")
        newest = entries[knowledge_id]
        while newest.superseded_by in entries:
            newest = entries[newest.superseded_by]
        found = [newest]
        for each in found:
            found += [entry for entry in entries.values() if entry.superseded_by == each.knowledge_id]
        return sorted(found, key=lambda entry: entry.knowledge_id)

    def profile_history(self) -> list[Profile]:
        """Returns every version of the profile, oldest first."""
        scope_id = self._find_scope_id()
        return [] if scope_id is None else self._engine.store.long_term.profile_versions(scope_id)

    def segments(self, *, archived: bool = False) -> list[Segment]:
        """Returns the active (or the archived) segments of mid-term memory, oldest first."""
        scope_id = self._find_scope_id()
        return [] if scope_id is None else self._engine.store.mid_term.all(scope_id, archived=archived)

    def heat(self, *, archived: bool = False) -> list[tuple[Segment, float]]:
        """Returns the active (or the archived) segments with their heat now (Eq. 4), hottest first."""
        now = self._engine.clock()
        warmth = [(each, heat(each, now, self.config.heat)) for each in self.segments(archived=archived)]
        return sorted(warmth, key=lambda each: -each[1])

    def segment(self, segment_id: str) -> SegmentContent:
        """Returns one segment, archived or not, with its heat now, its chains and its pages.

        Raises:
            NotFoundError: If there is no such segment.
        """
        scope_id = self._find_scope_id()
        mid_term = self._engine.store.mid_term
        found = {} if scope_id is None else mid_term.get(scope_id, [segment_id])
        if scope_id is None or segment_id not in found:
            raise NotFoundError(f"no segment {segment_id}")
        pages = self._engine.store.log.of_segment(scope_id, segment_id)
        chains = mid_term.chains(scope_id, {page.chain_id for page in pages if page.chain_id is not None})
        warmth = heat(found[segment_id], self._engine.clock(), self.config.heat)
        return SegmentContent(found[segment_id], warmth, tuple(chains), tuple(pages))

    def page(self, page_id: str) -> Page:
        """Returns one page.

        Raises:
            NotFoundError: If there is no such page.
        """
        scope_id = self._find_scope_id()
        found = [] if scope_id is None else self._engine.store.log.by_id(scope_id, [page_id])
        if not found:
            raise NotFoundError(f"no page {page_id}")
        return found[0]

    def search_pages(self, text: str, count: int, *, before_seq: int | None = None) -> tuple[list[Page], int | None]:
        """Looks for pages that hold a text word for word, in whatever case; newest first.

        Args:
            text: What one side of the page says, or a part of it.
            count: Pages at most.
            before_seq: Only pages in front of this position.

        Returns:
            The pages, and the position in front of which to go on; None when the log is at its end. No more than
            5,000 pages are looked through at once, so that there may be pages further back though none was found.
        """
        found: list[Page] = []
        wanted, looked_at = text.casefold(), 0
        while looked_at < SEARCHED_PAGES:
            pages = self.newest_pages(SEARCHED_SLICE, before_seq=before_seq)
            for page in pages:
                before_seq = page.seq
                if any(wanted in page.text(side).casefold() for side in SIDES):
                    found.append(page)
                    if len(found) == count:
                        return found, before_seq
            looked_at += len(pages)
            if len(pages) < SEARCHED_SLICE:
                return found, None
        return found, before_seq

    def pages(self) -> Iterator[Page]:
        """Yields every page, oldest first."""
        scope_id = self._find_scope_id()
        return iter(()) if scope_id is None else self._engine.store.log.after(scope_id)

    def newest_pages(self, count: int, *, before_seq: int | None = None) -> list[Page]:
        """Returns the newest pages, newest first; with ``before_seq`` those in front of that position."""
        scope_id = self._find_scope_id()
        return [] if scope_id is None else self._engine.store.log.newest_before(scope_id, before_seq, count)

    def days(self) -> list[tuple[date, int]]:
        """Returns the days (UTC) on which something was said, oldest first, with how many pages each has."""
        scope_id = self._find_scope_id()
        return [] if scope_id is None else self._engine.store.log.days(scope_id)

    def pages_of_day(self, day: date, count: int, *, after_seq: int = 0) -> list[Page]:
        """Returns ``count`` pages of a day (UTC) at most that stand behind a position, in the order of the log."""
        scope_id = self._find_scope_id()
        return [] if scope_id is None else self._engine.store.log.of_day(scope_id, day, count, after_seq=after_seq)

    def export_lines(self) -> Iterator[str]:
        """Yields what ``export`` writes, line by line, all from one moment."""
        return export_lines([(self.scope, self._records())])

    def export(self, path: str | Path) -> int:
        """Writes everything that is remembered here to a new file of JSON lines; returns how many pages.

        Vectors are not in it: they are made anew. The format is in ``docs/reference/export.md``.

        Raises:
            InputError: If the file exists or can't be written.
        """
        return write_export(Path(path), [(self.scope, self._records())], self._engine.store.scratch_dir.partial_file)

    def get_user_profile_summary(self) -> str:
        """Returns the profile and what is known about the user, one line each; "" if nothing is known yet."""
        lines = profile_lines(self.profile) + [f"- {one_line(entry.text)}" for entry in self.knowledge("user")]
        return "\n".join(lines)

    def get_assistant_knowledge_summary(self) -> list[str]:
        """Returns what is known about the assistant, oldest first, each on one line."""
        return [one_line(entry.text) for entry in self.knowledge("assistant")]

    def get_memory_stats(self) -> dict[str, Any]:
        """Returns counts of every tier, what is due, and the analyst's last error."""
        stats: dict[str, Any] = {
            "user_id": self.scope.user_id,
            "assistant_id": self.scope.assistant_id,
            "embedder": self._engine.embedder.name,
            "analyst": self._engine.analyst.origin.analyst,
        }
        scope_id = self._find_scope_id()
        if scope_id is None:
            return stats | NOTHING
        return stats | count_tiers(self._engine.store, scope_id, self._engine.embedder.name, self.config)

    def revision(self) -> int:
        """Returns a number that grows with every write to this memory but visits; 0 before the first."""
        scope_id = self._find_scope_id()
        return 0 if scope_id is None else self._engine.store.scopes.state(scope_id).revision

    def costs(self) -> list[Cost]:
        """Returns what calls of the LLM cost, oldest first: an account a day, purpose and model."""
        scope_id = self._find_scope_id()
        return [] if scope_id is None else self._engine.store.costs.of(scope_id)

    def _records(self) -> Iterable[Mapping[str, Any]]:
        scope_id = self._find_scope_id()
        return () if scope_id is None else self._engine.store.portable.dump(scope_id)

    def _find_scope_id(self) -> str | None:
        if self._known_scope_id is None:
            self._known_scope_id = self._engine.store.scopes.find(self.scope)
        return self._known_scope_id

    def _wake(self, scope_id: str) -> None:
        if self.config.background:
            self._engine.worker.wake(scope_id)
