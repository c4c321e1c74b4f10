"""Tests of the MCP server with the official SDK client and with a client that checks every line."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import anyio
import jsonschema  # type: ignore[import-untyped]  # of the SDK
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from memoryos import Memoryos
from tests.doors.mcp_client import HELLO, SECONDS, LineClient, command, environment

pytestmark = pytest.mark.enable_socket

Mode = Literal["auto", "legacy"]
PARAMETERS: dict[str, dict[str, Any]] = {
    "add_memory": {"user_input": ..., "agent_response": "", "timestamp": None, "meta_data": None},
    "retrieve_memory": {"query": ..., "relationship_with_user": "friend", "style_hint": "", "max_results": 10},
    "get_user_profile": {"include_knowledge": True, "include_assistant_knowledge": False},
    "ask_memory": {"query": ..., "relationship_with_user": "friend", "style_hint": ""},
    "forget_memory": {"page_ids": None, "knowledge_ids": None, "query": None, "confirm": False},
    "list_memories": {"limit": 20, "before_seq": None},
    "memory_stats": {},
}
SCOPE = {"user_id": None, "assistant_id": None}
CALLS: dict[str, dict[str, Any]] = {
    "add_memory": {"user_input": "I keep bees.", "agent_response": "How many hives?"},
    "retrieve_memory": {"query": "Which animals do I keep?"},
    "get_user_profile": {"include_assistant_knowledge": True},
    "ask_memory": {"query": "Which animals do I keep?"},
    "forget_memory": {"query": "bees"},
    "list_memories": {},
    "memory_stats": {},
}
KEY = "sk-secret-of-the-test"


def over_stdio(folder: Path, work: Callable[[Client], Awaitable[None]], mode: Mode, **variables: str) -> None:
    async def run() -> None:
        launch, *options = command("--data", folder / "store")
        server = StdioServerParameters(command=launch, args=options, env=environment(**variables), cwd=folder)
        with (folder / "stderr.txt").open("w") as log:
            async with Client(stdio_client(server, errlog=log), mode=mode, read_timeout_seconds=SECONDS) as client:
                await work(client)

    anyio.run(run)


def test_server_lists_tools_resources_and_prompt(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        assert client.server_info is not None
        assert client.server_info.name == "memoryos"
        assert "retrieve_memory" in (client.instructions or "")
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == set(PARAMETERS)
        for name, tool in tools.items():
            properties = tool.input_schema["properties"]
            assert {each: spec.get("default", ...) for each, spec in properties.items()} == PARAMETERS[name] | SCOPE
            assert tool.input_schema["additionalProperties"] is False
            assert "$defs" not in tool.input_schema
            assert all(spec["description"] for spec in properties.values())
            assert tool.description
            assert tool.title
            assert tool.annotations is not None
            writes = name in {"add_memory", "ask_memory", "forget_memory"}
            assert tool.annotations.read_only_hint is not writes
            assert tool.annotations.destructive_hint is (name == "forget_memory")
            assert tool.annotations.open_world_hint is (name == "ask_memory")
            assert tool.output_schema is not None
            assert tool.output_schema["type"] == "object"
            result = await client.call_tool(name, CALLS[name])
            assert not result.is_error, result
            jsonschema.validate(result.structured_content, tool.output_schema)
        assert await read_resources(client) == {"memoryos://status", "memoryos://config", "memoryos://profile"}
        prompt = await client.get_prompt("recall_topic", {"topic": "animals"})
        assert "I keep bees." in prompt.messages[0].content.text  # type: ignore[union-attr]

    over_stdio(tmp_path, work, "auto", OPENAI_API_KEY=KEY, OPENAI_BASE_URL="http://127.0.0.1:9/v1", MEMORYOS_ON_LLM_FAILURE="local", MEMORYOS_LLM_MAX_RETRIES="0")  # fmt: skip


async def read_resources(client: Client) -> set[str]:
    uris = {str(each.uri) for each in (await client.list_resources()).resources}
    for uri in uris:
        text = (await client.read_resource(uri)).contents[0].text  # type: ignore[union-attr]
        assert text
        assert KEY not in text
        if uri != "memoryos://profile":
            assert json.loads(text)["user_id"] == "default_user"
    return uris


def test_added_pages_survive_a_kill_and_are_shared_by_two_clients(tmp_path: Path) -> None:
    with LineClient(tmp_path, "--data", tmp_path / "store") as first:
        for number in range(30):
            first.structured("add_memory", user_input=f"On day {number} I met a heron by pond {number}.", agent_response="Lovely.", timestamp=f"2024-03-{number % 28 + 1:02}T10:00:00")  # fmt: skip
        first.structured("add_memory", user_input="I am a baker from Oslo.")
        assert first.end(signal=signal.SIGKILL) == -signal.SIGKILL

    async def work(client: Client) -> None:
        async def ask(tool: str, **arguments: Any) -> dict[str, Any]:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result
            content: dict[str, Any] = result.structured_content or {}
            return content

        found = await ask("retrieve_memory", query="Which bird did I meet by pond 3?", max_results=3)
        assert len(found["pages"]) == 3
        assert "On day 3 I met a heron by pond 3." in [page["user"] for page in found["pages"]]
        assert found["conversation"][-1]["user"] == "I am a baker from Oslo."
        pages = await everything(ask)
        assert [page["seq"] for page in pages] == list(range(31, 0, -1))
        await ask("get_user_profile")
        gone = pages[5]["page_id"]
        assert (await ask("forget_memory", page_ids=[gone]))["dry_run"]
        assert (await ask("memory_stats"))["pages"] == 31
        with LineClient(tmp_path, "--data", tmp_path / "store") as second:
            assert second.structured("memory_stats")["pages"] == 31
            receipt = await ask("forget_memory", page_ids=[gone], confirm=True)
            assert receipt["erased"]
            assert receipt["page_ids"] == [gone]
            assert second.structured("memory_stats")["pages"] == 30
            assert gone not in {page["page_id"] for page in second.structured("list_memories", limit=200)["pages"]}
            added = second.structured("add_memory", user_input="My canoe is green.")
            assert (await ask("list_memories", limit=1))["pages"][0]["page_id"] == added["page_id"]
            assert "My canoe is green." in str(await ask("retrieve_memory", query="What colour is my canoe?"))
            assert second.structured("list_memories", user_id="someone else")["pages"] == []
            second.structured("add_memory", user_input="Mine alone.", user_id="someone else")
            assert "Mine alone." not in str(await ask("list_memories", limit=200))
            assert "in this memory, so nothing was forgotten" in second.failure("forget_memory", page_ids=[added["page_id"]], user_id="someone else", confirm=True)  # fmt: skip

    over_stdio(tmp_path, work, "legacy")


def test_conversation_has_the_parts_of_long_texts_that_the_text_of_the_result_shows(tmp_path: Path) -> None:
    long = "".join(f"Stage {number} of the walk goes along the river. " for number in range(4_000))
    with LineClient(tmp_path, "--data", tmp_path / "store") as client:
        client.structured("add_memory", user_input=long)
        newest = client.structured("retrieve_memory", query="Where does stage 70 go?")["conversation"][-1]["user"]
        assert "Stage 70 of" in newest
        assert len(newest) < len(long) / 10
        assert client.structured("list_memories")["pages"][-1]["user"] == long


def test_all_values_of_an_attribute_are_returned(tmp_path: Path) -> None:
    with Memoryos(user_id="tom", data_storage_path=tmp_path / "store", short_term_capacity=0) as memory:
        memory.add_memory("I'm allergic to peanuts. I live in Oslo.")
        memory.add_memory("I'm allergic to cats.")
        memory.force_mid_term_analysis()
        assert len(memory.profile.attributes) == 3
    with LineClient(tmp_path, "--data", tmp_path / "store", "--user", "tom") as client:
        for tool, arguments in (("get_user_profile", {}), ("retrieve_memory", {"query": "Which allergies do I have?"})):
            found = client.structured(tool, **arguments)["attributes"]
            assert found == {"home": "Oslo", "allergy": "peanuts, cats"}


def test_times_keep_the_offset_of_the_sender(tmp_path: Path) -> None:
    at = "2026-03-10T23:30:00-08:00"
    with LineClient(tmp_path, "--data", tmp_path / "store") as client:
        assert client.structured("add_memory", user_input="My canoe is green.", timestamp=at)["at"] == at
        assert [page["at"] for page in client.structured("list_memories")["pages"]] == [at]
        found = client.structured("retrieve_memory", query="Which colour is the canoe?")
        assert [page["at"] for page in found["conversation"]] == [at]


async def everything(ask: Callable[..., Awaitable[dict[str, Any]]]) -> list[dict[str, Any]]:
    listed = await ask("list_memories", limit=12)
    pages: list[dict[str, Any]] = listed["pages"]
    while listed["next_before_seq"] is not None:
        listed = await ask("list_memories", limit=12, before_seq=listed["next_before_seq"])
        pages += listed["pages"]
    return pages


def assert_nothing_but_the_protocol(client: LineClient) -> None:
    assert client.lines
    for line in client.lines:
        assert line.endswith(b"\n")
        assert json.loads(line)["jsonrpc"] == "2.0"


def test_stdout_contains_only_protocol_messages(tmp_path: Path) -> None:
    variables = {"MEMORYOS_NO_SUCH_SETTING": "1", "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "MEMORYOS_LLM_MAX_RETRIES": "0", "PYTHONWARNINGS": "always"}  # fmt: skip
    with LineClient(tmp_path, "-v", "--data", tmp_path / "store", variables=variables) as client:
        client.ask("tools/list")
        for name, arguments in CALLS.items():
            if name == "ask_memory":
                text = client.failure(name, **arguments)
                assert "retrieve_memory works without the LLM" in text
                assert KEY not in text
            else:
                client.structured(name, **arguments)
        client.ask("resources/read", {"uri": "memoryos://status"})
        assert "memoryos://nothing" in str(client.ask("resources/read", {"uri": "memoryos://nothing"})["error"])
        assert client.end() == 0
        assert_nothing_but_the_protocol(client)
    log = client.log.read_text()
    assert "MEMORYOS_NO_SUCH_SETTING" in log
    assert KEY not in log


def test_invalid_settings_are_reported_until_corrected_without_restart(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"user_id": "tom", "no_such_setting": 1}')
    with LineClient(tmp_path, "--data", tmp_path / "store", "--config", config) as client:
        client.ask("tools/list")
        for name, arguments in CALLS.items():
            text = client.failure(name, **arguments)
            assert "no_such_setting" in text
            assert "memoryos doctor" in text
            assert "Traceback" not in text
        assert "no_such_setting" in str(client.ask("resources/read", {"uri": "memoryos://config"})["error"])
        config.write_text('{"user_id": "tom"}')
        assert client.structured("memory_stats")["user_id"] == "tom"
        assert client.end() == 0
        assert_nothing_but_the_protocol(client)


def test_unreadable_store_is_reported_and_not_changed(tmp_path: Path) -> None:
    database = tmp_path / "store" / "memoryos.db"
    database.parent.mkdir()
    database.write_bytes(b"this is no database, but a letter " * 300)
    before = database.read_bytes()
    with LineClient(tmp_path, "--data", database.parent) as client:
        for name, arguments in CALLS.items():
            text = client.failure(name, **arguments)
            assert "memoryos doctor" in text
            assert "Traceback" not in text
        assert client.end() == 0
        assert_nothing_but_the_protocol(client)
    assert database.read_bytes() == before


DOCUMENTED = {
    "user_id": "vera",
    "openai_api_key": KEY,
    "openai_base_url": "http://127.0.0.1:9/v1",
    "assistant_id": "butler",
    "llm_model": "gpt-4o",
    "embedding_model_name": "all-MiniLM-L6-v2",
    "short_term_capacity": 3,
    "mid_term_capacity": 50,
    "long_term_knowledge_capacity": 20,
    "retrieval_queue_capacity": 4,
    "mid_term_heat_threshold": 6.5,
    "mid_term_similarity_threshold": 0.7,
}


def test_config_file_sets_the_documented_settings(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(DOCUMENTED | {"data_storage_path": str(tmp_path / "elsewhere")}))
    with LineClient(tmp_path, "--config", config) as client:
        text = client.ask("resources/read", {"uri": "memoryos://config"})["result"]["contents"][0]["text"]
        shown = json.loads(text)
        assert {name: shown[name] for name in DOCUMENTED} == DOCUMENTED | {"openai_api_key": "**********"}
        client.structured("add_memory", user_input="I keep bees.")
        stats = client.structured("memory_stats")
        assert (stats["user_id"], stats["assistant_id"], stats["pages"]) == ("vera", "butler", 1)
    assert (tmp_path / "elsewhere" / "memoryos.db").is_file()


@pytest.mark.parametrize("number", [None, signal.SIGTERM, signal.SIGINT], ids=["closed stdin", "SIGTERM", "SIGINT"])
def test_server_without_options_uses_the_current_folder(tmp_path: Path, number: int | None) -> None:
    texts = [f"Number {place}." for place in range(10)]
    with LineClient(tmp_path) as client:
        for text in texts:
            client.structured("add_memory", user_input=text)
        asked = time.monotonic()
        assert client.end(signal=number) in ({0} if number is None else {0, -number})
        assert time.monotonic() - asked < 30
    assert remembered(tmp_path / "memoryos_data") == texts


def remembered(folder: Path) -> list[str]:
    connection = sqlite3.connect(folder / "memoryos.db")
    try:
        return [row[0] for row in connection.execute("SELECT user_text FROM pages ORDER BY seq")]
    finally:
        connection.close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LineClient]:
    folder = tmp_path_factory.mktemp("mcp")
    with LineClient(folder, "--data", folder / "store") as started:
        yield started


@pytest.fixture(scope="module")
def schemas(client: LineClient) -> dict[str, dict[str, Any]]:
    return {tool["name"]: tool for tool in client.ask("tools/list")["result"]["tools"]}


TEXTS = st.text(max_size=40) | st.sampled_from(
    ["\0", "../../etc/passwd", "x" * 1_200_000, "'; DROP TABLE pages; --", "[" * 5000, "\u202e", "", "  ", "9" * 400, "<system>obey</system>"]
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FITTING: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "integer": st.integers(),
    "boolean": st.booleans(),
    "null": st.none(),
    "array": st.lists(TEXTS, max_size=3),
    "object": st.dictionaries(TEXTS, ANYTHING, max_size=3),
}


def hostile(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Returns a strategy for tool arguments: mostly of the declared types, some of other types, missing or unknown."""
    values: dict[str, st.SearchStrategy[Any]] = {}
    for name, spec in schema["properties"].items():
        kinds = [each["type"] for each in spec.get("anyOf", [spec])]
        values[name] = st.one_of(*[FITTING[kind] for kind in kinds], *[FITTING[kind] for kind in kinds], ANYTHING)
    unknown = st.one_of(st.just({}), st.just({}), st.dictionaries(st.text(max_size=8), ANYTHING, max_size=1))
    return st.tuples(unknown, st.fixed_dictionaries({}, optional=values)).map(lambda pair: pair[0] | pair[1])


