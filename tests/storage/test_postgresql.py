"""PostgreSQL only: row-level security, closed connections, concurrent writers and erasure."""

from __future__ import annotations

import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from memoryos.errors import (
    ConfigError,
    SchemaMismatchError,
    StoreConflictError,
    StoreError,
    StoreUnavailableError,
)
from memoryos.identifiers import new_id
from memoryos.model import PageDraft, Scope
from memoryos.storage.database import ContendedError
from memoryos.storage.database_urls import open_database
from memoryos.storage.lease import Lease
from memoryos.storage.migrations import HEAD
from memoryos.storage.schema import metadata, pages
from memoryos.storage.store import Store
from memoryos.testing import FixedClock
from tests.conftest import EngineMaker
from tests.postgres import Server

NOW = FixedClock()()
pytestmark = pytest.mark.kinds("postgresql")
END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'memoryos'"
SECRET = "The codeword is Zuvalka."
ROW: dict[str, Any] = {
    "seq": 1,
    "page_id": "p",
    "at": NOW,
    "user_text": SECRET,
    "assistant_text": "",
    "metadata": {},
    "profiled": False,
}


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    with Store(place) as opened:
        yield opened


@pytest.fixture
def scope_ids(store: Store) -> list[str]:
    ids = [store.scopes.open(Scope(user, "a"), NOW) for user in ("ann", "tom")]
    for scope_id in ids:
        store.log.append(scope_id, [PageDraft(NOW, f"{SECRET} {scope_id}", "")], NOW)
    return ids


def seen(connection: sa.Connection) -> set[str]:
    return set(connection.execute(sa.select(pages.c.scope_id)).scalars())


def test_row_level_security_limits_statements_without_a_scope_condition(store: Store, scope_ids: list[str]) -> None:
    with store._database.read(scope_ids[0]) as connection:
        assert seen(connection) == {scope_ids[0]}
    with store._database.write(scope_ids[0]) as connection:
        assert connection.execute(sa.update(pages).values(user_text="x")).rowcount == 1
        assert connection.execute(sa.delete(pages)).rowcount == 1
    with store._database.read() as connection:
        assert seen(connection) == {scope_ids[1]}
    assert next(store.log.after(scope_ids[1])).user_text == f"{SECRET} {scope_ids[1]}"


def test_row_of_another_scope_cannot_be_written(store: Store, scope_ids: list[str]) -> None:
    with pytest.raises(StoreError, match="row-level security"), store._database.write(scope_ids[0]) as connection:
        connection.execute(sa.insert(pages).values(scope_id=scope_ids[1], **(ROW | {"seq": 9})))
    assert store.log.count(scope_ids[1]) == 1


@pytest.mark.usefixtures("scope_ids")
def test_connection_without_a_scope_setting_sees_no_rows(store: Store) -> None:
    with store._database._engine.connect() as connection:
        assert seen(connection) == set()
        for table in metadata.tables.values():
            if "scope_id" in table.columns:
                forced = "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relname = :name"
                assert connection.execute(sa.text(forced), {"name": table.name}).scalar_one(), table.name


@pytest.mark.parametrize("scope_id", ["'; DROP TABLE pages; --", "' OR true --", "%s", "\\", "*", "%(x)s"])
def test_scope_id_with_special_characters_is_escaped(store: Store, scope_ids: list[str], scope_id: str) -> None:
    assert store.log.count(scope_id) == 0
    assert store.log.count(scope_ids[0]) == 1


def test_server_errors_do_not_quote_content(store: Store, scope_ids: list[str]) -> None:
    for bad in (ROW, ROW | {"seq": 2, "profiled": None}):
        with pytest.raises(StoreConflictError) as caught, store._database.write(scope_ids[0]) as connection:
            connection.execute(sa.insert(pages).values(scope_id=scope_ids[0], **bad))
        assert "Zuvalka" not in "".join(traceback.format_exception(caught.value))


def test_writers_of_one_scope_are_serialized_and_other_scopes_are_not(
    store: Store, place: str, scope_ids: list[str]
) -> None:
    with Store(place) as other:
        with store._database.write(scope_ids[0]):
            other.log.append(scope_ids[1], [PageDraft(NOW, "beside", "")], NOW)
            waiting = threading.Thread(
                target=lambda: other.log.append(scope_ids[0], [PageDraft(NOW, "behind", "")], NOW)
            )
            waiting.start()
            waiting.join(0.3)
            assert waiting.is_alive()
            assert not other.scopes.claim(Lease(scope_ids[0], "me", NOW), NOW), "a claim must not wait for the row lock"
        waiting.join(30)
    assert [page.user_text for page in store.log.after(scope_ids[0])][1:] == ["behind"]


