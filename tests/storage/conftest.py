"""Runs the tests of this directory on each kind of database, unless a test is marked with the kinds that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kinds import parametrize_kinds
from tests.postgres import Server
from tests.storage.old_stores import REVISION, create_old_store


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize_kinds(metafunc)


@pytest.fixture
def make_old_store(
    database_kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[str], str]]:
    """Yields a function that creates a store of release 659c0c2, migrates it to a schema and returns its URL."""
    server: Server | None = request.getfixturevalue("postgres") if database_kind == "postgresql" else None
    urls: list[str] = []

    def make(revision: str) -> str:
        url = f"sqlite:///{tmp_path / f'old{len(urls)}' / 'memoryos.db'}" if server is None else server.empty_database()
        urls.append(url)
        create_old_store(url, server, revision)
        return url

    yield make
    if server is not None:
        for url in urls:
            server.drop(url)


@pytest.fixture
def old_store(make_old_store: Callable[[str], str]) -> str:
    """Returns the URL of a store of release 659c0c2."""
    return make_old_store(REVISION)
