"""The store: one database with one table object for each kind of data."""

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
from memoryos.storage.store_settings import StoreSettings
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
    """All stored data, as one attribute for each kind.

    The methods of these attributes take the scope id as their first argument, except those of API keys and settings,
    which belong to no scope, and of totals, which cover all scopes.

    Args:
        place: SQLAlchemy URL of the database, or path of an SQLite file, which is created if it is missing.
        quota: Maximum that one scope may store; default: no limit.

    Raises:
        ConfigError: If the kind of URL is not supported.
        StoreUnavailableError: If the database can't be opened or written.
        StoreUnreadableError: If the file is damaged or not a database. It is not changed.
        SchemaMismatchError: If a newer release or another program created it. It is not changed.
    """

    def __init__(self, place: str | Path, *, quota: Quota = NO_QUOTA) -> None:
        self._database = open_database(place)
        self.scratch_dir = ScratchDir(self._database.scratch_base)
        self.liveness: Liveness = self._database.liveness or self.scratch_dir
        self.scratch_dir.remove_abandoned()
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
        self.settings = StoreSettings(self._database)
        self.idempotency = IdempotencyTable(self._database)

    def snapshot(self, scope_id: str) -> AbstractContextManager[None]:
        """Makes all reads of a scope by this thread inside the block share one read transaction.

        Raises:
            StoreError: At the start of the block, if the store can't be read.
        """
        return self._database.snapshot(scope_id)

    @contextlib.contextmanager
    def scratch(self, lease: Lease) -> Iterator[Store]:
        """Yields an empty temporary store for a copy of the lease's scope; deletes it when the block ends.

        Raises:
            StoreUnavailableError: If it can't be created.
        """
        with contextlib.ExitStack() as stack:
            if self.liveness is not self.scratch_dir:
                stack.enter_context(self.scratch_dir.hold(lease))
            folder = stack.enter_context(self.scratch_dir.folder(lease))
            yield stack.enter_context(Store(folder / "scratch.db"))

    def erase(self, scope_id: str | None = None, *, timeout_seconds: float = 5.0) -> bool:
        """Performs due erasures and removes the scratch copies of terminated processes.

        Args:
            scope_id: The scope whose scratch copies affect the result; None for all.
            timeout_seconds: How long to wait for readers in other processes.

        Returns:
            Whether no deleted byte is left. False if a process reads an older snapshot or a rebuild uses a scratch
            copy, and always False on a server.
        """
        self.scratch_dir.remove_abandoned()
        has_copy = self.scratch_dir.has_copy(scope_id or "*")
        is_erased = self.erasures.erase(timeout_seconds)
        return is_erased and self.erasures.is_complete and not has_copy

    def copy_log(self, target: Store, scope_id: str) -> None:
        """Copies a scope with its pages and their vectors, without derived data, to an empty store."""
        copy_log(self._database, target._database, scope_id)

    def copy_scope_from(self, source: Store, scope_id: str) -> CopiedScope:
        """Copies a scope with its derived data from another store, in one transaction, and verifies the copy.

        Raises:
            StoreConflictError: If a different scope with its id or owner exists here; it is not changed.
        """
        return copy_scope(source._database, self._database, scope_id)

    def copy_api_keys_from(self, source: Store) -> int:
        """Copies the missing API keys from another store; returns their number.

        Raises:
            StoreConflictError: If a key with the same id and other content exists here.
        """
        return copy_keys(source._database, self._database)

    def replace_tiers(self, source: Store, lease: Lease, now: datetime) -> None:
        """Replaces the derived tiers of a scope by those of another store, in one transaction.

        Raises:
            StoreConflictError: If the lease was lost; nothing is written then.
        """
        replace_tiers(self._database, source._database, lease, now)

    def verify(self) -> list[str]:
        """Returns all faults of the file and of the data of all scopes, one line per finding, without content."""
        return find_faults(self._database)

    def back_up(self, target: Path) -> None:
        """Writes a consistent copy of the whole database to a new file, which can be opened as a store.

        Raises:
            InputError: If the file exists, or can't be written.
        """
        back_up(self._database, target, self.scratch_dir)

    def close(self) -> None:
        """Closes all connections; has no effect when called again."""
        self._database.close()

    def __enter__(self) -> Store:  # noqa: PYI034
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
