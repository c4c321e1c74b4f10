"""The store: one database, and the tables of the tiers as rooms of it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from memoryos.storage.api_keys import KeyTable
from memoryos.storage.backup import back_up
from memoryos.storage.cost_table import CostTable
from memoryos.storage.database_urls import open_database
from memoryos.storage.due_scopes import DueTable
from memoryos.storage.erasures import ErasureTable
from memoryos.storage.forgetting_table import ForgettingTable
from memoryos.storage.idempotency import IdempotencyTable
from memoryos.storage.long_term_table import LongTermTable
from memoryos.storage.mid_term_table import MidTermTable
from memoryos.storage.page_log import PageLog
from memoryos.storage.portable import PortableTable
from memoryos.storage.rebuild_copy import copy_log, replace_tiers
from memoryos.storage.scopes import Scopes
from memoryos.storage.scratch_dir import ScratchDir
from memoryos.storage.store_copy import CopiedScope, copy_keys, copy_scope
from memoryos.storage.store_totals import StoreTotals
from memoryos.storage.usage import NO_QUOTA
from memoryos.storage.vector_table import VectorTable
from memoryos.storage.verification import find_faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from memoryos.storage.lease import Lease
    from memoryos.storage.liveness import Liveness
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
        self.scratch_dir = ScratchDir(self._database.scratch_base)
        self.liveness: Liveness = self._database.liveness or self.scratch_dir
        self.scratch_dir.sweep()
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
        self.idempotency = IdempotencyTable(self._database)

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
            if self.liveness is not self.scratch_dir:
                stack.enter_context(self.scratch_dir.hold(lease))
            folder = stack.enter_context(self.scratch_dir.folder(lease))
            yield stack.enter_context(Store(folder / "scratch.db"))

    def erase(self, scope_id: str | None = None, *, timeout_seconds: float = 5.0) -> bool:
        """Erases deleted bytes that are due and removes copies that dead processes left.

        Args:
            scope_id: The scope whose copies count; None for all.
            timeout_seconds: How long to wait for a reader in another process.

        Returns:
            Whether no deleted byte is left. A reader in another process may hold an old state, or a rebuild a copy;
            on a server it is never certain.
        """
        self.scratch_dir.sweep()
        has_copy = self.scratch_dir.has_copy(scope_id or "*")
        is_erased = self.erasures.erase(timeout_seconds)
        return is_erased and self.erasures.is_complete and not has_copy

    def copy_log(self, target: Store, scope_id: str) -> None:
        """Copies a scope with its pages and their vectors, and nothing that was derived, into an empty store."""
        copy_log(self._database, target._database, scope_id)

    def copy_scope_from(self, source: Store, scope_id: str) -> CopiedScope:
        """Copies a scope of another store with all that was derived, in one transaction, and compares both.

        Raises:
            StoreConflictError: If something else is here under its id or its owner; it is left as it is.
        """
        return copy_scope(source._database, self._database, scope_id)

    def copy_api_keys_from(self, source: Store) -> int:
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
        back_up(self._database, target, self.scratch_dir)

    def close(self) -> None:
        """Closes every connection. Calling it twice is fine."""
        self._database.close()

    def __enter__(self) -> Store:  # noqa: PYI034
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
