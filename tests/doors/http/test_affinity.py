"""Tests the affinity header: the same for one memory on every server, absent from other responses."""

from __future__ import annotations

from hashlib import sha256

from memoryos.doors.http.affinity import AFFINITY_HEADER, affinity_of
from memoryos.engine import MemoryEngine
from tests.doors.http.conftest import USER, ClientMaker


def test_every_route_of_a_memory_has_the_same_affinity(make_client: ClientMaker, engine: MemoryEngine) -> None:
    expected = sha256(b"tom\0" + engine.config.assistant_id.encode()).hexdigest()[:16]
    client = make_client()
    client.post(f"{USER}/pages", json={"user_input": "I bake bread.", "agent_response": ""})
    values = {
        client.get(f"{USER}/{path}").headers[AFFINITY_HEADER]
        for path in ("pages", "stats", "profile", "segments", "export")
    }
    assert values == {expected} == {affinity_of("tom", engine.config.assistant_id)}
    assert make_client().get(f"{USER}/stats").headers[AFFINITY_HEADER] == expected, "the same on another server"


def test_different_memories_have_different_affinities(make_client: ClientMaker) -> None:
    client = make_client()
    values = [
        client.get(f"/v1/users/{user}/stats", params={"assistant_id": assistant}).headers[AFFINITY_HEADER]
        for user, assistant in (("a", "bc"), ("ab", "c"), ("abc", "x"), ("a", "b"))
    ]
    assert len(set(values)) == len(values)


def test_server_routes_and_refusals_have_no_affinity(make_client: ClientMaker) -> None:
    client = make_client()
    for path in ("/healthz", "/v1/users", "/metrics", "/nowhere"):
        assert AFFINITY_HEADER not in client.get(path).headers
    assert AFFINITY_HEADER not in client.get("/v1/users/%20/stats").headers
