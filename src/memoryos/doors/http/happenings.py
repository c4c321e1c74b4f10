"""What happened in a memory between two looks at it: pages that came and slid out, segments, what was learned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memoryos.doors import shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memoryos.memory import Memory
    from memoryos.model import Knowledge, Page, Segment

__all__ = ["Lookout", "Snapshot", "happenings"]

NEWEST_PAGES = 100
"""So many new pages are told one by one; of a longer import the counts tell the rest."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a memory was at one moment.

    Attributes:
        stats: Counts of its tiers.
        newest: Its newest pages, newest first; at least those of the short-term window.
        window: How many of them are the short-term window.
        segments: Active segments with their heat, by id.
        knowledge: Current facts, by id.
    """

    stats: dict[str, Any]
    newest: tuple[Page, ...] = ()
    window: int = 0
    segments: dict[str, tuple[Segment, float]] = field(default_factory=dict)
    knowledge: dict[str, Knowledge] = field(default_factory=dict)


class Lookout:
    """Looks at one memory again and again."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._revision = memory.revision()
        self._seen = self._look()

    @property
    def stats(self) -> dict[str, Any]:
        """The counts as they were at the last look."""
        return self._seen.stats

    def changes(self) -> list[tuple[str, Any]]:
        """Returns what happened since the last look, as names and JSON-compatible values.

        Raises:
            StoreError: If the store can't be read.
        """
        revision = self._memory.revision()
        if revision == self._revision:
            now = self._warmed()
        else:
            now, self._revision = self._look(), revision
        before, self._seen = self._seen, now
        return list(happenings(before, now))

    def _look(self) -> Snapshot:
        memory = self._memory
        window = memory.config.short_term_capacity
        return Snapshot(
            stats=memory.get_memory_stats(),
            newest=tuple(memory.newest_pages(window + NEWEST_PAGES)),
            window=window,
            segments={segment.segment_id: (segment, heat) for segment, heat in memory.heat()},
            knowledge={entry.knowledge_id: entry for entry in memory.knowledge(None)},
        )

    def _warmed(self) -> Snapshot:
        seen = self._seen
        segments = {segment.segment_id: (segment, heat) for segment, heat in self._memory.heat()}
        return Snapshot(seen.stats, seen.newest, seen.window, segments, seen.knowledge)


def happenings(before: Snapshot, now: Snapshot) -> Iterator[tuple[str, Any]]:
    """Yields the name and the JSON-compatible value of each thing that happened, in the order of the tiers."""
    last_seq = before.newest[0].seq if before.newest else 0
    added = [page for page in reversed(now.newest) if page.seq > last_seq]
    for page in added:
        yield "page_added", shapes.Page.model_validate(page).as_json()
    yield from _slid_out(before, now)
    for segment_id, (segment, heat) in now.segments.items():
        known = before.segments.get(segment_id)
        if known is None or known[0] != segment:
            yield "segment_changed", shapes.Segment.of(segment, heat).as_json()
    for segment_id in before.segments.keys() - now.segments.keys():
        yield "segment_gone", {"segment_id": segment_id}
    learned = [entry for knowledge_id, entry in now.knowledge.items() if knowledge_id not in before.knowledge]
    version = now.stats["profile_version"]
    if learned or version != before.stats["profile_version"]:
        facts = [shapes.Knowledge.model_validate(entry).as_json() for entry in learned]
        yield "learned", {"knowledge": facts, "profile_version": version}
    forgotten = before.stats["pages"] - (now.stats["pages"] - len(added))
    no_longer = sorted(before.knowledge.keys() - now.knowledge.keys())
    if forgotten > 0 or no_longer:
        yield "gone", {"pages": max(0, forgotten), "knowledge_ids": no_longer}
    if now.stats != before.stats:
        yield "stats", now.stats


def _slid_out(before: Snapshot, now: Snapshot) -> Iterator[tuple[str, Any]]:
    if len(now.newest) <= now.window:
        return
    first_inside = now.newest[now.window - 1].seq if now.window else now.newest[0].seq + 1
    oldest_inside = before.newest[: before.window][-1].seq if before.newest[: before.window] else 0
    last_outside = before.newest[before.window].seq if len(before.newest) > before.window else 0
    for page in reversed(now.newest):
        if max(last_outside, oldest_inside - 1) < page.seq < first_inside:
            yield "page_slid_out", {"page_id": page.page_id, "seq": page.seq}
