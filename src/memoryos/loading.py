"""``Loader``: imports files into a memory, and exports all memories of a database."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from memoryos.errors import InputError
from memoryos.importing.detect import read_source
from memoryos.inputs import read_scope
from memoryos.storage.usage import Usage, bytes_of
from memoryos.transfer import ExportReader, is_export, write_export

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from memoryos.importing.sources import Source
    from memoryos.model import PageDraft, Scope
    from memoryos.redaction import Redactor
    from memoryos.storage.store import Store

__all__ = ["Loaded", "Loader"]

PAGES_PER_COMMIT = 500
_SEVERAL_USERS = "contains several users; import all of them with MemoryEngine.load or `memoryos import --all`"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result of an import.

    Attributes:
        pages: Number of pages that were added.
        known: Number of pages that were skipped because the memory contains them already.
        forgotten: Number of pages that were skipped because they were forgotten in this memory.
        tiers: Whether segments, facts and profile were imported too. Otherwise they are derived from the pages later.
        problems: Descriptions of the parts of the file that could not be read, each with file and position.
    """

    pages: int
    known: int = 0
    forgotten: int = 0
    tiers: bool = False
    problems: tuple[str, ...] = ()


class Loader:
    """Imports files into memories, and exports all memories of a database.

    Args:
        store: The database and its tables.
        redactor: Replaces secrets in a page before the page is stored.
        clock: Returns the current time, in the time zone of times without one. Pages without a time get this time.
    """

    def __init__(self, store: Store, redactor: Redactor, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._redactor = redactor
        self._clock = clock

    def load(self, path: Path, scope: Scope, *, progress: Callable[[int], None] | None = None) -> Loaded:
        """Imports a file of one user into one memory. Ids of users and assistants in the file are ignored.

        Args:
            path: The file.
            scope: The user and the assistant whose memory receives the pages.
            progress: Called with the number of pages added so far.

        Raises:
            InputError: If the file can't be read or contains several users; nothing was added.
        """
        if is_export(path):
            if len(self._owners(path)) > 1:
                raise InputError("path", f"{path} {_SEVERAL_USERS}")
            return self._restore(path, lambda _: scope).get(scope, Loaded(0))
        sources = read_source(path, self._clock())
        if len({(source.user_id, source.assistant_id) for source in sources}) > 1:
            raise InputError("path", f"{path} {_SEVERAL_USERS}")
        return self._append(sources, scope, progress)

    def load_store(self, path: Path, assistant_id: str) -> dict[Scope, Loaded]:
        """Imports a file or folder of many users, one memory for each user and assistant.

        Args:
            path: An export of all memories, or the data folder of the program published with the MemoryOS paper.
            assistant_id: Id of the assistant for users whose assistant is not named in the file.

        Returns:
            What was imported, for each pair of user and assistant.

        Raises:
            InputError: If the file can't be read or does not contain user ids. Users that were imported before the
                error are kept.
        """
        if is_export(path):
            return self._restore(path, lambda owner: owner)
        by_owner: dict[Scope, list[Source]] = {}
        for source in read_source(path, self._clock()):
            if source.user_id is None:
                raise InputError("path", f"{path} contains no user ids; import it for one user with Memoryos.load")
            owner = read_scope(source.user_id, source.assistant_id or assistant_id)
            by_owner.setdefault(owner, []).append(source)
        return {owner: self._append(sources, owner, None) for owner, sources in by_owner.items()}

    def export_store(self, path: Path) -> int:
        """Writes the memories of all users to a new file, and returns the number of pages.

        Raises:
            InputError: If the file exists or can't be written.
        """
        return write_export(path, self._all(), self._store.scratch_dir.partial_file)

    def _all(self) -> Iterator[tuple[Scope, Iterable[Mapping[str, Any]]]]:
        for scope_id, scope in self._store.scopes.all().items():
            yield scope, self._store.portable.dump(scope_id)

    def _owners(self, path: Path) -> list[Scope]:
        with ExportReader(path) as reader:
            return [scope for scope, records in reader.scopes() for _ in [sum(1 for _ in records)]]

    def _restore(self, path: Path, target: Callable[[Scope], Scope]) -> dict[Scope, Loaded]:
        found: dict[Scope, Loaded] = {}
        with ExportReader(path) as reader:
            for owner, records in reader.scopes():
                scope_id = self._store.scopes.open(target(owner), self._clock())
                try:
                    redacted = map(self._redactor.record, records)
                    restored = self._store.portable.restore(scope_id, redacted, is_format_1=reader.format == 1)
                except InputError as error:
                    raise error if error.field == "path" else reader.at_fault(error) from error
                found[target(owner)] = Loaded(restored.pages, restored.known, restored.forgotten, restored.tiers)
        return found

    def _append(self, sources: Iterable[Source], scope: Scope, progress: Callable[[int], None] | None) -> Loaded:
        """Adds the pages of all sources in order of time. If they exceed the quota of the memory, none is added."""
        found = list(sources)
        count = sum(len(source.drafts) for source in found)
        problems = tuple(problem for source in found for problem in source.problems)
        if count:
            scope_id = self._store.scopes.open(scope, self._clock())
            self._store.log.check_quota(scope_id, lambda: Usage(count, sum(map(bytes_of, self._drafts(found)))))
            drafts, added = self._drafts(found), 0
            while part := list(islice(drafts, PAGES_PER_COMMIT)):
                self._store.log.append(scope_id, part, self._clock())
                added += len(part)
                if progress is not None:
                    progress(added)
        return Loaded(count, problems=problems)

    def _drafts(self, sources: Iterable[Source]) -> Iterator[PageDraft]:
        drafts = heapq.merge(*(source.drafts for source in sources), key=lambda draft: draft.at)
        return map(self._redactor.draft, drafts)
