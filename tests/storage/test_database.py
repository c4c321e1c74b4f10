"""The database: rejected files, durability, migrations and errors."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
import sys
import threading
import traceback
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from memoryos.errors import (
    ConfigError,
    SchemaMismatchError,
    StoreConflictError,
    StoreUnavailableError,
    StoreUnreadableError,
)
from memoryos.model import PageDraft, Scope
from memoryos.storage.database_urls import open_database
from memoryos.storage.migrations import HEAD, KNOWN
from memoryos.storage.schema import metadata
from memoryos.storage.store import Store
from memoryos.testing import FixedClock

NOW = FixedClock()()


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'memoryos.db'}"


def add(store: Store, text: str) -> None:
    scope_id = store.scopes.open(Scope("u", "a"), NOW)
    store.log.append(scope_id, [PageDraft(NOW, text, "")], NOW)


def texts(store: Store) -> list[str]:
    return [page.user_text for page in store.log.after(store.scopes.open(Scope("u", "a"), NOW))]


def test_data_persists_after_reopening(tmp_path: Path) -> None:
    with Store(url(tmp_path)) as store:
        add(store, "one")
    with Store(url(tmp_path)) as store:
        assert texts(store) == ["one"]


def test_migrations_create_exactly_the_schema(tmp_path: Path) -> None:
    with Store(url(tmp_path)):
        pass
    engine = sa.create_engine(url(tmp_path))
    found = sa.inspect(engine)
    made = {name: {each["name"] for each in found.get_columns(name)} for name in found.get_table_names()}
    indexes = {each["name"] for name in metadata.tables for each in found.get_indexes(name)}
    engine.dispose()
    assert made.pop("alembic_version") == {"version_num"}
    assert made == {table.name: {column.name for column in table.columns} for table in metadata.tables.values()}
    assert indexes >= {str(index.name) for table in metadata.tables.values() for index in table.indexes}


def test_known_revisions_equal_the_migration_files() -> None:
    import memoryos.storage.migrations as package  # noqa: PLC0415

    files = sorted(each.name[:4] for each in (Path(package.__file__).parent / "versions").glob("0*.py"))
    assert files == list(KNOWN)
    assert KNOWN[-1] == HEAD


def test_writes_are_durable_and_erased_text_is_overwritten(tmp_path: Path) -> None:
    database = open_database(url(tmp_path))
    with database.read() as connection:
        pragmas = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in
                   ("journal_mode", "synchronous", "foreign_keys", "secure_delete")}  # fmt: skip
    database.close()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_database_errors_do_not_quote_content(tmp_path: Path) -> None:
    with Store(url(tmp_path)) as store:
        add(store, "precious")
        with pytest.raises(StoreConflictError) as caught, store._database.write() as connection:
            text = (
                "INSERT INTO pages (scope_id, seq, page_id, at, user_text, assistant_text, metadata, profiled) VALUES "
            )
            connection.execute(sa.text(f"{text} ('x', 1, 'p', 0, :words, '', '{{}}', 0)"), {"words": "Zuvalka"})
    chain = traceback.format_exception(caught.value)
    assert "FOREIGN KEY" in "".join(chain)
    assert "Zuvalka" not in "".join(chain).replace('{"words": "Zuvalka"}', "")


def test_newer_database_is_rejected_and_not_changed(tmp_path: Path) -> None:
    with Store(url(tmp_path)) as store:
        add(store, "precious")
    file = tmp_path / "memoryos.db"
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(SchemaMismatchError, match="newer"):
        Store(url(tmp_path))
    assert file.read_bytes() == before


def test_database_of_another_program_is_rejected(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "memoryos.db")
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(SchemaMismatchError):
        Store(url(tmp_path))


@pytest.mark.parametrize("content", [b'{"not": "a database"}' * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_file_without_a_database_is_rejected_and_not_changed(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "memoryos.db"
    file.write_bytes(content)
    with pytest.raises(StoreUnreadableError, match="the database was not changed"):
        Store(url(tmp_path))
    assert file.read_bytes() == content


def test_truncated_database_raises_error_when_read(tmp_path: Path) -> None:
    with Store(url(tmp_path)) as store:
        for number in range(50):
            add(store, f"{number} " * 400)
    file = tmp_path / "memoryos.db"
    torn = bytearray(file.read_bytes())
    torn[8192:] = b"\xaa" * (len(torn) - 8192)
    file.write_bytes(torn)
    with pytest.raises(StoreUnreadableError), Store(url(tmp_path)) as store:
        texts(store)
    assert bytes(torn)[:4096] == file.read_bytes()[:4096]


@pytest.mark.parametrize("bad", ["mysql://localhost/x", "sqlite://", "sqlite:///:memory:", "nonsense"])
def test_unsupported_database_kind_is_rejected(bad: str) -> None:
    with pytest.raises(ConfigError):
        open_database(bad)


def test_directory_that_cannot_be_created_raises_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailableError):
        Store(url(tmp_path / "file" / "store"))


FULL_DISK = """
import resource, sys
from memoryos.errors import StoreUnavailableError
from memoryos.model import PageDraft, Scope
from memoryos.storage.store import Store
from memoryos.testing import FixedClock
now = FixedClock()()
store = Store(sys.argv[1])
scope_id = store.scopes.open(Scope("u", "a"), now)
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
written = 0
try:
    for number in range(1000):
        store.log.append(scope_id, [PageDraft(now, f"{number} " + "x" * 2000, "")], now)
        written += 1
