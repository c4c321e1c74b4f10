"""Distribution: with Citus, the migrations create distributed tables that follow the rules of Citus.

Citus is replaced by a fake extension with its name. The fake records which tables are distributed and, like Citus,
rejects unique keys without the distribution column and foreign keys between tables that are not co-located.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from memoryos.engine import MemoryEngine
from memoryos.model import Scope
from memoryos.storage import migrations
from memoryos.storage.database_urls import open_database
from memoryos.storage.schema import metadata
from memoryos.storage.store import Store
from memoryos.testing import FixedClock
from tests.conftest import EngineMaker
from tests.postgres import SETTINGS, Server, running_server

pytestmark = pytest.mark.kinds("postgresql")

NOW = FixedClock()()
FAKE_CITUS = """
CREATE SCHEMA citus;
GRANT USAGE ON SCHEMA citus TO PUBLIC;
CREATE TABLE citus.noted (name text, by_column text, lies_with text);
GRANT SELECT, INSERT ON citus.noted TO PUBLIC;
CREATE FUNCTION create_distributed_table(name regclass, by_column text, kind text DEFAULT 'hash',
    colocate_with text DEFAULT 'default') RETURNS void LANGUAGE plpgsql AS $$
DECLARE wrong text;
BEGIN
    IF current_setting('citus.multi_shard_modify_mode', true) IS DISTINCT FROM 'sequential' THEN
        RAISE 'cannot distribute tables with foreign keys in parallel in one transaction';
    END IF;
    SELECT i.indexrelid::regclass::text INTO wrong FROM pg_index i WHERE i.indrelid = name AND i.indisunique
        AND NOT EXISTS (SELECT 1 FROM pg_attribute a
            WHERE a.attrelid = name AND a.attnum = ANY (i.indkey) AND a.attname = by_column);
    IF wrong IS NOT NULL THEN
        RAISE 'cannot create constraint on "%": unique key % lacks the distribution column', name, wrong;
    END IF;
    SELECT c.conname INTO wrong FROM pg_constraint c WHERE c.conrelid = name AND c.contype = 'f' AND NOT EXISTS (
        SELECT 1 FROM citus.noted t WHERE t.name = c.confrelid::regclass::text AND t.name = colocate_with);
    IF wrong IS NOT NULL THEN
        RAISE 'foreign key % leads to a table that does not lie with "%"', wrong, name;
    END IF;
    INSERT INTO citus.noted VALUES (name::text, by_column, colocate_with);
END $$;
CREATE FUNCTION create_reference_table(name regclass) RETURNS void LANGUAGE sql AS
    $$ INSERT INTO citus.noted VALUES (name::text, NULL, NULL) $$;
"""

EXPECTED: dict[str, tuple[object, object]] = {
    **dict.fromkeys(metadata.tables, ("scope_id", "scopes")),
    "scopes": ("scope_id", "none"),
    "owners": ("user_id", "none"),
    "api_keys": (None, None),
    "erasures": (None, None),
    "store_settings": (None, None),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("extensions")
    (folder / "extension").mkdir()
    (folder / "extension" / "citus.control").write_text("default_version = '1'\nrelocatable = true\n")
    (folder / "extension" / "citus--1.sql").write_text(FAKE_CITUS)
    for each in (folder, *folder.parents):
        if each.stat().st_mode & 0o005 != 0o005:
            each.chmod(each.stat().st_mode | 0o055)
    with running_server(SETTINGS | {"extension_control_path": f"{folder}:$system"}) as running:
        yield running


@pytest.fixture
def url(server: Server) -> str:
    url = server.empty_database()
    server.execute("CREATE EXTENSION citus", name_of(url))
    return url


def name_of(url: str) -> str:
    return url.split("@/")[1].split("?", maxsplit=1)[0]


def distributed(server: Server, url: str) -> dict[str, tuple[object, object]]:
    """Returns the distribution column of each existing table, and the table with which it is co-located."""
    found = server.execute("SELECT * FROM citus.noted WHERE to_regclass(name) IS NOT NULL", name_of(url))
    return {str(name): (column, beside) for name, column, beside in found}


def test_tables_are_distributed_with_citus(server: Server, url: str) -> None:
    with Store(url):
        pass
    assert distributed(server, url) == EXPECTED


def test_memory_works_on_distributed_tables(url: str, make_engine: EngineMaker) -> None:
    engine: MemoryEngine = make_engine(database_url=url)
    for user in ("tom", "ann"):
        memory = engine.memory(user)
        memory.add_memory(f"I am {user} and I bake bread.", "How nice.")
        memory.flush()
    assert [quote.utterance.text for quote in engine.memory("ann").recall("Who bakes bread?").quotes][:1] == [
        "I am ann and I bake bread."
    ]
    assert engine.store.verify() == []


def test_transaction_settings_are_propagated_to_nodes(url: str) -> None:
    """Row-level security evaluates the scope setting on the node that stores the row."""
    with Store(url) as store, store._database.read("x") as connection:
        assert connection.exec_driver_sql("SHOW citus.propagate_set_commands").scalar_one() == "local"


def test_without_citus_nothing_is_distributed(server: Server) -> None:
    url = server.empty_database()
    with Store(url) as store:
        store.scopes.open(Scope("tom", "a"), NOW)
        assert store.scopes.find(Scope("tom", "a")) is not None


@pytest.mark.parametrize("revision", ["0005", "0010"], ids=["not distributed", "distributed"])
def test_store_of_an_earlier_release_is_distributed_with_its_data(
    server: Server, url: str, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _create_store_of(revision, url, monkeypatch)
    with Store(url) as store:
        assert store.scopes.find(Scope("tom", "a")) == "s1"
        assert [each.text for each in store.long_term.view("s1", NOW).current] == ["Bakes bread"]
        assert store.verify() == []
    assert distributed(server, url) == EXPECTED


def _create_store_of(revision: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Creates a store with the schema of an earlier revision, with one scope, one page and one fact."""
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "HEAD", revision)
        database = open_database(url)
    with database.write() as connection:
        for statement in (
            "INSERT INTO scopes (scope_id, user_id, assistant_id, last_seq, revision, learned_revision, touched_at, "
            "attempts) VALUES ('s1', 'tom', 'a', 1, 1, 1, 0, 0)",
            "INSERT INTO pages (scope_id, seq, page_id, at, user_text, assistant_text, metadata, learned) VALUES "
            "('s1', 1, 'p1', 0, 'I bake bread.', '', '{}', true)",
            "INSERT INTO knowledge (scope_id, knowledge_id, about, text, recorded_at, source_page_ids, origin) VALUES "
            """('s1', 'k1', 'user', 'Bakes bread', 0, '["p1"]', '{"analyst": "local", "version": "1"}')""",
            *(["INSERT INTO owners SELECT user_id, assistant_id, scope_id FROM scopes"] if revision > "0005" else ()),
        ):
            connection.exec_driver_sql(statement)
    database.close()
