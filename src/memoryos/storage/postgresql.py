"""PostgreSQL: any number of processes on one database; whoever writes to a scope locks its row first."""

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
"""How often a short write is done again that the database gave up in favour of another."""
_POOL_CONNECTIONS = 16
"""Of one process, at most; two more are there for leases and hints."""
_WITHOUT_CONTENT = frozenset({"api_keys", "costs", "erasures", "owners", "scopes"})
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
    """A PostgreSQL database, or one that speaks like it.

    A write transaction locks the row of its scope before anything else, so that it may look and then write, and so that
    no two of them can wait for each other: each waits for one row only. Commits that come together share a flush in the
    server, so nothing is grouped here. A commit is on disk when it returns, whatever the server's settings say.

    Each transaction names its scope to the server, in the same message that begins it; row-level security shows it that
    scope alone.

    Args:
        url: ``postgresql://user:password@host/database``; libpq's parameters behind a question mark.

    Raises:
        ConfigError: If the database does not keep texts in UTF-8.
        StoreUnavailableError: If the server can't be reached.
        SchemaMismatchError: If a newer release or another program made the schema. It is left as it is.
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
        """Never: the server's write-ahead log, its standbys and backups keep what was deleted until they age out."""
        return False

    @property
    def rewrites_quickly(self) -> bool:
        """Never: nobody knows how much the server has to look through."""
        return False

    def rewrite(self, timeout_seconds: float = 5.0) -> bool:  # noqa: ARG002
        """Has the server remove deleted rows from the tables that hold content, without a lock that others notice.

        ``VACUUM`` makes the space of rows reusable that no running transaction can see; their bytes are overwritten
        as new rows arrive. A table that somebody has locked is left to the server's own autovacuum.
        """
        names = ", ".join(name for name in metadata.tables if name not in _WITHOUT_CONTENT)
        self._check_open()
        with mapped_errors(), self._raw() as connection:
            connection.execute(f"VACUUM (INDEX_CLEANUP OFF, TRUNCATE OFF, SKIP_LOCKED) {names}")
        return True

    def truncate_log(self, timeout_seconds: float = 5.0) -> bool:  # noqa: ARG002
        """Returns True: the server manages its log."""
        return True

    def faults(self, connection: sa.Connection, most: int) -> Iterator[str]:  # noqa: ARG002
        """Yields nothing: the server checks its constraints by itself, and its files when it reads them."""
        yield from ()

    def close(self) -> None:
        """Closes every connection; in a forked child nothing happens, as they are the parent's."""
        if not self.is_inherited:
            self._is_closed = True
            with contextlib.suppress(StoreError), mapped_errors():
                self._presence.close()
                self._engine.dispose()

    @contextlib.contextmanager
    def _reading(self, scope_id: str | None) -> Iterator[sa.Connection]:
        with self._transaction(_opening(_READ, scope_id)) as connection:
            yield connection

    @contextlib.contextmanager
    def _writing(self, scope_id: str | None, *, waits: bool) -> Iterator[sa.Connection]:
        template = _WRITE + _LOCK if waits and scope_id is not None else _WRITE
        with self._transaction(_opening(template, scope_id)) as connection:
            yield connection

    @contextlib.contextmanager
    def _migrating(self) -> Iterator[sa.Connection]:
        with self._transaction(_opening(_WRITE, None)) as connection:
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
        """Begins a transaction; of a connection that the server closed meanwhile nobody notices anything."""
        self._check_open()
        with contextlib.ExitStack() as stack:
            try:
                connection = stack.enter_context(self._begun(opening))
            except exc.DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                connection = stack.enter_context(self._begun(opening))
            yield connection

    @contextlib.contextmanager
    def _begun(self, opening: str) -> Iterator[sa.Connection]:
        with self._engine.connect().execution_options(memoryos_begin=opening) as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def _raw(self) -> Iterator[Any]:
        """Yields a connection of the driver outside any transaction."""
        connection = self._engine.raw_connection()
        try:
            yield connection.driver_connection
        finally:
            connection.close()

    def _check_encoding(self) -> None:
        with self.read() as connection:
            encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise ConfigError(f"the database keeps texts in {encoding}; make one with ENCODING 'UTF8'")


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
    """Has the server send values as they are: a vector would be twice as long as text, and be read twice as slowly."""

    def execute(self, query: Any, params: Any = None, **given: Any) -> _BinaryCursor:
        """Executes a statement; several in one message, which have no parameters, can be answered as text only."""
        return super().execute(query, params, **(given | {"binary": bool(params)}))


def _prepare(connection: psycopg.Connection[Any], record: object) -> None:  # noqa: ARG001
    connection.autocommit = True
    connection.cursor_factory = _BinaryCursor
    connection.execute(_PREPARE)


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("memoryos_begin", "BEGIN"))


def _opening(template: str, scope_id: str | None) -> str:
    scope = sql.Literal(_ANY_SCOPE if scope_id is None else scope_id).as_string()
    return template.format(scope=scope).replace("%", "%%")