except StoreUnavailableError:
    print(written)
"""


def test_full_disk_raises_store_error_and_loses_no_acknowledged_page(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, url(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    written = int(done.stdout)
    assert 0 < written < 1000
    with Store(url(tmp_path)) as store:
        assert [text.split()[0] for text in texts(store)] == [str(number) for number in range(written)]


def test_read_only_store_raises_store_error(tmp_path: Path) -> None:
    with Store(url(tmp_path)) as store:
        add(store, "one")
    connection = sqlite3.connect(tmp_path / "memoryos.db")
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    target = tmp_path / "ro"
    target.mkdir()
    shutil.copy(tmp_path / "memoryos.db", target)
    script = (
        "import os, sqlite3, sys; from memoryos.storage.store import Store; from memoryos.errors import StoreUnavailableError\n"
        "os.setuid(65534) if os.getuid() == 0 else None\n"
        "try: Store(sys.argv[1])\nexcept StoreUnavailableError as error: print('refused:', error)"
    )
    for each in (target / "memoryos.db", target):
        each.chmod(0o555 if each.is_dir() else 0o444)
    for each in (tmp_path, *list(tmp_path.parents)[:-2]):
        each.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", script, url(target)], capture_output=True, text=True, check=False, timeout=60
    )
    assert "refused:" in done.stdout, done.stderr


def test_failed_write_is_rolled_back(tmp_path: Path) -> None:
    database = open_database(url(tmp_path))
    with pytest.raises(StoreConflictError), database.write() as connection:
        for _ in range(2):
            connection.exec_driver_sql(
                "INSERT INTO scopes VALUES ('s', 'u', 'a', 0, 0, 0, 0, NULL, NULL, 0, NULL, NULL, 0, 0, 0, NULL)"
            )
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM scopes").scalar() == 0
    database.close()


def test_concurrent_threads_lose_no_page(tmp_path: Path) -> None:
    with Store(url(tmp_path)) as store:
        scope_id = store.scopes.open(Scope("u", "a"), NOW)

        def write(name: int) -> None:
            for number in range(20):
                store.log.append(scope_id, [PageDraft(NOW, f"{name}-{number}", "")], NOW)

        threads = [threading.Thread(target=write, args=(name,)) for name in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        pages = list(store.log.after(scope_id))
    assert [page.seq for page in pages] == list(range(1, 121))
    assert len({page.user_text for page in pages}) == 120


def test_database_of_each_earlier_release_is_migrated_and_keeps_its_pages(tmp_path: Path) -> None:
    for known in KNOWN[:-1]:
        folder = tmp_path / known
        folder.mkdir()
        with Store(url(folder)) as store:
            add(store, "before the upgrade")
        _downgrade(folder / "memoryos.db", known)
        with Store(url(folder)) as store:
            scope_id = store.scopes.find(Scope("u", "a"))
            assert scope_id is not None
            assert [page.user_text for page in store.log.after(scope_id)] == ["before the upgrade"]
            assert store.log.count_provisional(scope_id) == 0
            assert store.costs.of(scope_id) == []
            assert store.scopes.state(scope_id).reset_revision == 0


@pytest.mark.kinds("sqlite")
def test_tombstones_of_earlier_releases_are_converted_to_keyed_marks(tmp_path: Path) -> None:
    with Store(url(tmp_path)) as store:
        add(store, "before the upgrade")
        scope_id = store.scopes.find(Scope("u", "a"))
        page = next(store.log.after(str(scope_id)))
    _downgrade(tmp_path / "memoryos.db", "0006")
    text_mark = hashlib.sha256(b"likes tea").hexdigest()
    with closing(sqlite3.connect(tmp_path / "memoryos.db")) as connection, connection:
        rows = [(scope_id, "page", "an-id", 0), (scope_id, "text", text_mark, 0)]
        connection.executemany("INSERT INTO tombstones VALUES (?, ?, ?, ?)", rows)
    with Store(url(tmp_path)) as store:
        assert "an-id" in store.forgetting.forgotten_pages(str(scope_id))
        assert page.page_id not in store.forgetting.forgotten_pages(str(scope_id))
        assert "Likes tea." in store.forgetting.refusals(str(scope_id))
        assert "Likes coffee." not in store.forgetting.refusals(str(scope_id))
        assert store.erasures.due_since() is not None
        assert store.erase()
    content = (tmp_path / "memoryos.db").read_bytes()
    assert b"an-id" not in content
    assert text_mark.encode() not in content


def _downgrade(file: Path, revision: str) -> None:
    """Removes the tables and columns that later releases added."""
    old_names = {
        "profiled": "learned",
        "read_provisionally": "placed_provisionally",
        "profiled_provisionally": "learned_provisionally",
    }
    later: dict[str, tuple[str, ...]] = {
        "0013": (
            "DROP INDEX facts_revision", "ALTER TABLE facts DROP COLUMN revision",
            "DROP INDEX pages_read_provisionally", "DROP INDEX pages_profiled_provisionally",
            *(f"ALTER TABLE pages RENAME COLUMN {new} TO {old}" for new, old in old_names.items()),
            *(f"CREATE INDEX pages_{each} ON pages (scope_id, seq) WHERE {each} IS 1"
              for each in ("placed_provisionally", "learned_provisionally")),
        ),
        "0012": (
            "DROP TABLE facts", "DROP TABLE readings", "ALTER TABLE pages DROP COLUMN reading_id",
            "CREATE TABLE knowledge (scope_id TEXT, knowledge_id TEXT, about TEXT, text TEXT, recorded_at BIGINT, "
            "valid_from BIGINT, superseded_by TEXT, archived_at BIGINT, source_page_ids JSON, origin JSON)",
        ),
        "0011": ("ALTER TABLE pages DROP COLUMN utc_offset_minutes",),
        "0010": ("DROP TABLE store_settings",),
        "0009": tuple(
            f"ALTER TABLE scopes DROP COLUMN {name}"
            for name in ("counted_pages", "counted_bytes", "counted_at_revision")
        ),
        "0008": ("ALTER TABLE pages DROP COLUMN instruction_sides",),
        "0007": ("DROP TABLE tombstone_keys", "DROP TABLE forgettings", "DROP TABLE erasures"),
        "0006": ("DROP TABLE owners",),
        "0005": (),
        "0004": ("DROP TABLE idempotency", "DROP TABLE api_keys"),
        "0003": ("DROP TABLE tombstones",),
        "0002": (
            "DROP TABLE costs", "DROP INDEX pages_placed_provisionally", "DROP INDEX pages_learned_provisionally",
            "ALTER TABLE pages DROP COLUMN placed_provisionally", "ALTER TABLE pages DROP COLUMN learned_provisionally",
            "ALTER TABLE scopes DROP COLUMN reset_revision",
        ),
    }  # fmt: skip
    with sqlite3.connect(file) as connection:
        for newer in [each for each in reversed(KNOWN) if each > revision]:
            for statement in later[newer]:
                connection.execute(statement)
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()
