"""Tests ``memoryos serve`` as a process: announcement, draining at shutdown, and startup errors."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.testing import FakeOpenAIServer, HashEmbedder
from tests.doors.http.conftest import USER
from tests.waiting import TIMEOUT_SECONDS, wait_until

pytestmark = pytest.mark.enable_socket

GIVEN_UP_SECONDS = 15.0
"""A reply takes this long; the server has closed its store long before, even on a busy machine."""
QUESTION = {"query": "What do I like?"}


@contextmanager
def served(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = start(folder, *arguments, **environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("MemoryOS listens on http://127.0.0.1:"), (line, process.poll())
        yield process, line.removeprefix("MemoryOS listens on ").strip()
    finally:
        process.kill()
        process.communicate(timeout=TIMEOUT_SECONDS)


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "memoryos", "--data", str(folder), "serve", "--port", "0", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )


def ends(process: subprocess.Popen[str]) -> int:
    return process.wait(TIMEOUT_SECONDS)


def in_background(call: Any) -> tuple[threading.Thread, list[Any]]:
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(call()))
    thread.start()
    return thread, got


def pages(folder: Path) -> list[str]:
    with MemoryEngine(Config(data_storage_path=folder, background=False), embedder=HashEmbedder()) as engine:
        return [page.user_text for page in engine.memory("tom").pages()]


def test_open_requests_are_answered_before_shutdown(tmp_path: Path) -> None:
    with FakeOpenAIServer(latency_seconds=2.0) as upstream:
        llm = {"OPENAI_API_KEY": "fake", "OPENAI_BASE_URL": upstream.base_url}
        with served(tmp_path, **llm) as (process, address):
            httpx2.post(f"{address}{USER}/pages", json={"user_input": "I like tea."})
            listens = threading.Event()

            def listen() -> None:
                with httpx2.stream("GET", f"{address}{USER}/events", timeout=TIMEOUT_SECONDS) as response:
                    listens.set()
                    response.read()

            events, _ = in_background(listen)
            assert listens.wait(TIMEOUT_SECONDS)
            whole, answers = in_background(
                lambda: httpx2.post(f"{address}{USER}/answers", json=QUESTION, timeout=TIMEOUT_SECONDS)
            )
            stream, streamed = in_background(
                lambda: httpx2.post(
                    f"{address}{USER}/answers", json=QUESTION | {"stream": True}, timeout=TIMEOUT_SECONDS
                )
            )
            wait_until(lambda: len(upstream.requests) >= 2)
            process.send_signal(signal.SIGTERM)
            for thread in (whole, stream, events):
                thread.join(TIMEOUT_SECONDS)
                assert not thread.is_alive()
            assert answers[0].status_code == 200
            assert "event: done" in streamed[0].text
            assert ends(process) == 0
            with pytest.raises(httpx2.TransportError):
                httpx2.get(f"{address}/healthz")
    assert pages(tmp_path) == ["I like tea.", QUESTION["query"], QUESTION["query"]]


def test_requests_over_the_drain_timeout_are_not_stored(tmp_path: Path) -> None:
    with FakeOpenAIServer(latency_seconds=GIVEN_UP_SECONDS) as upstream:
        llm = {"OPENAI_API_KEY": "fake", "OPENAI_BASE_URL": upstream.base_url}
        with served(tmp_path, MEMORYOS_SERVER_DRAIN_SECONDS="1", **llm) as (process, address):
            httpx2.post(f"{address}{USER}/pages", json={"user_input": "I like tea."})

            def ask() -> str:
                try:
                    httpx2.post(f"{address}{USER}/answers", json=QUESTION, timeout=TIMEOUT_SECONDS).raise_for_status()
                except httpx2.HTTPError as error:
                    return type(error).__name__
                return "answered"

            asked, got = in_background(ask)
            wait_until(lambda: len(upstream.requests) == 1)
            process.send_signal(signal.SIGTERM)
            asked.join(TIMEOUT_SECONDS)
            assert got != ["answered"]
            ends(process)
    assert pages(tmp_path) == ["I like tea."]


def test_server_stops_at_sigint_and_restarts_on_the_same_store(tmp_path: Path) -> None:
    for number in range(2):
        with served(tmp_path) as (process, address):
            assert httpx2.get(f"{address}/readyz").json()["status"] == "ready"
            page = httpx2.post(f"{address}{USER}/pages", json={"user_input": f"Start {number}."}).json()
            assert page["seq"] == number + 1
            process.send_signal(signal.SIGINT)
            assert ends(process) == 0


def test_used_port_is_reported(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start(tmp_path, "--port", str(taken.getsockname()[1]))
        _, said = process.communicate(timeout=TIMEOUT_SECONDS)
        assert process.returncode == 1
        assert "Traceback" not in said


def test_public_address_needs_a_key_to_start(tmp_path: Path) -> None:
    for arguments in (["--host", "0.0.0.0"], ["--host", "0.0.0.0", "--no-keys"], ["--keys"]):  # noqa: S104
        process = start(tmp_path, *arguments)
        _, said = process.communicate(timeout=TIMEOUT_SECONDS)
        assert process.returncode == 1
        assert "memoryos keys create" in said
        assert "Traceback" not in said


def test_settings_come_from_the_environment_and_are_validated(tmp_path: Path) -> None:
    process = start(tmp_path, MEMORYOS_SERVER_THREADS="0")
    _, said = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 1
    assert "threads" in said
