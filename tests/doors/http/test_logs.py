"""Tests the server's log: JSON lines with ids and counts and without user text."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from memoryos.analysts.llm import LLMAnalyst
from memoryos.doors.http.app import build_app
from memoryos.doors.http.logs import JsonFormatter, configure_logs
from memoryos.doors.http.settings import ServerSettings
from memoryos.errors import AnalystUnavailableError, StoreUnavailableError
from memoryos.testing import HashEmbedder, ScriptedChatModel
from tests.conftest import EngineMaker

MARKERS = ("Zuvalka", "Brontiq", "Quemmel", "Ostvrede", "Plikantor", "Wirsingsee", "Tolmarund")


@pytest.fixture
def clean_logging() -> Iterator[None]:
    """Restores the logging configuration of the process."""
    root = logging.getLogger()
    names = [
        None,
        "uvicorn.access",
        "httpx",
        "httpx2",
        "httpcore",
        "httpcore2",
        "openai",
        "mcp",
        "sse_starlette",
        "asyncio",
    ]
    before = [(logging.getLogger(name), logging.getLogger(name).level, logging.getLogger(name).disabled) for name in names]  # fmt: skip
    attached = root.handlers[:]
    yield
    root.handlers[:] = attached
    for logger, level, disabled in before:
        logger.setLevel(level)
        logger.disabled = disabled
    logging.captureWarnings(capture=False)


def line_of(error: BaseException | None = None, **given: object) -> dict[str, object]:
    info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("memoryos.x", logging.ERROR, "file.py", 7, "went %s", ("wrong",), info)
    record.__dict__.update(given)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert isinstance(line, dict)
    return line


def test_log_line_contains_its_fields() -> None:
    line = line_of(fields={"count": 3, "user_id": "tom\n", "odd": object()})
    assert line.pop("at")
    assert line == {"level": "error", "logger": "memoryos.x", "message": "went wrong", "count": 3, "user_id": "tom\n", "odd": "object"}  # fmt: skip


def test_error_messages_are_logged_only_for_own_safe_errors() -> None:
    try:
        try:
            int("Zuvalka")
        except ValueError as error:
            raise StoreUnavailableError("the disk is full") from error
    except StoreUnavailableError as error:
        chain = line_of(error)["error"]
    assert isinstance(chain, list)
    assert [each["type"] for each in chain] == ["memoryos.errors.StoreUnavailableError", "builtins.ValueError"]
    assert chain[0]["message"] == "the disk is full"
    assert "message" not in chain[1]
    assert all(__file__ in each["places"][-1] for each in chain)
    assert "Zuvalka" not in json.dumps(chain)


def test_suppressed_cause_is_not_logged() -> None:
    try:
        try:
            int("hidden")
        except ValueError:
            raise KeyError("seen") from None
    except KeyError as error:
        chain = line_of(error)["error"]
    assert isinstance(chain, list)
    assert [each["type"] for each in chain] == ["builtins.KeyError"]


@pytest.mark.usefixtures("clean_logging")
def test_configure_logs_replaces_root_handlers(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
    configure_logs()
    logging.getLogger("memoryos").info("one")
    logging.getLogger("memoryos").debug("two")
    logging.getLogger("uvicorn.access").error("three")
    logging.getLogger("httpx2").info("four")
    said = capsys.readouterr()
    assert said.out == ""
    assert [json.loads(line)["message"] for line in said.err.splitlines()] == ["one"]


def live(client: TestClient, keys: list[str]) -> None:
    """Uses all routes, with and without errors, with words that must not appear in a log."""
    zuvalka, brontiq, quemmel, ostvrede, plikantor, wirsingsee, tolmarund = MARKERS
    for key in keys:
        ours = {"X-API-Key": key}
        base = "/v1/users/tom"
        for number in range(4):
            body = {"user_input": f"I have {number} sisters called {zuvalka}.", "agent_response": f"Nice, {brontiq}.", "meta_data": {"x": quemmel}}  # fmt: skip
            client.post(f"{base}/pages", json=body, headers=ours | {"Idempotency-Key": f"{ostvrede} {number}"})
        client.post(f"{base}/pages", json=body, headers=ours | {"Idempotency-Key": f"{ostvrede} 0"})
        client.post(f"{base}/messages", json={"messages": [{"role": "user", "content": plikantor}]}, headers=ours)
        client.post(f"{base}/messages", json={"messages": [{"role": wirsingsee, "content": 7}]}, headers=ours)
        client.post(
            f"{base}/pages", json={"user_input": "x", "timestamp": tolmarund, wirsingsee: plikantor}, headers=ours
        )
        client.post(f"{base}/pages", content=f'{{"user_input": "{zuvalka}'.encode(), headers=ours)
        client.get(f"{base}/pages?q={zuvalka}", headers=ours)
        client.get(f"{base}/pages/{brontiq}", headers=ours)
        client.get(f"/{plikantor}?{wirsingsee}={tolmarund}", headers=ours)
        client.post(f"{base}/flush", headers=ours)
        client.post(f"{base}/recall", json={"query": f"Who is {zuvalka}?"}, headers=ours)
        for stream in (False, True):
            client.post(f"{base}/answers", json={"query": f"Who is {brontiq}?", "stream": stream}, headers=ours)
        client.post(f"{base}/forget", json={"query_preview": zuvalka}, headers=ours)
        client.post(f"{base}/import", content=f"{quemmel}\n".encode(), headers=ours)
        client.put(f"{base}/knowledge/{quemmel}", json={"text": ostvrede}, headers=ours)
        for path in ("profile", "knowledge", "segments", "stats", "costs", "export"):
            client.get(f"{base}/{path}?unknown={zuvalka}", headers=ours)
        client.post(
            "/v1/chat/completions",
            json={"model": "m", "messages": [{"role": "user", "content": zuvalka}]},
            headers=ours,
        )
        client.post(
            "/mcp",
            json={
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": "remember", "arguments": {"user_input": plikantor}},
            },
            headers=ours,
        )
        client.delete("/v1/users/tom", headers=ours)


@pytest.mark.usefixtures("clean_logging")
def test_logs_contain_no_user_text_and_no_secret(
    make_engine: EngineMaker, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    bad: list[str | Exception] = [
        "Zuvalka is no JSON.",
        '{"chains": [{"first": "Brontiq"}]}',
        AnalystUnavailableError("the LLM did not answer in time"),
    ]
    model = ScriptedChatModel([*bad, "Quemmel", '{"topics": ["Ostvrede"]}', "", *bad])
    engine = make_engine(analyst=LLMAnalyst(model), embedder=HashEmbedder(), short_term_capacity=1, openai_base_url="http://127.0.0.1:9")  # fmt: skip
    configure_logs()
    logging.getLogger().addHandler(caplog.handler)
    keys = [engine.store.keys.create(owner, engine.clock()).text for owner in ("tom", None)]
    wrong = keys[0][:-1] + "-"
    app = build_app(engine, ServerSettings(keys=True))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        live(client, [*keys, wrong])
        live(client, keys[:1])
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    text = "\n".join([json.dumps(lines, ensure_ascii=False), *(record.getMessage() for record in caplog.records)])
    assert not [marker for marker in MARKERS if marker.lower() in text.lower()]
    for key in (*keys, wrong):
        assert key not in text
        assert key.split("_", 2)[2] not in text
    access = [line for line in lines if line["logger"] == "memoryos.access"]
    assert len(access) > 100
    assert {line["status"] for line in access} >= {200, 201, 401, 404, 422}
    assert {"/v1/users/{user_id}/pages", "/v1/users/{user_id}/recall", "/mcp", ""} <= {line["route"] for line in access}


def test_audit_log_contains_reads_and_deletions(make_engine: EngineMaker, caplog: pytest.LogCaptureFixture) -> None:
    engine = make_engine()
    made = engine.store.keys.create("tom", engine.clock())
    caplog.set_level(logging.INFO, "memoryos.audit")
    with TestClient(build_app(engine, ServerSettings(keys=True)), base_url="http://127.0.0.1") as client:
        ours = {"X-API-Key": made.text}
        page = client.post("/v1/users/tom/pages", json={"user_input": "I have a cat."}, headers=ours).json()
        client.get("/v1/users/tom/pages", headers=ours)
        client.get("/v1/users/ann/pages", headers=ours)
        client.delete(f"/v1/users/tom/pages/{page['page_id']}", headers=ours)
    lines = [vars(record)["fields"] for record in caplog.records if record.name == "memoryos.audit"]
    assert [(each["action"], each["count"]) for each in lines] == [
        ("write", 1),
        ("read", 1),
        ("refuse", 0),
        ("forget", 1),
    ]
    assert {each["key_id"] for each in lines} == {made.key.key_id}
    assert [each["user_id"] for each in lines] == ["tom", "tom", "ann", "tom"]
