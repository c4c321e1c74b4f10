"""Tests of MCP sampling: the client's model is the analyst if it is enabled, offered, and no LLM is configured."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import CreateMessageRequestParams, CreateMessageResult, ErrorData, TextContent

from memoryos.errors import AnalystUnavailableError, InvalidReplyError
from memoryos.models.mcp_sampling import ClientModel
from memoryos.seams import ChatRequest, Message
from memoryos.testing import Bill, ok_reply
from tests.doors.mcp_client import SECONDS, LineClient, command, environment

pytestmark = pytest.mark.enable_socket

OFFERING = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"sampling": {}},
    "clientInfo": {"name": "test", "version": "1"},
}
SAMPLING_ENABLED = {
    "MEMORYOS_MCP_SAMPLING": "true",
    "MEMORYOS_CONSOLIDATION_BATCH": "2",
    "MEMORYOS_SHORT_TERM_CAPACITY": "1",
}


class Sampler:
    """A client model that returns valid replies, or a given error, and records its requests."""

    def __init__(self, fault: ErrorData | None = None) -> None:
        self.asked: list[CreateMessageRequestParams] = []
        self._fault = fault

    async def __call__(self, context: Any, params: CreateMessageRequestParams) -> CreateMessageResult | ErrorData:
        del context
        self.asked.append(params)
        if self._fault is not None:
            return self._fault
        chat = [("system", params.system_prompt or "")]
        chat += [(each.role, getattr(each.content, "text", "")) for each in params.messages]
        return CreateMessageResult(
            role="assistant", content=TextContent(type="text", text=ok_reply(chat)), model="client-model-1"
        )


def served(
    folder: Path,
    sampler: Sampler,
    work: Callable[[Client], Awaitable[None]],
    mode: Literal["auto", "legacy"],
    **variables: str,
) -> None:
    async def run() -> None:
        launch, *options = command("--data", folder / "store")
        server = StdioServerParameters(command=launch, args=options, env=environment(**variables), cwd=folder)
        with (folder / "stderr.txt").open("w") as log:
            wire = stdio_client(server, errlog=log)
            async with Client(wire, mode=mode, sampling_callback=sampler, read_timeout_seconds=SECONDS) as client:
                await work(client)

    anyio.run(run)


async def stats_of(client: Client) -> dict[str, Any]:
    return (await client.call_tool("memory_stats", {})).structured_content or {}


async def talk(client: Client) -> dict[str, Any]:
    """Adds four exchanges and returns the statistics after they were consolidated."""
    for number, text in enumerate(
        ("I keep bees in Oslo.", "The hive swarmed.", "I bake rye bread.", "My oven is old.")
    ):
        added = await client.call_tool("add_memory", {"user_input": text, "timestamp": f"2024-05-0{number + 1}"})
        assert not added.is_error, added
    with anyio.fail_after(SECONDS):
        while (found := await stats_of(client))["pages_due"] > 1 or not found["segments"]:  # noqa: ASYNC110  (in another process)
            await anyio.sleep(0.05)
    return found


def test_client_model_reads_and_answers(tmp_path: Path) -> None:
    sampler = Sampler()

    async def work(client: Client) -> None:
        found = await talk(client)
        assert found["analyst"] == "llm/mcp-client"
        assert found["pages_provisional"] == 0
        read = len(sampler.asked)
        assert read > 0
        assert any("bees" in each.messages[0].content.text for each in sampler.asked)  # type: ignore[union-attr]
        answer = (await client.call_tool("ask_memory", {"query": "What do I keep?"})).structured_content or {}
        assert answer["answered_by"] == "llm/mcp-client"
        assert len(sampler.asked) > read

    served(tmp_path, sampler, work, "legacy", **SAMPLING_ENABLED)


@pytest.mark.parametrize(
    ("mode", "variables"),
    [
        ("legacy", {"MEMORYOS_MCP_SAMPLING": "false"}),
        ("legacy", {"OPENAI_API_KEY": "sk-of-the-user", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "MEMORYOS_ON_LLM_FAILURE": "local", "MEMORYOS_LLM_MAX_RETRIES": "0"}),
        ("auto", {}),
    ],
    ids=["sampling disabled", "LLM configured", "protocol without sampling"],
)  # fmt: skip
def test_client_model_is_not_used(tmp_path: Path, mode: Literal["auto", "legacy"], variables: dict[str, str]) -> None:
    sampler = Sampler()

    async def work(client: Client) -> None:
        found = await talk(client)
        assert "mcp-client" not in found["analyst"]
        assert not (await client.call_tool("ask_memory", {"query": "What do I keep?"})).is_error

    served(tmp_path, sampler, work, mode, **(SAMPLING_ENABLED | variables))
    assert sampler.asked == []


def test_client_without_sampling_gets_the_local_analyst(tmp_path: Path) -> None:
    with LineClient(tmp_path, "--data", tmp_path / "store", variables=SAMPLING_ENABLED) as client:
        assert client.structured("memory_stats")["analyst"] == "local"


def test_local_analyst_is_the_fallback_while_the_user_rejects_sampling(tmp_path: Path) -> None:
    sampler = Sampler(ErrorData(code=-1, message="the user rejected this: I keep bees in Oslo"))

    async def work(client: Client) -> None:
        found = await talk(client)
        assert found["analyst"] == "llm/mcp-client"
        assert found["pages_provisional"] > 0
        answer = (await client.call_tool("ask_memory", {"query": "What do I keep?"})).structured_content or {}
        assert "bees" in answer["answer"]
        assert answer["answered_by"] == "local"

    served(tmp_path, sampler, work, "legacy", **SAMPLING_ENABLED)
    assert sampler.asked
    assert "Oslo" not in (tmp_path / "stderr.txt").read_text()


def test_server_stops_while_the_client_does_not_reply(tmp_path: Path) -> None:
    with LineClient(tmp_path, "--data", tmp_path / "store", variables=SAMPLING_ENABLED, hello=OFFERING) as client:
        client.send({"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": {"name": "add_memory", "arguments": {"user_input": "I keep bees."}}})  # fmt: skip
        assert client.receive()["id"] == 77
        client.send({"jsonrpc": "2.0", "id": 78, "method": "tools/call", "params": {"name": "ask_memory", "arguments": {"query": "What do I keep?"}}})  # fmt: skip
        assert client.receive()["method"] == "sampling/createMessage"
        started = time.monotonic()
        assert client.end() == 0
        assert time.monotonic() - started < SECONDS / 2


def test_client_model_without_session_is_unavailable() -> None:
    bill = Bill()
    with pytest.raises(AnalystUnavailableError, match="does not support sampling"):
        ClientModel().complete(ChatRequest((Message("user", "hello"),)), bill)
    assert [usage.failed for usage in bill.usages] == [True]


class FixedReplySession:
    """A session whose client returns a fixed reply to every request."""

    client_capabilities = type("Capabilities", (), {"sampling": {}})
    can_send_request = True

    def __init__(self, text: str) -> None:
        self._text = text

    async def send_request(self, *_: object) -> CreateMessageResult:
        return CreateMessageResult(role="assistant", content=TextContent(type="text", text=self._text), model="")


@pytest.mark.parametrize(("text", "reply"), [("<think>hm</think> Bees.", "Bees."), ("  ", None), ("<think>hm", None)])
def test_thinking_and_blank_text_are_removed_from_replies(text: str, reply: str | None) -> None:
    bill = Bill()

    async def run() -> str | None:
        model = ClientModel()
        async with model.serving():
            model.meet(FixedReplySession(text))  # type: ignore[arg-type]
            try:
                return await anyio.to_thread.run_sync(model.complete, ChatRequest((Message("user", "hello"),)), bill)
            except InvalidReplyError:
                return None

    assert anyio.run(run) == reply
    assert [(usage.model, usage.failed) for usage in bill.usages] == [("mcp-client", reply is None)]
