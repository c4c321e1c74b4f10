"""Tests authorization of every route in the route table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from tests.doors.http.conftest import ClientMaker

CANARY = "marmalade-canary"
OPEN = {"/", "/healthz", "/inspector/{path}", "/readyz"}
"""Routes without a key. The inspector page itself is public; its requests for data send a key."""
BODIES: dict[str, Any] = {
    "pages": {"user_input": "Hello."},
    "messages": {"messages": [{"role": "user", "content": "Hello."}]},
    "recall": {"query": f"What about {CANARY}?"},
    "answers": {"query": "What do I like for breakfast?", "remember": False},
    "forget": {"everything": True},
    "completions": {"messages": [{"role": "user", "content": "Hello"}], "user": "ann"},
    "knowledge_id": {"text": "Likes nothing."},
}
SHOWS_ANNS = {"pages", "recall", "answers", "knowledge", "segments", "export", "events", "history", "page_id"}


def table(routes: list[Any]) -> Iterator[tuple[str, str]]:
    for each in routes:
        if hasattr(each, "methods"):
            path = re.sub(r":\w+}", "}", each.path)
            yield from ((path, method) for method in sorted(each.methods - {"HEAD"}))
        else:
            yield from table((getattr(each, "original_router", None) or each.app).routes)


ROUTES = sorted(set(table(build_app(lambda: pytest.fail("opened"), ServerSettings()).routes)))
OF_USERS = [each for each in ROUTES if "{user_id}" in each[0]]
OTHERS = [each for each in ROUTES if "{user_id}" not in each[0] and each[0] not in OPEN]


class Guarded:
    """A server with keys, a user ann with data in every tier, and a user ben without data."""

    def __init__(self, engine: MemoryEngine, client: TestClient) -> None:
        self.engine, self.client = engine, client
        self.ann = engine.memory("ann")
        for number in range(12):
            self.ann.add_memory(f"I like {CANARY} for breakfast, day {number}.", f"Enjoy the {CANARY}!")
        self.ann.force_mid_term_analysis()
        self.ids = {
            "page_id": self.ann.newest_pages(1)[0].page_id,
            "knowledge_id": self.ann.knowledge(None)[0].knowledge_id,
            "segment_id": self.ann.segments()[0].segment_id,
            "day": self.ann.newest_pages(1)[0].at.date().isoformat(),
        }

    def key(self, user_id: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.engine.store.keys.create(user_id, self.engine.clock()).text}"}

    def ask(self, path: str, method: str, headers: dict[str, str], user_id: str = "ann") -> Response:
        address = path.format(user_id=user_id, **self.ids)
        last = re.findall(r"\w+", path)[-1]
        if last == "import":
            body: dict[str, Any] = {"content": json.dumps({"user_text": "Hello."})}
        else:
            body = {"json": BODIES[last]} if method in {"POST", "PUT"} and last in BODIES else {}
        return self.client.request(method, address, headers=headers, **body)

    def everything(self) -> list[str]:
        return list(self.ann.export_lines())


@pytest.fixture
def guarded(engine: MemoryEngine, make_client: ClientMaker) -> Guarded:
    client = make_client(keys=True)
    client.app.state.memoryos.ending.set()  # type: ignore[attr-defined]  # streams of events end after their first one
    return Guarded(engine, client)


def test_table_contains_every_route() -> None:
    assert len(ROUTES) >= 31
    assert {"/mcp", "/metrics", "/openapi.json", "/v1/users", "/v1/chat/completions"} <= {path for path, _ in OTHERS}


def test_every_route_requires_a_key(guarded: Guarded) -> None:
    before = guarded.everything()
    revoked = guarded.engine.store.keys.create("ann", guarded.engine.clock())
    guarded.engine.store.keys.revoke(revoked.key.key_id, guarded.engine.clock())
    wrong: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer mos_none"},
        {"Authorization": f"Bearer {revoked.text}"},
        {"X-API-Key": revoked.text},
        {"Authorization": "Basic YW5uOmFubg=="},
    ]
    for path, method in [*OF_USERS, *OTHERS, ("/nowhere", "GET"), ("/v1/users/{user_id}/nowhere", "POST")]:
        for headers in wrong[: 3 if path in {"/mcp", "/v1/users"} else 1]:
            response = guarded.ask(path, method, headers)
            assert response.status_code == 401, (path, method, headers)
            assert response.headers["content-type"] == "application/problem+json"
            assert response.headers["www-authenticate"].startswith("Bearer")
            assert CANARY not in response.text
    assert guarded.client.post("/v1/users/ann/pages", content=b"{no json").status_code == 401
    assert guarded.everything() == before


@pytest.mark.parametrize(("path", "method"), OF_USERS)
def test_key_of_another_user_is_refused(guarded: Guarded, path: str, method: str) -> None:
    bens, before = guarded.key("ben"), guarded.everything()
    refused = guarded.ask(path, method, bens)
    missing = guarded.ask(path, method, bens, user_id="nobody-at-all")
    assert refused.status_code == missing.status_code == 403
    assert refused.json() == missing.json()
    own = guarded.ask(path, method, bens, user_id="ben")
    assert own.status_code not in {401, 403}
    for response in (refused, missing, own):
        assert CANARY not in response.text.replace(BODIES["recall"]["query"], "")
    assert guarded.everything() == before
    assert {scope.user_id for scope in guarded.engine.scopes()} <= {"ann", "ben"}


@pytest.mark.parametrize(("path", "method"), OF_USERS)
def test_owner_and_administrator_are_accepted(guarded: Guarded, path: str, method: str) -> None:
    last = re.findall(r"\w+", path)[-1]
    for owner in ("ann", None):
        response = guarded.ask(path, method, guarded.key(owner))
        is_done_twice = owner is None and method in {"DELETE", "PUT"}
        assert response.status_code < 300 or (is_done_twice and response.status_code == 404), response.text
        if method == "GET" and last in SHOWS_ANNS and last != "events" and "profile" not in path:
            assert CANARY in response.text


@pytest.mark.parametrize(("path", "method"), OTHERS)
def test_server_routes_reveal_no_user_data(guarded: Guarded, path: str, method: str) -> None:
    before = guarded.everything()
    response = guarded.ask(path, method, guarded.key("ben"))
    assert CANARY not in response.text
    assert '"ann"' not in response.text
    if path in {"/metrics", "/v1/stats"}:
        assert response.status_code == 403
        assert guarded.ask(path, method, guarded.key(None)).status_code == 200
    assert guarded.everything() == before


@pytest.mark.parametrize(
    "path",
    [
        "/v1/users/ben%2F..%2Fann/pages",
        "/v1/users/ben/../ann/pages",
        "/v1/users/ben%00/pages",
        "/v1/users//ann/pages",
        "/v1/users/ANN/pages",
        "/v1/users/ann%20/pages",
        "/v1/users/ann/pages?user_id=ben",
        "/v1/users/ben/pages?user_id=ann",
        "/v1/users/ben/pages?assistant_id=ann",
    ],
)
def test_path_tricks_do_not_bypass_authorization(guarded: Guarded, path: str) -> None:
    response = guarded.client.get(path, headers=guarded.key("ben") | {"X-User-Id": "ann", "X-Assistant-Id": "ann"})
    assert CANARY not in response.text


def test_user_sees_only_itself_in_the_list(guarded: Guarded) -> None:
    assert guarded.client.get("/v1/users", headers=guarded.key("ben")).json()["users"] == []
    for key in (guarded.key("ann"), guarded.key(None)):
        assert [each["user_id"] for each in guarded.client.get("/v1/users", headers=key).json()["users"]] == ["ann"]


@pytest.mark.parametrize("path", sorted(OPEN))
def test_open_routes_reveal_no_user_data(guarded: Guarded, path: str) -> None:
    response = guarded.client.get(path.format(path="none"))
    assert response.status_code == (404 if "{" in path else 200)
    assert CANARY not in response.text
    assert guarded.client.post(path.format(path="none")).status_code in {401, 405}
