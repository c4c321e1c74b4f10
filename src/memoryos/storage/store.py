"""The store: one open database, with one table object for each kind of data."""

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
from memoryos.storage.reading_table import ReadingTable
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
    """An open store: all data in one database, with one attribute for each kind of data.

    Most data belongs to a scope: the memory of one user and one assistant. Methods of the attributes take the scope id
    as their first argument. The exceptions are the methods of ``keys`` (API keys belong to users), of ``settings``
    (of the whole store) and of ``totals`` (sums over all scopes).

    Args:
        place: SQLAlchemy URL of the database, or path of an SQLite file. A missing SQLite file is created.
        quota: Maximum storage of each scope. Default: no limit.

    Raises:
        ConfigError: If this kind of URL is not supported.
        StoreUnavailableError: If the database can't be opened or written.
        StoreUnreadableError: If the file is damaged or is not a database. The file is not changed.
        SchemaMismatchError: If a newer release or another program created the database. It is not changed.
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
        self.readings = ReadingTable(self._database)
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
        """Opens a read transaction for the block. Every read of the scope in the block uses this transaction.

        So all these reads return data from the same moment. This applies only to reads in the thread that entered the
        block.

        Raises:
            StoreError: At the start of the block, if the store can't be read.
        """
        return self._database.snapshot(scope_id)

    @contextlib.contextmanager
    def scratch(self, lease: Lease) -> Iterator[Store]:
        """Creates an empty temporary store for a copy of a scope; deletes it when the block ends.

        Args:
            lease: The lease that this process holds on the scope.

        Raises:
            StoreUnavailableError: If the temporary store can't be created.
        """
        with contextlib.ExitStack() as stack:
            if self.liveness is not self.scratch_dir:
                stack.enter_context(self.scratch_dir.hold(lease))
            folder = stack.enter_context(self.scratch_dir.folder(lease))
            yield stack.enter_context(Store(folder / "scratch.db"))

    def erase(self, scope_id: str | None = None, *, timeout_seconds: float = 5.0) -> bool:
        """Removes deleted bytes from the database files and deletes temporary copies of terminated processes.

        Args:
            scope_id: The scope whose temporary copies count for the result. None: the copies of all scopes count.
            timeout_seconds: How long to wait for readers in other processes.

        Returns:
            Whether no deleted byte is left. False if another process reads an older snapshot, or if a rebuild uses a
            temporary copy. Always False for a database on a server.
        """
        self.scratch_dir.remove_abandoned()
        has_copy = self.scratch_dir.has_copy(scope_id or "*")
        is_erased = self.erasures.erase(timeout_seconds)
        return is_erased and self.erasures.is_complete and not has_copy

    def copy_log(self, target: Store, scope_id: str) -> None:
        """Copies the pages of a scope and their vectors to an empty store, without derived data.

        Derived data are the segments, chains, facts and profiles.
        """
        copy_log(self._database, target._database, scope_id)

    def copy_scope_from(self, source: Store, scope_id: str) -> CopiedScope:
        """Copies a scope with all its data from another store, in one transaction, and verifies the copy.

        Raises:
            StoreConflictError: If this store has a different scope with the same id or the same owner. That scope is
                not changed.
        """
        return copy_scope(source._database, self._database, scope_id)

    def copy_api_keys_from(self, source: Store) -> int:
        """Copies API keys from another store. Skips the keys that this store already has.

        Returns:
            The number of copied keys.

        Raises:
            StoreConflictError: If this store has a different key with the same id; no key is copied.
        """
        return copy_keys(source._database, self._database)

    def replace_tiers(self, source: Store, lease: Lease, now: datetime) -> None:
        """Replaces the derived data of a scope by the data in another store, in one transaction.

        Derived data are the segments, chains, facts and profiles.

        Raises:
            StoreConflictError: If another worker took the lease; nothing is written.
        """
        replace_tiers(self._database, source._database, lease, now)

    def verify(self) -> list[str]:
        """Checks the database files and the data of all scopes.

        Returns:
            All faults, one line for each. The lines contain ids and no texts of users.
        """
        return find_faults(self._database)

    def back_up(self, target: Path) -> None:
        """Writes a consistent copy of the whole database to a new file, which can be opened as a store.

        Raises:
            ConfigError: If the database is on a server.
            InputError: If the file already exists or can't be written.
        """
        back_up(self._database, target, self.scratch_dir)

    def close(self) -> None:
        """Closes all connections. Further calls have no effect."""
        self._database.close()

    def __enter__(self) -> Store:  # noqa: PYI034
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
