"""Fixtures: a server over a fresh store, called in the test process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi.testclient import TestClient

from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine

LOCAL = "http://127.0.0.1"
USER = "/v1/users/tom"

ClientMaker = Callable[..., TestClient]


@pytest.fixture
def make_client(engine: MemoryEngine) -> Iterator[ClientMaker]:
    """Yields a factory of test clients; its arguments are fields of ServerSettings."""
    with ExitStack() as open_clients:

        def make(over: MemoryEngine | Callable[[], MemoryEngine] | None = None, **settings: Any) -> TestClient:
            app = build_app(over or engine, ServerSettings(**settings))
            client = TestClient(app, base_url=LOCAL, raise_server_exceptions=False)
            open_clients.enter_context(client)
            return client

        yield make


@pytest.fixture
def client(make_client: ClientMaker) -> TestClient:
    return make_client()