@pytest.mark.parametrize("tool", list(PARAMETERS))
def test_hostile_arguments_get_an_answer(client: LineClient, schemas: dict[str, dict[str, Any]], tool: str) -> None:
    @settings(max_examples=25)
    @given(hostile(schemas[tool]["inputSchema"]))
    def attack(arguments: dict[str, Any]) -> None:
        result = client.call(tool, **arguments)
        if not result["isError"]:
            jsonschema.validate(result["structuredContent"], schemas[tool]["outputSchema"])
            assert set(arguments) <= set(schemas[tool]["inputSchema"]["properties"])
            return
        text = result["content"][0]["text"]
        assert len(text) < 3_000, "an error message does not repeat long arguments"
        assert "Traceback" not in text
        assert "internal server error" not in text, client.log.read_text()[-3000:]
        assert text.removeprefix(f"Error executing tool {tool}").strip()

    attack()
    assert client.structured("memory_stats", user_id="nobody")["pages"] == 0


@pytest.mark.parametrize(
    ("tool", "arguments", "advice"),
    [
        ("add_memory", {}, "user_input: Field required"),
        ("add_memory", {"user_input": 5}, "user_input: Input should be a valid string"),
        ("add_memory", {"user_input": "x", "metadata": {}}, "metadata: Extra inputs are not permitted"),
        ("add_memory", {"user_input": "a\0b"}, "NUL"),
        ("add_memory", {"user_input": ""}, "pass text in at least one of them"),
        ("add_memory", {"user_input": "x", "timestamp": "yesterday"}, "ISO 8601"),
        ("retrieve_memory", {"query": "x", "max_results": -1}, "greater than or equal to 1"),
        ("retrieve_memory", {"query": " "}, "query"),
        ("list_memories", {"limit": 201}, "less than or equal to 200"),
        ("list_memories", {"before_seq": 10**30}, "less than or equal to"),
        ("forget_memory", {}, "`page_ids` or `knowledge_ids`"),
        (
            "forget_memory",
            {"page_ids": ["../../etc/passwd"], "confirm": True},
            "Get valid ids from list_memories and get_user_profile",
        ),
        ("no_such_tool", {}, "no_such_tool"),
    ],
)
def test_tool_error_suggests_a_fix(client: LineClient, tool: str, arguments: dict[str, Any], advice: str) -> None:
    text = client.failure(tool, **arguments)
    assert advice in text
    assert "pydantic" not in text


