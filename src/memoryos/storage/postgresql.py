"""PostgreSQL: many processes share one database; each write transaction first locks the row of its scope."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import event, exc

from memoryos.errors import ConfigError, StoreError
from memoryos.storage.advisory_locks import AdvisoryLiveness
from memoryos.storage.database import ContendedError, Database, mapped_errors
from memoryos.storage.schema import metadata
from memoryos.storage.scratch_dir import user_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PostgreSQLDatabase"]

Result = TypeVar("Result")
_log = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
"""Maximum attempts of a short write that the database aborts because of concurrent transactions."""
_POOL_CONNECTIONS = 16
"""Maximum pooled connections of one process; two more are used for liveness locks and change notifications."""
_WITHOUT_CONTENT = frozenset({"api_keys", "costs", "erasures", "owners", "scopes", "store_settings"})
_ANY_SCOPE = "*"
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL memoryos.scope_id = {scope}"
_WRITE = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL memoryos.scope_id = {scope}; "
    "SET LOCAL idle_in_transaction_session_timeout = '60s'"
)
_LOCK = "; SELECT 1 FROM scopes WHERE scope_id = {scope} FOR NO KEY UPDATE"
_LOCK_MIGRATIONS = "SELECT pg_advisory_xact_lock(7598243311)"
_PREPARE = """
    SET standard_conforming_strings = on;
    SET lock_timeout = '60s';
    SET client_encoding = 'UTF8';
    SET citus.propagate_set_commands = 'local';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""


class PostgreSQLDatabase(Database):
    """A PostgreSQL database, or a compatible one.

    A write transaction first locks the row of its scope and no other row, so it can base writes on its reads and
    deadlocks are impossible. The server itself flushes concurrent commits together, so there is no group commit here.
    A commit is on disk when it returns, independent of the server's ``synchronous_commit`` setting.

    Each transaction sends its scope id to the server in its first message, and row-level security limits it to the rows
    of that scope.

    Args:
        url: ``postgresql://user:password@host/database``, with libpq parameters as the query string.

    Raises:
        ConfigError: If the encoding of the database is not UTF-8.
        StoreUnavailableError: If the server can't be reached.
        SchemaMismatchError: If a newer release or another program created the schema. It is not changed.
    """

    def __init__(self, url: sa.URL) -> None:
        super().__init__(_engine(url))
        self.scratch_base = user_folder() / hashlib.sha256(str(url).encode()).hexdigest()[:16]
        self.liveness = self._presence = AdvisoryLiveness(self._engine)
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self._check_encoding()
            self._migrate()
            undo.pop_all()

    @property
    def erases_completely(self) -> bool:
        """False: the server's write-ahead log, standbys and backups keep deleted data until they expire."""
        return False

    @property
    def rewrites_quickly(self) -> bool:
        """False: the duration of VACUUM is unknown."""
        return False

    def rewrite(self, timeout_seconds: float = 5.0) -> bool:  # noqa: ARG002
        """Runs VACUUM on the tables with content; it does not block readers or writers.

        VACUUM makes the space of deleted rows reusable; new rows overwrite their bytes. Locked tables are skipped, so
        the server's autovacuum processes them later.
        """
        names = ", ".join(name for name in metadata.tables if name not in _WITHOUT_CONTENT)
        self._check_open()
        with mapped_errors(), self._raw() as connection:
            connection.execute(f"VACUUM (INDEX_CLEANUP OFF, TRUNCATE OFF, SKIP_LOCKED) {names}")
        return True

    def truncate_log(self, timeout_seconds: float = 5.0) -> bool:  # noqa: ARG002
        """Returns True, because PostgreSQL manages its write-ahead log itself."""
        return True

    def faults(self, connection: sa.Connection, max_lines: int) -> Iterator[str]:  # noqa: ARG002
        """Yields nothing, because PostgreSQL checks its constraints and files itself."""
        yield from ()

    def close(self) -> None:
        """Closes all connections; has no effect in a forked child, because the connections belong to the parent."""
        if not self.is_inherited:
            self._is_closed = True
            with contextlib.suppress(StoreError), mapped_errors():
                self._presence.close()
                self._engine.dispose()

    @contextlib.contextmanager
    def _reading(self, scope_id: str | None) -> Iterator[sa.Connection]:
        with self._transaction(_begin_statement(_READ, scope_id)) as connection:
            yield connection

    @contextlib.contextmanager
    def _writing(self, scope_id: str | None, *, waits: bool) -> Iterator[sa.Connection]:
        template = _WRITE + _LOCK if waits and scope_id is not None else _WRITE
        with self._transaction(_begin_statement(template, scope_id)) as connection:
            yield connection

    @contextlib.contextmanager
    def _migrating(self) -> Iterator[sa.Connection]:
        with self._transaction(_begin_statement(_WRITE, None)) as connection:
            connection.exec_driver_sql(_LOCK_MIGRATIONS)
            yield connection

    def _do_grouped(self, scope_id: str, work: Callable[[sa.Connection], Result]) -> Result:
        for _ in range(MAX_ATTEMPTS - 1):
            with contextlib.suppress(ContendedError), self.write(scope_id) as connection:
                return work(connection)
        with self.write(scope_id) as connection:
            return work(connection)

    @contextlib.contextmanager
    def _transaction(self, opening: str) -> Iterator[sa.Connection]:
        """Opens a transaction; reconnects once if the server has closed the pooled connection."""
        self._check_open()
        with contextlib.ExitStack() as stack:
            try:
                connection = stack.enter_context(self._open_transaction(opening))
            except exc.DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                connection = stack.enter_context(self._open_transaction(opening))
            yield connection

    @contextlib.contextmanager
    def _open_transaction(self, opening: str) -> Iterator[sa.Connection]:
        with self._engine.connect().execution_options(memoryos_begin=opening) as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def _raw(self) -> Iterator[Any]:
        """Yields a connection of the driver without a transaction."""
        connection = self._engine.raw_connection()
        try:
            yield connection.driver_connection
        finally:
            connection.close()

    def _check_encoding(self) -> None:
        with self.read() as connection:
            encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise ConfigError(f"the encoding of the database is {encoding}; create a database with ENCODING 'UTF8'")


def _engine(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        url,
        pool_size=_POOL_CONNECTIONS,
        max_overflow=0,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


class _BinaryCursor(psycopg.Cursor[Any]):
    """Requests results in binary format: vectors in text format are twice as long and twice as slow to read."""

    def execute(self, query: Any, params: Any = None, **given: Any) -> _BinaryCursor:
        """Executes a query; without parameters in text format, as it may contain several statements."""
        return super().execute(query, params, **(given | {"binary": bool(params)}))


def _prepare(connection: psycopg.Connection[Any], record: object) -> None:  # noqa: ARG001
    connection.autocommit = True
    connection.cursor_factory = _BinaryCursor
    connection.execute(_PREPARE)


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("memoryos_begin", "BEGIN"))


def _begin_statement(template: str, scope_id: str | None) -> str:
    scope = sql.Literal(_ANY_SCOPE if scope_id is None else scope_id).as_string()
    return template.format(scope=scope).replace("%", "%%")
