"""Detects changes of a memory: new pages, pages that left short-term memory, and changed segments and facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memoryos.doors import shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memoryos.memory import Memory
    from memoryos.model import Knowledge, Page, Segment

__all__ = ["ChangeWatcher", "Snapshot", "diff_events"]

NEWEST_PAGES = 100
"""A snapshot contains the pages of the short-term window, and this many older pages.

If an import adds more pages between two polls, not every new page gets an event. The event "stats" counts all pages.
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a memory at one time.

    Attributes:
        stats: Numbers of pages, segments, facts and traits.
        newest: The newest pages, newest first: the short-term window and ``NEWEST_PAGES`` older pages.
        window: Capacity of the short-term window in pages.
        segments: Active segments with their heat, by id.
        knowledge: Current facts, by id.
    """

    stats: dict[str, Any]
    newest: tuple[Page, ...] = ()
    window: int = 0
    segments: dict[str, tuple[Segment, float]] = field(default_factory=dict)
    knowledge: dict[str, Knowledge] = field(default_factory=dict)


class ChangeWatcher:
    """Compares the current state of a memory with its last state, and reports the differences as events."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._revision = memory.revision()
        self._latest = self._take_snapshot()

    @property
    def stats(self) -> dict[str, Any]:
        """The numbers of pages, segments, facts and traits at the last poll."""
        return self._latest.stats

    def poll(self) -> list[tuple[str, Any]]:
        """Returns the changes since the last poll as events. An event is a name and a JSON-compatible value.

        Raises:
            StoreError: If the store can't be read.
        """
        revision = self._memory.revision()
        if revision == self._revision:
            current = self._with_current_heat()
        else:
            current, self._revision = self._take_snapshot(), revision
        previous, self._latest = self._latest, current
        return list(diff_events(previous, current))

    def _take_snapshot(self) -> Snapshot:
        memory = self._memory
        window = memory.config.short_term_capacity
        return Snapshot(
            stats=memory.get_memory_stats(),
            newest=tuple(memory.newest_pages(window + NEWEST_PAGES)),
            window=window,
            segments=self._segments(),
            knowledge={entry.knowledge_id: entry for entry in memory.knowledge(None)},
        )

    def _with_current_heat(self) -> Snapshot:
        """Returns the latest snapshot with the current heat of all segments.

        Heat is read at every poll, because a recall changes the heat but not the revision of the memory.
        """
        latest = self._latest
        return Snapshot(latest.stats, latest.newest, latest.window, self._segments(), latest.knowledge)

    def _segments(self) -> dict[str, tuple[Segment, float]]:
        return {segment.segment_id: (segment, heat) for segment, heat in self._memory.heat()}


def diff_events(before: Snapshot, now: Snapshot) -> Iterator[tuple[str, Any]]:
    """Yields the changes between two snapshots as events. An event is a name and a JSON-compatible value.

    Changes of short-term memory come first, then segments, facts and the profile, deletions, and statistics.
    """
    last_seq = before.newest[0].seq if before.newest else 0
    added = [page for page in reversed(now.newest) if page.seq > last_seq]
    for page in added:
        yield "page_added", shapes.Page.model_validate(page).as_json()
    yield from _pages_out_of_window(before, now)
    yield from _segment_events(before, now)
    learned = [entry for knowledge_id, entry in now.knowledge.items() if knowledge_id not in before.knowledge]
    version = now.stats["profile_version"]
    if learned or version != before.stats["profile_version"]:
        facts = [shapes.Knowledge.model_validate(entry).as_json() for entry in learned]
        yield "learned", {"knowledge": facts, "profile_version": version}
    forgotten_pages = before.stats["pages"] - (now.stats["pages"] - len(added))
    removed_facts = sorted(before.knowledge.keys() - now.knowledge.keys())
    if forgotten_pages > 0 or removed_facts:
        yield "gone", {"pages": max(0, forgotten_pages), "knowledge_ids": removed_facts}
    if now.stats != before.stats:
        yield "stats", now.stats


def _segment_events(before: Snapshot, now: Snapshot) -> Iterator[tuple[str, Any]]:
    """Yields events for changed and removed segments. If only the heat changed, there is no event."""
    for segment_id, (segment, heat) in now.segments.items():
        known = before.segments.get(segment_id)
        if known is None or known[0] != segment:
            yield "segment_changed", shapes.Segment.of(segment, heat).as_json()
    for segment_id in before.segments.keys() - now.segments.keys():
        yield "segment_gone", {"segment_id": segment_id}


def _pages_out_of_window(before: Snapshot, now: Snapshot) -> Iterator[tuple[str, Any]]:
    """Yields an event for each page that left short-term memory, oldest page first."""
    if len(now.newest) <= now.window:
        return
    first_inside = now.newest[now.window - 1].seq if now.window else now.newest[0].seq + 1
    oldest_inside = before.newest[: before.window][-1].seq if before.newest[: before.window] else 0
    last_outside = before.newest[before.window].seq if len(before.newest) > before.window else 0
    for page in reversed(now.newest):
        if max(last_outside, oldest_inside - 1) < page.seq < first_inside:
            yield "page_slid_out", {"page_id": page.page_id, "seq": page.seq}
