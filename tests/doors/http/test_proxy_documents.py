"""Tests the example of the proxy and its documentation page."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from memoryos.doors.http import proxy_options
from memoryos.testing import FakeOpenAIServer
from tests.conftest import EngineMaker
from tests.doors.http.proxy_fixture import proxied

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "howto" / "proxy.md").read_text(encoding="utf-8")


@pytest.mark.enable_socket
def test_documented_example_runs(make_engine: EngineMaker) -> None:
    def reply(messages: Sequence[tuple[str, str]]) -> str:
        knows = any("wooden boats in Lisbon" in text for role, text in messages if role == "system")
        return "You build them in Lisbon." if knows else "Nice to meet you, Tom."

    with FakeOpenAIServer(reply=reply) as endpoint, proxied(make_engine, endpoint.base_url) as proxy:
        done = subprocess.run(
            [sys.executable, ROOT / "examples" / "proxy.py", proxy.address],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[1::2] == ["Nice to meet you, Tom.", "You build them in Lisbon."]
        assert len(proxy.pages("tom")) == 2


def test_page_documents_every_header_and_setting() -> None:
    names = [getattr(proxy_options, each) for each in ("USER", "ASSISTANT", "RECALL", "REMEMBER", "IDEMPOTENCY_KEY")]
    for each in [*names, "proxy_memory_tokens", "proxy_timeout_seconds", "openai_base_url", "openai_api_key"]:
        assert f"`{each}`" in PAGE, each


@pytest.mark.enable_socket
def test_code_of_the_page_runs(make_engine: EngineMaker) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with FakeOpenAIServer(reply=lambda _: "In Lisbon.") as endpoint, proxied(make_engine, endpoint.base_url) as proxy:
        names: dict[str, Any] = {}
        exec(block.replace("http://127.0.0.1:8078", proxy.address), names)  # noqa: S102  (the page's own code)
        names["client"].close()
        assert names["answer"].choices[0].message.content == "In Lisbon."
        assert proxy.pages("tom") == [("Where do I live?", "In Lisbon.")]
