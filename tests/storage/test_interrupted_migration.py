"""A migration that is interrupted leaves the old schema with all its rows, and the next open completes it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from memoryos.errors import StoreError
from memoryos.storage.database_urls import open_database
from memoryos.storage.migrations import HEAD, KNOWN, State, state_of
from memoryos.storage.store import Store
from tests.storage.old_stores import TOM, in_transaction, old_rows, rows_of

BEFORE_OFFSETS = "0010"
MAX_STATEMENTS = 1_000


class CrashError(Exception):
    """Raised in place of a statement."""


@contextmanager
def failing_at(number: int) -> Iterator[list[str]]:
    """Raises ``CrashError`` in place of the statement with this number, from 0; yields the executed statements."""
    executed: list[str] = []

    def run(statement: str) -> None:
        if len(executed) == number:
            raise CrashError(statement.strip())
        executed.append(statement.strip())

    def fail(*values: Any) -> None:
        run(values[2])

    def fail_to_commit(_: Any) -> None:
        run("COMMIT")

    events = (("before_cursor_execute", fail), ("commit", fail_to_commit))
    for name, function in events:
        sa.event.listen(sa.Engine, name, function)
    try:
        yield executed
    finally:
        for name, function in events:
            sa.event.remove(sa.Engine, name, function)


def contents(url: str) -> dict[str, list[dict[str, Any]]]:
    """Returns all rows of all tables."""
    with in_transaction(url) as connection:
        return {name: rows_of(connection, name) for name in sa.inspect(connection).get_table_names()}


def check_complete(url: str) -> None:
    with Store(url) as store:
        assert {each.knowledge_id for each in store.long_term.facts(TOM)} > {
            row["knowledge_id"] for row in old_rows("knowledge", TOM)
        }
        assert store.log.count(TOM) == len(old_rows("pages", TOM))
        store.erase()
        assert store.verify() == []
    with in_transaction(url) as connection:
        assert state_of(connection) is State.CURRENT
        assert "knowledge" not in sa.inspect(connection).get_table_names()


def test_failure_at_any_statement_changes_nothing(make_old_store: Callable[[str], str]) -> None:
    url = make_old_store(BEFORE_OFFSETS)
    before = contents(url)
    assert before["alembic_version"] == [{"version_num": BEFORE_OFFSETS}]
    failed: list[str] = []
    for number in range(MAX_STATEMENTS):
        with failing_at(number) as executed:
            try:
                open_database(url).close()
            except CrashError as error:
                failed.append(str(error))
            else:
                break
        if not failed[-1].startswith(("BEGIN", "PRAGMA", "SELECT", "SHOW")):
            assert contents(url) == before, failed[-1]
    assert number == len(failed) == len(executed)
    text = "\n".join(failed)
    changes = ("ADD COLUMN utc_offset_minutes", "CREATE TABLE facts", "INSERT INTO facts", "DROP TABLE knowledge",
               f"SET version_num='{HEAD}'", "COMMIT")  # fmt: skip
    assert [each for each in changes if each not in text] == []
    assert text.index("INSERT INTO facts") < text.index("DROP TABLE knowledge")
    check_complete(url)


KILLED = """
import os, signal, sys
import sqlalchemy as sa
from memoryos.storage.store import Store
def kill(connection, cursor, statement, *_):
    if statement.strip().startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
sa.event.listen(sa.Engine, "after_cursor_execute", kill)
Store(sys.argv[1]).close()
"""


@pytest.mark.parametrize(
    "statement", ["ALTER TABLE pages", "CREATE TABLE facts", "INSERT INTO facts", "DROP TABLE know"]
)
def test_process_killed_during_the_migration(make_old_store: Callable[[str], str], statement: str) -> None:
    url = make_old_store(BEFORE_OFFSETS)
    before = contents(url)
    done = subprocess.run([sys.executable, "-c", KILLED, url, statement], capture_output=True, check=False, timeout=120)
    assert done.returncode == -9, done.stderr
    assert contents(url) == before
    check_complete(url)


@pytest.mark.parametrize("revision", [each for each in KNOWN if each >= "0006"])
def test_store_of_each_schema_since_the_old_release_is_migrated(
    make_old_store: Callable[[str], str], revision: str
) -> None:
    url = make_old_store(revision)
    with in_transaction(url) as connection:
        assert rows_of(connection, "alembic_version") == [{"version_num": revision}]
    check_complete(url)


def test_failed_migration_is_reported_and_can_be_repeated(make_old_store: Callable[[str], str]) -> None:
    url = make_old_store(BEFORE_OFFSETS)
    with in_transaction(url) as connection:
        connection.execute(sa.text("CREATE TABLE facts (reason TEXT)"))
    with pytest.raises(StoreError, match="facts"):
        Store(url)
    with in_transaction(url) as connection:
        connection.execute(sa.text("DROP TABLE facts"))
    check_complete(url)