def test_aborted_write_is_retried(store: Store, scope_ids: list[str]) -> None:
    tries = []

    def unlucky(connection: sa.Connection) -> str:
        tries.append(1)
        connection.execute(
            sa.update(pages).where(pages.c.scope_id == scope_ids[0]).values(user_text=f"try {len(tries)}")
        )
        if len(tries) < 3:
            connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$")
        return "done"

    assert store._database.write_grouped(scope_ids[0], unlucky) == "done"
    assert next(store.log.after(scope_ids[0])).user_text == "try 3"
    with pytest.raises(ContendedError):
        store._database.write_grouped(
            scope_ids[0],
            lambda connection: connection.exec_driver_sql(
                "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$"
            ),
        )


def test_connections_closed_by_the_server_are_replaced(
    store: Store, scope_ids: list[str], postgres: Server, place: str
) -> None:
    lease = Lease(scope_ids[0], f"host:1:{new_id()}", NOW)
    for _ in range(2):
        with store.liveness.hold(lease):
            assert store.liveness.is_alive(lease.scope_id, lease.owner)
        postgres.execute(END_SESSIONS)
        assert store.log.count(scope_ids[0]) == 1
    with store.liveness.hold(lease), Store(place) as other:
        assert other.log.count(scope_ids[0]) == 1
        postgres.execute(END_SESSIONS)
        store.log.append(scope_ids[0], [PageDraft(NOW, "after", "")], NOW)


def test_closed_store_opens_no_new_session(place: str, scope_ids: list[str]) -> None:
    store = Store(place)
    store.close()
    store.close()
    with pytest.raises(StoreUnavailableError), store.liveness.hold(Lease(scope_ids[0], f"host:1:{new_id()}", NOW)):
        pass
    with pytest.raises(StoreUnavailableError):
        store.log.count(scope_ids[0])


def test_concurrent_processes_initialize_an_empty_database(postgres: Server) -> None:
    url = postgres.empty_database()
    script = "import sys; from memoryos.storage.store import Store; Store(sys.argv[1]).close()"
    running = [subprocess.Popen([sys.executable, "-c", script, url]) for _ in range(3)]
    assert [each.wait(60) for each in running] == [0, 0, 0]
    with Store(url) as store, store._database.read() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == HEAD
    postgres.drop(url)


def test_database_of_another_program_or_later_release_is_rejected(postgres: Server) -> None:
    url = postgres.empty_database()
    name = url.split("@/")[1].split("?")[0]
    postgres.execute("CREATE TABLE recipes (name text)", name)
    with pytest.raises(SchemaMismatchError):
        Store(url)
    postgres.execute("DROP TABLE recipes", name)
    Store(url).close()
    postgres.execute("UPDATE alembic_version SET version_num = '9999'", name)
    with pytest.raises(SchemaMismatchError):
        Store(url)
    postgres.drop(url)


def test_unusable_server_raises_a_clear_error(postgres: Server) -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        open_database("postgresql://tom:secret@127.0.0.1:1/none?connect_timeout=2")
    assert "secret" not in str(caught.value)
    postgres.execute("CREATE DATABASE latin OWNER memoryos ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(ConfigError, match="UTF8"):
        open_database(postgres.url("latin"))
    for bad in ("postgresql+asyncpg://host/db", "mysql://host/db"):
        with pytest.raises(ConfigError):
            open_database(bad)


def test_url_with_and_without_the_driver_name(place: str, scope_ids: list[str]) -> None:
    for other in (place.replace("postgresql:", "postgresql+psycopg:"), place.replace("postgresql:", "postgres:")):
        with Store(other) as opened:
            assert opened.log.count(scope_ids[0]) == 1


def test_commit_is_durable_with_synchronous_commit_off(place: str, postgres: Server) -> None:
    name = place.split("@/")[1].split("?", maxsplit=1)[0]
    for given, found in (("off", "on"), ("remote_apply", "remote_apply")):
        postgres.execute(f"ALTER DATABASE {name} SET synchronous_commit = {given}")
        with Store(place) as store, store._database.read() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == found
    postgres.execute(f"ALTER DATABASE {name} RESET synchronous_commit")


def test_forgotten_text_is_in_no_row_and_the_receipt_is_not_complete(
    make_engine: EngineMaker, postgres: Server, place: str
) -> None:
    memory = make_engine().memory("tom", "helper")
    page = memory.add_memory(SECRET, "I won't tell.")
    memory.add_memory("I bake rye bread.")
    memory.flush()
    receipt = memory.forget(page_ids=[page.page_id])
    assert not receipt.erased
    name = place.split("@/")[1].split("?", maxsplit=1)[0]
    for table in metadata.tables:
        assert "Zuvalka" not in str(postgres.execute(f"TABLE {table}", name)), table
    assert postgres.execute("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'pages'", name) == [(0,)]


def test_backup_of_a_server_is_rejected(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pg_dump"):
        store.back_up(tmp_path / "copy.db")
    assert list(tmp_path.glob("copy*")) == []
