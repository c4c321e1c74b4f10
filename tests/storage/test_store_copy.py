"""Copies between stores of different database kinds: complete, verified, repeatable; the source does not change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from memoryos.doors.cli import cli
from memoryos.engine import MemoryEngine
from memoryos.errors import StoreConflictError, StoreError
from memoryos.model import PageDraft, Scope
from memoryos.storage.schema import metadata, pages
from memoryos.storage.store import Store
from memoryos.storage.store_copy import copy_scope
from memoryos.testing import FixedClock
from tests.conftest import EngineMaker

NOW = FixedClock()()


@pytest.fixture
def source(make_engine: EngineMaker) -> MemoryEngine:
    engine = make_engine(mid_term_heat_threshold=1.0, short_term_capacity=1)
    for user in ("ann", "tom"):
        memory = engine.memory(user, "é ' \\ 助手")
        for number in range(6):
            memory.add_memory(f"I love baking rye bread \\ {number} 🍞.", "I see." * (number % 2))
        memory.flush()
        memory.forget(page_ids=[next(memory.pages()).page_id])
        memory.add_messages([{"role": "user", "content": "Once."}], idempotency_key="k")
    engine.store.keys.create("tom", NOW)
    return engine


def rows(store: Store) -> dict[str, list[object]]:
    with store._database.read() as connection:
        return {
            name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns))]
            for name, table in metadata.tables.items()
        }


def migrate(source: str, target: str) -> Result:
    return CliRunner().invoke(cli, ["migrate", source, target])


def test_store_is_copied_to_another_database_and_back(
    source: MemoryEngine, new_place: Callable[[str], str], tmp_path: Path
) -> None:
    before = rows(source.store)
    place = str(source.config.database)
    server, file = new_place("moved"), tmp_path / "back.db"
    assert migrate(place, server).exit_code == 0
    done = migrate(server, str(file))
    assert "2 scopes copied, 0 skipped as identical; verified 12 pages" in done.output
    assert "1 API keys copied" in done.output
    assert rows(source.store) == before
    for moved in (server, file):
        with Store(moved) as store:
            assert rows(store) == before
            assert store.verify() == []
    again = migrate(place, server)
    assert "0 scopes copied, 2 skipped as identical" in again.output
    assert "0 API keys copied" in again.output


def test_interrupted_copy_is_resumed(
    source: MemoryEngine, new_place: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = source.store.scopes.all()
    with Store(new_place("moved")) as target:
        target.copy_scope_from(source.store, first)
        executed = sa.Connection.execute

        def dying(self: sa.Connection, statement: object, *given: object, **named: object) -> object:
            if isinstance(statement, sa.Insert) and statement.table.name == "vectors":
                raise KeyboardInterrupt
            return executed(self, statement, *given, **named)  # type: ignore[call-overload]

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(sa.Connection, "execute", dying)
            target.copy_scope_from(source.store, second)
        assert list(target.scopes.all()) == [first], "scopes must be copied atomically"
    place = str(source.config.database)
    assert "1 scopes copied, 1 skipped as identical" in migrate(place, new_place("moved")).output


def test_different_existing_data_is_not_changed(source: MemoryEngine, new_place: Callable[[str], str]) -> None:
    place = str(source.config.database)
    with Store(new_place("moved")) as target:
        migrate(place, new_place("moved"))
        first, second = source.store.scopes.all()
        target.log.append(second, [PageDraft(NOW, "written since", "")], NOW)
        before = rows(target)
        with pytest.raises(StoreConflictError):
            target.copy_scope_from(source.store, second)
        assert rows(target) == before
    with Store(new_place("other")) as other:
        other.scopes.open(Scope("ann", "é ' \\ 助手"), NOW)
        with pytest.raises(StoreConflictError):
            other.copy_scope_from(source.store, first)
    assert migrate(place, new_place("other")).exit_code == 1


def test_copy_that_differs_from_its_source_is_detected(
    source: MemoryEngine, new_place: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scope_id = next(iter(source.store.scopes.all()))
    with Store(new_place("moved")) as target:
        executed = sa.Connection.execute

        def losing(self: sa.Connection, statement: object, *given: object, **named: object) -> object:
            if isinstance(statement, sa.Insert) and statement.table is pages:
                given = ([row | {"user_text": "?"} for row in given[0]],)  # type: ignore[attr-defined]
            return executed(self, statement, *given, **named)  # type: ignore[call-overload]

        monkeypatch.setattr(sa.Connection, "execute", losing)
        with pytest.raises(StoreError, match="differs from the original"):
            copy_scope(source.store._database, target._database, scope_id)


def test_missing_source_or_equal_source_and_target_is_rejected(tmp_path: Path) -> None:
    missing, target = tmp_path / "missing.db", tmp_path / "target.db"
    assert "there is no store" in migrate(str(missing), str(target)).output
    assert list(tmp_path.iterdir()) == []
    assert migrate(f"sqlite:///{target}", str(target)).exit_code == 1
