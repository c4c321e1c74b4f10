"""Tables and progress bars of the command line."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.model import Cost, Knowledge, Profile, Segment
    from memoryos.retrieval.recall import Recall, Signals
    from memoryos.updating.forgetter import Forgotten
    from memoryos.updating.rebuilding import Rebuilt

__all__ = [
    "ProgressBar",
    "config_table",
    "cost_table",
    "forgotten_table",
    "knowledge_table",
    "pairs_table",
    "profile_table",
    "progress",
    "rebuilt_table",
    "recall_table",
    "segments_table",
    "show",
    "signals_text",
]

BAR_AFTER_SECONDS = 1.0


def show(table: Table, console: Console | None = None) -> None:
    """Prints a table to a console, by default to stdout."""
    (console or Console()).print(table)


class ProgressBar:
    """A progress bar on stderr that appears after one second.

    Args:
        title: Text before the bar.
        total: Number of steps; None if it is not known.
    """

    def __init__(self, title: str, total: int | None) -> None:
        self._started = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task(title, total=total)

    def update(self, done: int) -> None:
        """Sets the number of finished steps."""
        if time.monotonic() - self._started > BAR_AFTER_SECONDS:
            self._progress.start()
        self._progress.update(self._task, completed=done)

    def stop(self) -> None:
        """Removes the bar from the terminal."""
        self._progress.stop()


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[ProgressBar]:
    """Yields a progress bar and removes it at the end."""
    bar = ProgressBar(title, total)
    try:
        yield bar
    finally:
        bar.stop()


def signals_text(signals: Signals) -> str:
    """Returns the parts of a score as text, largest first, for example "words +3.1, meaning +2.0".

    Parts between -0.05 and 0.05 are left out.
    """
    values = [(name, value) for name, value in asdict(signals).items() if abs(value) >= 0.05]  # noqa: PLR2004
    return ", ".join(f"{name} {value:+.1f}" for name, value in sorted(values, key=lambda pair: -abs(pair[1])))


def recall_table(recall: Recall) -> Table:
    """Returns a table of the recalled pages and facts with their scores, and of the newest pages."""
    table = _table("Recalled", "score", "when", "what", "why")
    for each in recall.pages:
        lines = "\n".join(f"{each.page.speaker(side)}: {each.text(side)}" for side in each.sides)
        table.add_row(f"{each.score:.1f}", f"{each.page.day:%Y-%m-%d}", _plain(lines), signals_text(each.signals))
    for entry in recall.knowledge:
        table.add_row(
            f"{entry.score:.1f}",
            "",
            _plain(f"fact about the {entry.about}: {entry.text}"),
            signals_text(entry.signals),
        )
    for newest in recall.shown_short_term():
        lines = "\n".join(f"{newest.page.speaker(side)}: {newest.text(side)}" for side in newest.sides)
        table.add_row("", f"{newest.page.day:%Y-%m-%d}", _plain(lines), "short-term memory")
    return table


def profile_table(profile: Profile) -> Table:
    """Returns a table of the attributes and traits with their values, reasons and numbers of source pages."""
    table = _table(f"Profile, version {profile.version}", "what", "value", "why", "pages")
    for attribute in profile.attributes:
        table.add_row(
            attribute.name.replace("_", " "), _plain(attribute.value), "", str(len(attribute.source_page_ids))
        )
    for trait in profile.traits:
        table.add_row(
            f"{trait.category}: {trait.dimension}", trait.level, _plain(trait.reason), str(len(trait.evidence_page_ids))
        )
    return table


def knowledge_table(entries: Sequence[Knowledge], now: datetime) -> Table:
    """Returns a table of facts with their state: current, superseded (replaced by another fact), archived or ended."""
    table = _table("Knowledge", "about", "fact", "since", "pages", "state")
    for entry in entries:
        since = "" if entry.valid_from is None else f"{entry.valid_from:%Y-%m-%d}"
        state = _state(entry, now)
        table.add_row(entry.about, _plain(entry.text), since, str(len(entry.source_page_ids)), state)
    return table


def _state(entry: Knowledge, now: datetime) -> str:
    if entry.superseded_by:
        return "superseded"
    if entry.archived_at:
        return "archived"
    return "ended" if entry.valid_until is not None and entry.valid_until <= now else "current"


def segments_table(segments: Sequence[tuple[Segment, float]]) -> Table:
    """Returns a table of segments, each with its heat."""
    table = _table("Segments", "heat", "pages", "from", "last visit", "about", "keywords")
    for segment, heat in segments:
        words = ", ".join(sorted(segment.keywords)[:8])
        times = (f"{segment.created_at:%Y-%m-%d}", f"{segment.last_visited_at:%Y-%m-%d}")
        table.add_row(f"{heat:.2f}", str(segment.page_count), *times, _plain(segment.summary), _plain(words))
    return table


def cost_table(accounts: Sequence[Cost]) -> Table:
    """Returns a table of LLM calls with one row for each day, purpose and model, and a row of totals."""
    table = _table("LLM calls", "day", "purpose", "model", "calls", "tokens read", "tokens written", "seconds")
    for each in accounts:
        table.add_row(each.day.isoformat(), each.purpose, _plain(each.model), *_amounts([each]))
    table.add_section()
    table.add_row("all", "", "", *_amounts(accounts))
    return table


def _amounts(accounts: Sequence[Cost]) -> Iterator[str]:
    calls, failed = (sum(each.calls for each in accounts), sum(each.failed_calls for each in accounts))
    yield f"{calls} ({failed} failed)" if failed else str(calls)
    yield f"{sum(each.prompt_tokens for each in accounts):,}"
    yield f"{sum(each.completion_tokens for each in accounts):,}"
    yield f"{sum(each.seconds for each in accounts):.1f}"


def forgotten_table(receipt: Forgotten) -> Table:
    """Returns a table of the deleted items: their number and their ids."""
    table = _table("Would be deleted" if receipt.dry_run else "Deleted", "what", "count", "ids")
    for name, ids in (
        ("pages", receipt.page_ids),
        ("answers derived from them", receipt.answer_page_ids),
        ("facts", receipt.knowledge_ids),
        ("attributes", receipt.attributes),
        ("traits", receipt.traits),
    ):
        table.add_row(name, str(len(ids)), _plain("\n".join(ids)))
    table.add_row("summaries", str(receipt.segments), "")
    table.add_row("pages to read again", str(receipt.pages_due + receipt.pages_reopened), "")
    echoes = receipt.echo_page_ids
    table.add_row("kept pages repeating them", str(len(echoes)), _plain("\n".join(echoes)))
    if not receipt.dry_run:
        table.add_row("left in the files", "nothing" if receipt.erased else "not yet erased", "")
    table.add_row("not covered", str(len(receipt.remains)), "\n".join(receipt.remains))
    return table


def rebuilt_table(rebuilt: Rebuilt) -> Table:
    """Returns a table of the changes by a rebuild: the number of segments, and changed facts, attributes and traits."""
    title = "Changes of the rebuild" if rebuilt.applied else "Changes that a rebuild would make"
    table = _table(f"{title}, by {rebuilt.origin.analyst}", "what", "before", "after")
    table.add_row("segments", str(rebuilt.segments_before), str(rebuilt.segments_after))
    table.add_row("unchanged facts", str(rebuilt.knowledge_kept), str(rebuilt.knowledge_kept))
    for text in rebuilt.knowledge_removed:
        table.add_row("fact", _plain(text), "")
    for text in rebuilt.knowledge_added:
        table.add_row("fact", "", _plain(text))
    for change in (*rebuilt.attributes, *rebuilt.traits):
        table.add_row(_plain(change.name), _plain(change.before or ""), _plain(change.after or ""))
    return table


def pairs_table(title: str, pairs: Mapping[str, Any]) -> Table:
    """Returns a table of names and values."""
    table = _table(title, "what", "value")
    for name, value in pairs.items():
        table.add_row(name.replace("_", " "), _plain("–" if value is None else str(value)))
    return table


def config_table(config: Config) -> Table:
    """Returns a table of all settings with their values and meanings. Secrets are masked."""
    table = _table("Settings", "name", "value", "meaning")
    shown = config.shown()
    for name, field in type(config).model_fields.items():
        table.add_row(name, _plain(str(shown[name])), field.description or "")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", show_lines=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _plain(text: str) -> Text:
    """Wraps a text so that rich prints it literally; otherwise rich would interpret brackets as markup."""
    return Text(text)
