"""What keeps a memory right: consolidation on demand, rebuilding, loading, forgetting, corrections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from memoryos.errors import InputError, NotFoundError, StoreConflictError, StoreUnavailableError
from memoryos.inputs import read_query, read_time
from memoryos.views import MemoryView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from memoryos.assembly import AnalystKind
    from memoryos.loading import Loaded
    from memoryos.model import Knowledge
    from memoryos.updating.forgetter import Forgotten
    from memoryos.updating.rebuilding import Rebuilt

__all__ = ["MemoryUpkeep"]


class MemoryUpkeep(MemoryView):
    """The tiers of one scope, and all that changes them but conversation itself."""

    def force_mid_term_analysis(self) -> int:
        """Consolidates everything due and learns from every segment with unlearned pages, hot or not.

        Returns:
            How many segments were learned from.

        Raises:
            AnalystError: If the analyst failed; what was due stays due.
        """
        scope_id = self._find_scope_id()
        return 0 if scope_id is None else self._engine.updater.learn_everything(scope_id)

    def rebuild(
        self,
        analyst: AnalystKind | None = None,
        *,
        dry_run: bool = False,
        progress: Callable[[], None] | None = None,
    ) -> Rebuilt:
        """Derives all tiers again from the log and returns what that changes; what was known becomes history.

        Args:
            analyst: "llm" or "local"; default: the engine's own.
            dry_run: Whether to leave everything as it is and only say what would change.
            progress: Called before each step.

        Raises:
            AnalystError: If the analyst keeps failing; nothing was changed.
            ConfigError: If an LLM is asked for and none is set.
            NotFoundError: If nothing was ever remembered here.
        """
        scope_id = self._existing_scope_id()
        reader = self._engine.analyst_of(analyst)
        return self._engine.rebuilder.rebuild(scope_id, reader, dry_run=dry_run, progress=progress)

    def flush(self, timeout: float | None = None, *, progress: Callable[[], None] | None = None) -> None:
        """Consolidates all that slid out of short-term memory; afterwards no page is due.

        Args:
            timeout: Seconds after which it gives up; what is left stays due.
            progress: Called before each step.

        Raises:
            AnalystError: If the analyst failed; what was due stays due.
            EmbeddingError: If the embedder failed; likewise.
            StoreConflictError: If pages were forgotten meanwhile again and again; what is left stays due.
            TimeoutError: If the time was over first.
        """
        scope_id = self._find_scope_id()
        if scope_id is not None:
            self._engine.updater.flush(scope_id, timeout_seconds=timeout, before_step=progress)

    def embed(self, timeout: float = 0.2) -> bool:
        """Makes the vectors of what was added, so that meaning finds it at once; consolidates nothing, asks no LLM.

        Args:
            timeout: Seconds to wait for a worker that is busy with this memory.

        Returns:
            Whether no page is without a vector now; False if that worker took longer.

        Raises:
            EmbeddingError: If the embedder failed.
        """
        scope_id = self._find_scope_id()
        try:
            if scope_id is not None:
                self._engine.updater.embed(scope_id, lease_timeout_seconds=timeout)
        except (StoreConflictError, StoreUnavailableError):
            return False
        return True

    def load(self, path: str | Path, *, progress: Callable[[int], None] | None = None) -> Loaded:
        """Reads a file into this memory: an export of ours, pages, another program's files or a message list.

        Into an empty memory an export is read whole, tiers included; otherwise pages are added behind the newest ones,
        but for those that are there already or were forgotten here. See ``importing.detect`` for what is understood.

        Args:
            path: The file, or the folder of the published program.
            progress: Called with the number of pages added so far.

        Raises:
            InputError: If nothing can be read, or it holds the memories of several users; nothing was added then.
        """
        loaded = self._engine.loader.load(Path(path), self.scope, progress=progress)
        scope_id = self._find_scope_id()
        if scope_id is not None:
            self._wake(scope_id)
        return loaded

    def forget(
        self,
        *,
        page_ids: Iterable[str] = (),
        knowledge_ids: Iterable[str] = (),
        before: datetime | str | None = None,
        query_preview: str | None = None,
        everything: bool = False,
        dry_run: bool = False,
        erase: bool | None = True,
    ) -> Forgotten:
        """Forgets by id, for good: pages, their vectors, and everything that was derived from them.

        What was derived from other pages too is derived again from those. Later answers of the assistant that repeat
        what only forgotten pages said are deleted with them. What was forgotten is not learned again and not imported
        again, and when this returns with ``erased`` no byte of it is left in the files. Other writers wait less than
        half a second at a time, but longer while a file of hundreds of megabytes is erased.

        Args:
            page_ids: Pages.
            knowledge_ids: Facts; the pages that they were read in stay.
            before: Every page from before this time.
            query_preview: Says what would go with the pages that this query finds, those of the window too. Nothing is
                deleted by likeness: call again with their ids.
            everything: Whatever was remembered here.
            dry_run: Whether only to say what would go.
            erase: Whether to return when the bytes are erased too. False leaves that to the background, which erases
                at a quiet moment what was forgotten meanwhile, or else to ``close``. None waits where it is quick: for
                an SQLite file of up to 16 MB.

        Raises:
            InputError: If nothing or two different things are asked for.
            NotFoundError: If an id is not in this memory; nothing was forgotten.
            StoreError: If the store can't be written.
        """
        pages, entries = list(page_ids), list(knowledge_ids)
        moment = None if before is None else read_time("before", before)
        asked = [bool(pages or entries), moment is not None, query_preview is not None, everything]
        if sum(asked) != 1:
            raise InputError("forget", "takes ids, or before, or query_preview, or everything")
        scope_id = self._existing_scope_id()
        forgetter = self._engine.forgetter
        if query_preview is not None:
            dry_run, pages = True, list(self.recall(query_preview).found_page_ids)
        if moment is not None:
            receipt = forgetter.forget_before(scope_id, moment, dry_run=dry_run, erase=erase)
        elif everything:
            receipt = forgetter.forget_everything(scope_id, dry_run=dry_run, erase=erase)
        else:
            receipt = forgetter.forget(scope_id, pages, entries, dry_run=dry_run, erase=erase)
        if not dry_run:
            self._wake(scope_id)
        return receipt

    def correct(self, knowledge_id: str, text: str) -> Knowledge:
        """Puts a fact right; the old one goes into history and its wording is not learned again.

        Raises:
            InputError: If the text can't be used.
            NotFoundError: If there is no such current fact.
        """
        text = self._engine.redactor.text(read_query(text, field="text"))
        scope_id = self._existing_scope_id()
        right = self._engine.forgetter.correct(scope_id, knowledge_id, text)
        self._wake(scope_id)
        return right

    def _existing_scope_id(self) -> str:
        scope_id = self._find_scope_id()
        if scope_id is None:
            raise NotFoundError("nothing was remembered here yet")
        return scope_id
