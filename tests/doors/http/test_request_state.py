"""Tests the typed state of a request."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from memoryos.doors.http.app import build_app
from memoryos.doors.http.request_state import RequestState, request_state
from memoryos.doors.http.settings import ServerSettings
from memoryos.doors.http.token_bucket import Allowance
from memoryos.engine import MemoryEngine


def test_copies_of_a_scope_share_one_state() -> None:
    scope: dict[str, Any] = {"type": "http", "state": {"other": 1}}
    state = request_state(scope)
    state.affinity = "abc"
    assert request_state({**scope, "path": "/"}) is state
    assert scope["state"]["other"] == 1


def test_lifespan_scope_has_no_request_state() -> None:
    with pytest.raises(ValueError, match="lifespan"):
        request_state({"type": "lifespan", "state": {}})


def test_requests_of_one_server_do_not_share_their_state(engine: MemoryEngine) -> None:
    app = build_app(engine, ServerSettings())
    states: list[RequestState] = []

    @app.get("/state")
    async def store_state(request: Request) -> None:
        states.append(request_state(request.scope))

    with TestClient(app, base_url="http://127.0.0.1") as client:
        for _ in range(2):
            assert client.get("/state").status_code == 200
    assert states[0] is not states[1]
    assert states[0].caller is not None


def test_tightest_allowance_is_stored() -> None:
    state = RequestState()
    few, many = (Allowance(10, remaining, 1.0, 0.0) for remaining in (2, 5))
    for allowance in (many, few, many):
        state.tighten(allowance)
    assert state.allowance is few
