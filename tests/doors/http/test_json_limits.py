"""Tests the limits on JSON: counting, cost of refusing, and size of the response."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from memoryos.doors.http.json_limits import MAX_DEPTH, check_json
from memoryos.errors import InputError
from tests.doors.http.conftest import USER, ClientMaker

JSON = {"Content-Type": "application/json"}
VALUES = st.recursive(
    st.none() | st.integers() | st.text('a,[]{}:"\\é', max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text('b,{"\\', max_size=4), inner, max_size=5),
    max_leaves=40,
)


def counted(value: Any) -> int:
    """Returns the number of brackets and commas, as counted by ``check_json``."""
    if isinstance(value, (list, dict)):
        items = list(value.values()) if isinstance(value, dict) else value
        return 1 + max(0, len(items) - 1) + sum(map(counted, items))
    return 0


@given(value=VALUES, escaped=st.booleans())
def test_content_of_strings_is_not_counted(value: Any, escaped: bool) -> None:
    body = json.dumps(value, ensure_ascii=escaped).encode()
    count = counted(value)
    check_json(body, count)
    if count > 0:
        with pytest.raises(HTTPException, match="413"):
            check_json(body, count - 1)


def test_depth_is_limited_without_brackets_in_strings() -> None:
    check_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, 50_000)
    check_json(json.dumps({"text": "[{" * 100_000, "more": ["\\", "[" * 500]}).encode(), 50_000)
    for text in (b"[" * (MAX_DEPTH + 1), b'{"a":' * (MAX_DEPTH + 1), b"[" * 1_000_000):
        with pytest.raises(InputError, match="nested"):
            check_json(text, 50_000)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-32-be"])
def test_utf_16_and_utf_32_are_refused(encoding: str) -> None:
    with pytest.raises(InputError, match="UTF-8"):
        check_json(json.dumps({"a": [1] * 9}).encode(encoding), 5)


FLOODS = {
    "unknown names": (f"{USER}/recall", json.dumps({f"k{number}": 1 for number in range(400_000)})),
    "few unknown names": (f"{USER}/recall", json.dumps({"query": "x"} | {f"k{number}": 1 for number in range(40_000)})),
    "unknown weights": (
        f"{USER}/recall", json.dumps({"query": "x", "ranking": {f"k{number}": 1 for number in range(40_000)}}),
    ),
    "bad messages": (f"{USER}/messages", '{"messages":[' + "1," * 3_000_000 + "1]}"),
    "few bad messages": (f"{USER}/messages", json.dumps({"messages": [1] * 9_999})),
    "bad ids": (f"{USER}/forget", '{"page_ids":[' + "1," * 3_000_000 + "1]}"),
    "few bad ids": (f"{USER}/forget", json.dumps({"page_ids": [1] * 9_999, "knowledge_ids": [{}] * 9_999})),
    "bad names": (
        f"{USER}/answers", json.dumps({"query": "x", "meta_data": {f"\0{number}": 1 for number in range(40_000)}}),
    ),
    "small messages": (f"{USER}/messages", json.dumps({"messages": [{"role": "user", "content": "a"}] * 200_000})),
    "quotes": (f"{USER}/pages", '"' * 4_000_000),
    "empty texts": (f"{USER}/pages", "[" + '"",' * 2_000_000),
    "a chat": ("/v1/chat/completions", '{"messages":[' + "{}," * 1_500_000 + "{}]}"),
    "a call": ("/mcp", json.dumps({"jsonrpc": "2.0", "id": 1, "params": [1] * 3_000_000})),
}  # fmt: skip


@pytest.mark.parametrize("name", FLOODS)
def test_many_validation_errors_get_a_short_response(client: TestClient, name: str) -> None:
    path, body = FLOODS[name]
    began = time.process_time()
    answer = client.post(path, content=body.encode(), headers=JSON)
    spent = time.process_time() - began
    assert answer.status_code in {413, 422}, answer.text[:200]
    assert len(answer.content) < 10_000
    assert len(answer.json().get("errors", [])) <= 20
    assert spent < 5.0, "CPU seconds"


def test_first_errors_are_listed_without_the_input(client: TestClient) -> None:
    body = {"query": "x"} | {f"SECRET{number}{'y' * 2_000}": "HIDDEN" for number in range(30)}
    answer = client.post(f"{USER}/recall", json=body)
    errors = answer.json()["errors"]
    assert [each["field"][5:].rstrip("y") for each in errors] == [f"SECRET{number}" for number in range(20)]
    assert "first 20" in answer.json()["detail"]
    assert "HIDDEN" not in answer.text
    assert len(answer.content) < 20_000


def test_limit_of_json_values_is_a_setting(make_client: ClientMaker) -> None:
    client = make_client(max_json_values=100)
    page = {"user_input": "x", "meta_data": {"list": [1] * 60}}
    assert client.post(f"{USER}/pages", json=page).status_code == 201
    page["meta_data"] = {"list": [1] * 101}
    answer = client.post(f"{USER}/pages", json=page)
    assert (answer.status_code, "max_json_values" in answer.json()["detail"]) == (413, True)
    text = {"user_input": ', [ { " \\' * 5_000}
    assert client.post(f"{USER}/pages", json=text).status_code == 201


@pytest.mark.parametrize(
    "path", ["knowledge/x%2Fimport", "pages/x%2Fimport", "knowledge/x%2fimport", "segments/a%2Fimport"]
)
def test_id_named_import_does_not_raise_the_body_limit(make_client: ClientMaker, path: str) -> None:
    client = make_client(max_body_bytes=10_000)
    for method in ("PUT", "POST", "DELETE", "GET"):
        answer = client.request(method, f"{USER}/{path}", content=b"x" * 10_001, headers=JSON)
        assert answer.status_code == 413, method


@pytest.mark.parametrize("user", ["tom", "a%2Fb", "import%2Fimport", "%E2%82%AC"])
def test_import_limit_applies_to_every_user_id(make_client: ClientMaker, user: str) -> None:
    client = make_client(max_body_bytes=10_000)
    body = json.dumps([{"user_input": f"Page {number} says: {'x' * 100}"} for number in range(100)])
    assert len(body) > 10_000
    assert client.post(f"/v1/users/{user}/import", content=body).status_code == 200
    assert client.put(f"/v1/users/{user}/import", content=body).status_code == 413
