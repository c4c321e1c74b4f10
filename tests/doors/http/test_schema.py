"""Tests the OpenAPI document, and the server with requests generated from it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from tests.conftest import EngineMaker
from tests.doors.http.proxy_fakes import ScriptedEndpoint, completion, document, serving
from tests.waiting import TIMEOUT_SECONDS


def _nobody() -> MemoryEngine:
    raise AssertionError("the description needs no engine")


DOCUMENT: dict[str, Any] = build_app(_nobody, ServerSettings()).openapi()
OPERATIONS = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]
POSITIVE, NEGATIVE = GenerationMode("positive"), GenerationMode("negative")
BOUNDED = settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def address(make_engine: EngineMaker) -> Iterator[str]:
    """Yields the address of a server with a user who has data in every tier, and an endpoint behind the proxy."""
    with ScriptedEndpoint(lambda _: document(completion("In Lisbon."))) as upstream:
        engine = make_engine(openai_base_url=upstream.base_url)
        memory = engine.memory("tom")
        for number in range(12):
            memory.add_memory(f"I live in Utrecht and I play chess, game {number}", "Good to know.")
        memory.force_mid_term_analysis()
        app = build_app(engine, ServerSettings())
        app.state.memoryos.ending.set()  # ends event streams after their first event
        with serving(app) as address:
            yield address


@pytest.mark.filterwarnings("ignore:the ranking weight .segment. is ignored:DeprecationWarning")
@pytest.mark.enable_socket
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_generated_requests_cause_no_server_error(
    address: str, path: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method]
    cases = st.one_of(
        operation.as_strategy(POSITIVE),
        operation.as_strategy(NEGATIVE),
        *([operation.as_strategy(path_parameters={"user_id": "tom"} | _ids(address, path))] if "{" in path else []),
    )
    statuses = set()

    with requests.Session() as session:

        @BOUNDED
        @given(cases)
        def ask(case: Case[Any]) -> None:
            response = session.request(**case.as_transport_kwargs(base_url=address), timeout=TIMEOUT_SECONDS)
            assert response.status_code < 500, (case.as_curl_command(), response.text)
            if response.status_code >= 400 and not path.startswith("/v1/chat"):
                assert response.headers["content-type"] == "application/problem+json", response.text
            statuses.add(response.status_code)

        ask()
    assert statuses
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def _ids(address: str, path: str) -> dict[str, str]:
    listed = {"page_id": "pages", "knowledge_id": "knowledge", "segment_id": "segments"}
    for name, kind in listed.items():
        if f"{{{name}}}" in path:
            entries = requests.get(f"{address}/v1/users/tom/{kind}", timeout=TIMEOUT_SECONDS).json()[kind]
            return {name: entries[0][name]}
    return {}


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_is_documented(path: str, method: str) -> None:
    operation = DOCUMENT["paths"][path][method]
    assert operation["operationId"].isidentifier()
    assert operation["tags"]
    assert operation["summary"]
    assert operation["description"].endswith((".", "`"))
    for status, response in operation["responses"].items():
        assert response["description"], status
        if int(status) >= 400 and "content" in response and "/chat" not in path:
            assert "application/problem+json" in response["content"], status
    parameters = [each for each in operation.get("parameters", []) if each["in"] != "path"]
    assert all(each.get("description") for each in parameters)


def test_operation_ids_are_unique() -> None:
    ids = [DOCUMENT["paths"][path][method]["operationId"] for path, method in OPERATIONS]
    assert len(ids) == len(set(ids))


def test_every_schema_reference_resolves() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert "Problem" in schemas
    assert "HTTPValidationError" not in schemas

    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    for reference in references(DOCUMENT):
        assert reference.removeprefix("#/components/schemas/") in schemas, reference


def test_request_bodies_have_examples() -> None:
    bodies = ("NewPage", "NewMessages", "Query", "Question", "Correction")
    for name in bodies:
        assert "examples" in str(DOCUMENT["components"]["schemas"][name]), name


def test_openapi_describes_keys_and_open_routes() -> None:
    assert set(DOCUMENT["components"]["securitySchemes"]) == {"bearer", "header"}
    without = {path for path, method in OPERATIONS if DOCUMENT["paths"][path][method].get("security") == []}
    assert without == {"/healthz", "/readyz"}
