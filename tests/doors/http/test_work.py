"""Tests the state of background work: only a live worker with an unexpired lease counts."""

from __future__ import annotations

from datetime import timedelta

from fastapi.testclient import TestClient

from memoryos.engine import MemoryEngine
from memoryos.identifiers import new_id
from memoryos.storage.lease import Lease
from memoryos.testing import FixedClock
from tests.doors.http.conftest import USER


def is_working(client: TestClient) -> bool:
    working: bool = client.get(f"{USER}/work").json()["working"]
    return working


def test_work_reports_a_lease_until_it_expires(client: TestClient, engine: MemoryEngine, clock: FixedClock) -> None:
    assert not is_working(client)
    memory = engine.memory("tom")
    memory.add_memory("Hello.")
    scope_id = engine.store.scopes.find(memory.scope)
    assert scope_id is not None
    owner = f"elsewhere:1:{new_id()}"
    assert engine.store.scopes.claim(Lease(scope_id, owner, clock() + timedelta(minutes=5)), clock())
    assert not is_working(client), "no such worker is alive"
    lease = Lease(scope_id, owner, clock() + timedelta(minutes=5))
    with engine.store.liveness.hold(lease):
        assert is_working(client)
        clock.advance(minutes=6)
        assert not is_working(client)
    body = client.get(f"{USER}/work").json()
    assert (body["failures"], body["last_error"], body["retry_at"]) == (0, None, None)
