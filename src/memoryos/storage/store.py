"""The store: one database, and the tables of the tiers as rooms of it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from memoryos.storage.backing_up import back_up
from memoryos.storage.backlog import StoreTotals
from memoryos.storage.copying import copy_log, replace_tiers
from memoryos.storage.costs import CostTable
from memoryos.storage.due import DueTable
from memoryos.storage.erasing import ErasureTable
from memoryos.storage.forgetting import ForgettingTable
from memoryos.storage.idempotency import NoteTable
from memoryos.storage.keys import KeyTable
from memoryos.storage.long_term import LongTermTable
from memoryos.storage.mid_term import MidTermTable
from memoryos.storage.moving import Moved, copy_keys, copy_scope
from memoryos.storage.pages import PageLog
from memoryos.storage.places import open_database
from memoryos.storage.portable import PortableTable
from memoryos.storage.scopes import Scopes
from memoryos.storage.usage import NO_QUOTA
from memoryos.storage.vectors import VectorTable
from memoryos.storage.verifying import find_faults
from memoryos.storage.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from memoryos.storage.presence import Presence
    from memoryos.storage.scopes import Lease
    from memoryos.storage.usage import Quota

__all__ = ["Store"]


class Store:
    """Everything that is kept of all scopes; every method of its rooms takes the scope's id first.

    Only keys belong to no scope, as they say who may come in, and totals to all.

    Args:
        place: SQLAlchemy URL of the database, or the path of an SQLite file, which is made when it is missing.
        quota: The most that one scope may store; default: no limit.

    Raises:
        ConfigError: If the URL is of a kind that is not supported.
        StoreUnavailableError: If the file can't be opened or written.
        StoreUnreadableError: If the file is damaged or no database. It is left as it is.
        SchemaMismatchError: If a newer release or another program made it. It is left as it is.
    """

    def __init__(self, place: str | Path, *, quota: Quota = NO_QUOTA) -> None:
        self._database = open_database(place)
        self.workplace = Workplace(self._database.workplace_file)
        self.presence: Presence = self._database.presence or self.workplace
        self.workplace.sweep()
        self.scopes = Scopes(self._database)
        self.log = PageLog(self._database, quota)
        self.vectors = VectorTable(self._database)
        self.mid_term = MidTermTable(self._database)
        self.long_term = LongTermTable(self._database)
        self.costs = CostTable(self._database)
        self.forgetting = ForgettingTable(self._database)
        self.erasures = ErasureTable(self._database)
        self.portable = PortableTable(self._database, quota)
        self.keys = KeyTable(self._database)
        self.totals = StoreTotals(self._database)
        self.due = DueTable(self._database)
        self.notes = NoteTable(self._database)

    def snapshot(self, scope_id: str) -> AbstractContextManager[None]:
        """Has all that this thread reads of a scope inside the block come from one moment, in one transaction.

        Raises:
            StoreError: At the entry, if the store can't be read.
        """
        return self._database.snapshot(scope_id)

    @contextlib.contextmanager
    def scratch(self, lease: Lease) -> Iterator[Store]:
        """Yields an empty store beside this one, for a copy of the lease's scope; it is gone at the end.

        Raises:
            StoreUnavailableError: If it can't be made.
        """
        with contextlib.ExitStack() as stack:
            if self.presence is not self.workplace:
                stack.enter_context(self.workplace.present(lease))
            folder = stack.enter_context(self.workplace.folder(lease))
            yield stack.enter_context(Store(folder / "scratch.db"))

    def erase(self, scope_id: str | None = None, *, patience_seconds: float = 5.0) -> bool:
        """Erases deleted bytes that are due and removes copies that dead processes left.

        Args:
            scope_id: The scope whose copies count; None for all.
            patience_seconds: How long to wait for a reader in another process.

        Returns:
            Whether no deleted byte is left. A reader in another process may hold an old state, or a rebuild a copy;
            on a server it is never certain.
        """
        self.workplace.sweep()
        has_copy = self.workplace.has_copy(scope_id or "*")
        is_erased = self.erasures.erase(patience_seconds)
        return is_erased and self.erasures.is_complete and not has_copy

    def copy_log(self, target: Store, scope_id: str) -> None:
        """Copies a scope with its pages and their vectors, and nothing that was derived, into an empty store."""
        copy_log(self._database, target._database, scope_id)

    def take_over(self, source: Store, scope_id: str) -> Moved:
        """Copies a scope of another store with all that was derived, in one transaction, and compares both.

        Raises:
            StoreConflictError: If something else is here under its id or its owner; it is left as it is.
        """
        return copy_scope(source._database, self._database, scope_id)

    def take_over_keys(self, source: Store) -> int:
        """Copies the API keys of another store that are not here; returns how many.

        Raises:
            StoreConflictError: If a key of the same id is another one here.
        """
        return copy_keys(source._database, self._database)

    def replace_tiers(self, source: Store, lease: Lease, now: datetime) -> None:
        """Puts the tiers that were derived in another store in the place of this one's, in one transaction.

        Raises:
            StoreConflictError: If the lease was lost; nothing is written then.
        """
        replace_tiers(self._database, source._database, lease, now)

    def verify(self) -> list[str]:
        """Returns what is wrong with the file and the data of all scopes, one line a finding, without content."""
        return find_faults(self._database)

    def back_up(self, target: Path) -> None:
        """Copies everything, as it is at one moment, to a new file that opens as a store.

        Raises:
            InputError: If the file exists, or can't be written.
        """
        back_up(self._database, target, self.workplace)

    def close(self) -> None:
        """Closes every connection. Calling it twice is fine."""
        self._database.close()

    def __enter__(self) -> Store:  # noqa: PYI034
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