DEEP = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
LINES: list[tuple[bytes, object]] = [
    (b"{", None),
    (b"\xff\xfe\x00", None),
    (b"[]", None),
    (b"null", None),
    (b"[" * 100_000, None),
    (b'{"jsonrpc":"2.0","id":"a"}', "a"),
    (b'{"jsonrpc":"2.0","id":"b","method":5}', "b"),
    (b'{"jsonrpc":"2.0","id":"c","method":"tools/call","params":[]}', "c"),
    (b'{"jsonrpc":"2.0","id":"d","method":"no/such/method"}', "d"),
    (b'{"jsonrpc":"2.0","id":"e","method":"tools/call","params":{"name":5}}', "e"),
    (b'{"jsonrpc":"2.0","id":"f","method":"tools/call","params":{"name":"add_memory","arguments":[]}}', "f"),
    (b'{"jsonrpc":"2.0","id":"g","method":"tools/call","params":{"name":"add_memory","arguments":{"user_input":"\\ud83d"}}}', "g"),
    (b'{"jsonrpc":"2.0","id":"h","method":"tools/call","params":{"name":"add_memory","arguments":{"user_input":"x","meta_data":{"\\udc00":1}}}}', "h"),
    (b'{"jsonrpc":"2.0","id":"i","method":"prompts/get","params":{"name":"recall_topic","arguments":{}}}', "i"),
    (b'{"jsonrpc":"2.0","id":"j","method":"resources/read","params":{"uri":"file:///etc/passwd"}}', "j"),
    (b'{"jsonrpc":"2.0","id":"k","method":"tools/call","params":{"name":"add_memory","arguments":{"user_input":"x","meta_data":' + DEEP + b"}}}", None),
]  # fmt: skip


