"""Parsing of database URLs and paths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from memoryos.config import Config
from memoryos.errors import ConfigError
from memoryos.storage.database_urls import is_server_url, open_database, parse_database_url, sqlite_file_of

NO_FILES: list[str | Path] = [
    "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://user:hunter2@host/db", Path(":memory:"),
]  # fmt: skip


@pytest.mark.parametrize("asked", [sqlite_file_of, parse_database_url, open_database])
@pytest.mark.parametrize("place", NO_FILES)
def test_url_without_a_file_is_rejected(asked: Callable[[str | Path], object], place: str | Path) -> None:
    with pytest.raises(ConfigError) as caught:
        asked(place)
    assert "hunter2" not in str(caught.value)


def test_file_of_an_sqlite_url(tmp_path: Path) -> None:
    assert sqlite_file_of(tmp_path / "a b?.db") == tmp_path / "a b?.db"
    assert sqlite_file_of(f"sqlite:///{tmp_path}/x.db") == tmp_path / "x.db"


def test_server_url_has_no_file() -> None:
    place = "postgresql://user:hunter2@host/db"
    assert is_server_url(place)
    assert not is_server_url("sqlite:////x.db")
    assert parse_database_url(place).drivername == "postgresql+psycopg"
    with pytest.raises(ConfigError) as caught:
        sqlite_file_of(place)
    assert "hunter2" not in str(caught.value)


def test_database_password_is_not_in_the_config_repr() -> None:
    config = Config(database_url="postgresql://user:hunter2@host/db")
    assert "hunter2" not in repr(config)
    assert "hunter2" not in str(config)
