"""Tests exceeded quotas: a problem of their own type, and imports that add nothing."""

from __future__ import annotations

import json

from tests.conftest import EngineMaker
from tests.doors.http.conftest import USER, ClientMaker


def test_exceeded_quota_is_507(make_client: ClientMaker, make_engine: EngineMaker) -> None:
    client = make_client(make_engine(max_pages_per_scope=2))
    for status in (201, 201, 507):
        response = client.post(f"{USER}/pages", json={"user_input": "hello"})
        assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "urn:memoryos:quota"
    assert "delete pages with forget" in response.json()["detail"]
    assert "max_pages_per_scope" in response.json()["detail"]
    messages = json.dumps([{"role": "user", "content": "hello"}])
    assert client.post(f"{USER}/import", content=messages).status_code == 507
    assert len(client.get(f"{USER}/pages").json()["pages"]) == 2