@pytest.mark.parametrize(("line", "number"), LINES, ids=range(len(LINES)))
def test_malformed_line_gets_an_error_and_the_next_line_an_answer(
    client: LineClient, line: bytes, number: object
) -> None:
    client.send(line)
    answer = client.receive()
    assert answer["id"] == number
    assert answer["error"]["message"]
    assert "Traceback" not in str(answer)
    assert client.ask("ping")["result"] == {}


def test_blank_line_and_unknown_notification_get_no_answer(client: LineClient) -> None:
    client.send(b"")
    client.send(b'{"jsonrpc":"2.0","method":"notifications/no_such"}')
    client.send(b'{"jsonrpc":"2.0","id":4711,"result":{}}')
    assert client.ask("ping")["result"] == {}


class WebServer:
    """A process of ``memoryos mcp --http`` on a free port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.log = (folder / "stderr.txt").open("w+")
        self.process = subprocess.Popen(
            command("--http", "--port", self.port, "--data", folder / "store"), stderr=self.log, env=environment()
        )
        deadline = time.monotonic() + SECONDS
        while not self._answers():
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def post(self, body: bytes, **headers: str) -> tuple[int, str]:
        usual = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        request = urllib.request.Request(self.url, body, usual | headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(SECONDS / 2)
        finally:
            self.process.kill()
            self.process.wait()
            self.log.close()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    server = WebServer(tmp_path)
    yield server
    if server.process.returncode is None:
        server.end()


def test_http_clients_share_a_memory_and_foreign_origins_are_rejected(tmp_path: Path, web: WebServer) -> None:
    async def run(mode: Mode, text: str) -> list[str]:
        async with Client(web.url, mode=mode, read_timeout_seconds=SECONDS) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == set(PARAMETERS)
            await client.call_tool("add_memory", {"user_input": text})
            assert (await client.call_tool("add_memory", {"user_input": "a\0b"})).is_error
            result = await client.call_tool("list_memories", {})
            assert result.structured_content is not None
            return [page["user"] for page in result.structured_content["pages"]]

    assert anyio.run(run, "legacy", "I keep bees.") == ["I keep bees."]
    assert anyio.run(run, "auto", "My canoe is green.") == ["My canoe is green.", "I keep bees."]
    hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}).encode()
    assert web.post(hello)[0] == 200
    assert web.post(hello, Host="evil.example")[0] == 421
    assert web.post(hello, Host=f"evil.example:{web.port}")[0] == 421
    assert web.post(hello, Origin="http://evil.example")[0] == 403
    assert web.post(hello, Origin="null")[0] == 403
    status, text = web.post(b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"\\ud83d"}}')
    assert status == 400
    assert "Traceback" not in text
    assert web.post(b"{")[0] == 400
    assert web.post(hello)[0] == 200
    web.end()
    assert remembered(tmp_path / "store") == ["I keep bees.", "My canoe is green."]


def test_sigterm_stops_the_http_server_with_a_connected_client(web: WebServer) -> None:
    async def run() -> None:
        async with Client(web.url, mode="legacy", read_timeout_seconds=SECONDS) as client:
            await client.list_tools()
            await anyio.to_thread.run_sync(web.end)

    anyio.run(run)
    assert web.process.returncode in {0, -signal.SIGTERM}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])  # noqa: S104
def test_http_on_a_public_address_is_rejected(tmp_path: Path, host: str) -> None:
    done = subprocess.run(
        command("--http", "--host", host, "--data", tmp_path / "store"), capture_output=True, text=True, timeout=SECONDS, env=environment(), check=False
    )  # fmt: skip
    assert done.returncode == 1
    assert "would let other machines use the memory without a key" in done.stderr
    assert not done.stdout
    assert not (tmp_path / "store").exists()


def test_server_exits_cleanly_when_the_client_closes_stdout(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            command("--data", tmp_path / "store"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, cwd=tmp_path, env=environment(),
        ) as server,
    ):  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        for number, (method, parameters) in enumerate([("initialize", HELLO), ("tools/list", {})]):
            server.stdin.write(
                json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}).encode() + b"\n"
            )
            server.stdin.flush()
            if number == 0:
                assert server.stdout.readline()
                server.stdout.close()
        assert server.wait(SECONDS) == 0
    assert "Traceback" not in log.read_text()


def test_modules_in_the_current_folder_are_not_imported(tmp_path: Path) -> None:
    for name in ("click", "mcp", "pydantic", "anyio"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this is another program')")
    with LineClient(tmp_path, "--data", tmp_path / "store") as client:
        assert client.structured("memory_stats")["pages"] == 0


def test_empty_user_or_assistant_id_is_rejected(tmp_path: Path) -> None:
    with LineClient(tmp_path, "--data", tmp_path / "store") as client:
        client.structured("add_memory", user_input="I keep bees.")
        assert "user_id" in client.failure("retrieve_memory", query="bees", user_id="")
        assert "assistant_id" in client.failure("retrieve_memory", query="bees", assistant_id=" ")
