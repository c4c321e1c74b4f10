"""Loading: files of ours and of other programs become memories."""

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

PAGES_A_COMMIT = 500


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a file.

    Attributes:
        pages: Pages that were added.
        known: Pages that were there already.
        forgotten: Pages that were forgotten here, and so stay forgotten.
        tiers: Whether the tiers were read too, so that nothing has to be derived again.
        problems: What could not be read, with file and place, without content.
    """

    pages: int
    known: int = 0
    forgotten: int = 0
    tiers: bool = False
    problems: tuple[str, ...] = ()


class Loader:
    """Reads files into scopes, and a whole store into a file.

    Args:
        store: Where everything is kept.
        redactor: Replaces secrets before anything is stored.
        clock: Returns now (aware, UTC): the time of pages that have none.
    """

    def __init__(self, store: Store, redactor: Redactor, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._redactor = redactor
        self._clock = clock

    def load(self, path: Path, scope: Scope, *, progress: Callable[[int], None] | None = None) -> Loaded:
        """Reads a file of one user with one assistant into a scope, whatever names are in the file.

        Raises:
            InputError: If nothing can be read, or it holds the memories of several; nothing was added then.
        """
        if is_export(path):
            if len(self._owners(path)) > 1:
                raise InputError("path", f"{path} holds the memories of several users; load it as a store")
            return self._restore(path, lambda _: scope).get(scope, Loaded(0))
        sources = read_source(path, self._clock())
        if len({(source.user_id, source.assistant_id) for source in sources}) > 1:
            raise InputError("path", f"{path} holds the memories of several users; load it as a store")
        return self._append(sources, scope, progress)

    def load_store(self, path: Path, assistant_id: str) -> dict[Scope, Loaded]:
        """Reads a file or folder of many users, each into a scope of its own.

        Args:
            path: An export of a store, or the folder of the published program.
            assistant_id: The assistant where the file names none.

        Raises:
            InputError: If nothing can be read, or a user is not named; what was read before stays.
        """
        if is_export(path):
            return self._restore(path, lambda owner: owner)
        by_owner: dict[Scope, list[Source]] = {}
        for source in read_source(path, self._clock()):
            if source.user_id is None:
                raise InputError("path", f"{path} does not say whose memories it holds; load it into one memory")
            owner = read_scope(source.user_id, source.assistant_id or assistant_id)
            by_owner.setdefault(owner, []).append(source)
        return {owner: self._append(sources, owner, None) for owner, sources in by_owner.items()}

    def export_store(self, path: Path) -> int:
        """Writes every scope of the store to a new file; returns how many pages.

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
                    restored = self._store.portable.restore(scope_id, map(self._redactor.record, records))
                except InputError as error:
                    raise error if error.field == "path" else reader.at_fault(error) from error
                found[target(owner)] = Loaded(restored.pages, restored.known, restored.forgotten, restored.tiers)
        return found

    def _append(self, sources: Iterable[Source], scope: Scope, progress: Callable[[int], None] | None) -> Loaded:
        """Adds the pages of all sources in order of time, if the quota of the scope leaves room for all of them."""
        found = list(sources)
        count = sum(len(source.drafts) for source in found)
        problems = tuple(problem for source in found for problem in source.problems)
        if count:
            scope_id = self._store.scopes.open(scope, self._clock())
            self._store.log.check_quota(scope_id, lambda: Usage(count, sum(map(bytes_of, self._drafts(found)))))
            drafts, added = self._drafts(found), 0
            while part := list(islice(drafts, PAGES_A_COMMIT)):
                self._store.log.append(scope_id, part, self._clock())
                added += len(part)
                if progress is not None:
                    progress(added)
        return Loaded(count, problems=problems)

    def _drafts(self, sources: Iterable[Source]) -> Iterator[PageDraft]:
        drafts = heapq.merge(*(source.drafts for source in sources), key=lambda draft: draft.at)
        return map(self._redactor.draft, drafts)
