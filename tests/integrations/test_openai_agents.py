"""The session for the OpenAI Agents SDK, with the SDK's runner against a local fake endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import openai
import pytest
from agents import Agent, RunConfig, Runner, Session, SessionSettings, function_tool, set_tracing_disabled
from agents.models.openai_chatcompletions import OpenAIChatCompletionsModel

from memoryos.engine import MemoryEngine
from memoryos.errors import InputError, StoreUnavailableError
from memoryos.integrations.openai_agents import MemoryOSSession
from memoryos.memory import Memory
from memoryos.testing import FakeOpenAIServer

SessionMaker = Callable[..., MemoryOSSession]


@pytest.fixture
def make(engine: MemoryEngine) -> Iterator[SessionMaker]:
    sessions: list[MemoryOSSession] = []

    def made(session_id: str = "monday", user_id: str = "tom", **given: Any) -> MemoryOSSession:
        sessions.append(MemoryOSSession(session_id, engine.memory(user_id), **given))
        return sessions[-1]

    yield made
    for each in sessions:
        each.close()


def run(call: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(call)


def said(role: str, text: str) -> Any:
    return {"role": role, "content": text}


def answered(text: str) -> Any:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": "m1", "type": "message", "role": "assistant", "status": "completed", "content": content}


CALL: Any = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Lisbon"}'}
RETURNED: Any = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}


def words(memory: Memory) -> list[tuple[str, str]]:
    return [(page.user_text, page.assistant_text) for page in memory.pages()]


def test_items_are_returned_verbatim_and_in_order(make: SessionMaker) -> None:
    session = make()
    assert isinstance(session, Session)
    items = [said("user", "Weather?"), CALL, RETURNED, answered("Sunny.")]
    run(session.add_items(items[:1]))
    run(session.add_items(items[1:]))
    run(session.add_items([]))
    assert run(session.get_items()) == items
    assert run(session.get_items(2)) == items[2:]
    assert run(session.get_items(0)) == []
    assert run(make().get_items()) == items
    assert run(make(session_settings=SessionSettings(limit=1)).get_items()) == items[3:]


def test_exchange_is_remembered_when_the_assistant_answers(make: SessionMaker, engine: MemoryEngine) -> None:
    session, memory = make(), engine.memory("tom")
    run(session.add_items([said("user", "I moved to Lisbon.")]))
    run(session.add_items([said("user", "And it is sunny.")]))
    assert words(memory) == []
    run(session.add_items([CALL, RETURNED]))
    run(session.add_items([answered("How nice!"), answered("Enjoy it.")]))
    assert words(memory) == [("I moved to Lisbon.\n\nAnd it is sunny.", "How nice!"), ("", "Enjoy it.")]
    run(session.add_items([said("user", "Bye."), answered("See you.")]))
    assert words(memory)[2:] == [("Bye.", "See you.")]


def test_pop_removes_the_newest_item_and_forgets_its_page(make: SessionMaker, engine: MemoryEngine) -> None:
    session, memory = make(), engine.memory("tom")
    run(session.add_items([said("user", "One."), answered("First.")]))
    run(session.add_items([said("user", "The word is xylophone."), answered("Second.")]))
    assert run(session.pop_item()) == answered("Second.")
    assert words(memory) == [("One.", "First.")]
    assert run(session.get_items()) == [
        said("user", "One."),
        answered("First."),
        said("user", "The word is xylophone."),
    ]
    assert run(session.pop_item()) == said("user", "The word is xylophone.")
    stored = b"".join(each.read_bytes() for each in engine.config.data_storage_path.rglob("*") if each.is_file())
    assert b"xylophone" not in stored
    run(session.add_items([said("user", "Two."), answered("Zweitens.")]))
    assert words(memory) == [("One.", "First."), ("Two.", "Zweitens.")]
    assert [run(session.pop_item()) for _ in range(5)][-1] is None
    assert words(memory) == []


def test_crash_during_pop_keeps_the_other_items_once(make: SessionMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    session = make()
    run(session.add_items([said("user", "One."), said("user", "Two."), said("user", "Three.")]))

    def crash(*_: Any, **__: Any) -> None:
        raise StoreUnavailableError("crashed")

    with monkeypatch.context() as patch:
        patch.setattr(Memory, "forget", crash)
        with pytest.raises(StoreUnavailableError):
            run(session.pop_item())
    again = make()
    assert run(again.get_items()) == [said("user", "One."), said("user", "Two.")]
    assert run(again.pop_item()) == said("user", "Two.")
    assert run(make().get_items()) == [said("user", "One.")]


def test_clear_session_keeps_the_memory(make: SessionMaker, engine: MemoryEngine) -> None:
    session = make()
    run(session.clear_session())
    run(session.add_items([said("user", "I bake."), CALL, answered("Rye?")]))
    run(session.clear_session())
    assert run(session.get_items()) == []
    assert words(engine.memory("tom")) == [("I bake.", "Rye?")]
    run(session.add_items([said("user", "Again.")]))
    assert run(session.get_items()) == [said("user", "Again.")]


def test_sessions_and_users_are_isolated(make: SessionMaker) -> None:
    run(make("monday").add_items([said("user", "mine")]))
    assert run(make("tuesday").get_items()) == []
    assert run(make("monday", "ann").get_items()) == []


def test_invalid_item_adds_nothing(make: SessionMaker) -> None:
    session = make()
    with pytest.raises(InputError):
        run(session.add_items([said("user", "one"), said("user", "two") | {"what": object()}]))
    assert run(session.get_items()) == []


async def talk(server: FakeOpenAIServer, session: MemoryOSSession, text: str, **given: Any) -> str:
    async with openai.AsyncOpenAI(api_key="fake", base_url=server.base_url) as client:
        model = OpenAIChatCompletionsModel("fake", client)
        agent: Agent[Any] = Agent(
            name="Baker", instructions=session.instructions("You help Tom."), model=model, **given
        )
        result = await Runner.run(agent, text, session=session, run_config=RunConfig(tracing_disabled=True))
        return str(result.final_output)


def system_of(request: dict[str, Any]) -> str:
    return str(next(each["content"] for each in request["messages"] if each["role"] == "system"))


@pytest.mark.enable_socket
def test_agent_recalls_an_earlier_session(make: SessionMaker, engine: MemoryEngine) -> None:
    set_tracing_disabled(True)
    heard: list[Sequence[tuple[str, str]]] = []

    def reply(messages: Sequence[tuple[str, str]]) -> str:
        heard.append(messages)
        return f"You said: {messages[-1][1]}"

    async def two_days() -> None:
        monday, tuesday = make("monday"), make("tuesday")
        with FakeOpenAIServer(reply=reply) as server:
            assert await talk(server, monday, "My bicycle is red.") == "You said: My bicycle is red."
            await talk(server, monday, "I bake rye bread.")
            await talk(server, tuesday, "Which bread do I bake?")
            requests = server.requests
        first, second, third = map(system_of, requests)
        assert first == "You help Tom."
        assert "bicycle" not in second, "the session itself shows it already"
        assert third.startswith("You help Tom.")
        assert "<memory>" in third
        assert "I bake rye bread." in third
        assert [each["role"] for each in requests[1]["messages"]] == ["system", "user", "assistant", "user"]
        assert [each["role"] for each in requests[2]["messages"]] == ["system", "user"]

    run(two_days())
    assert words(engine.memory("tom"))[1] == ("I bake rye bread.", "You said: I bake rye bread.")
    assert len(heard) == 3


@pytest.mark.enable_socket
def test_failed_run_remembers_nothing_and_the_next_run_continues(make: SessionMaker, engine: MemoryEngine) -> None:
    async def fail_and_go_on() -> None:
        session = make()
        with FakeOpenAIServer(reply=lambda _: "Fine.") as server:
            server.behaviour = "401"
            with pytest.raises(openai.AuthenticationError):
                await talk(server, session, "Are you there?")
            assert words(engine.memory("tom")) == []
            server.behaviour = "ok"
            await talk(server, session, "And now?")

    run(fail_and_go_on())
    ((asked, answer),) = words(engine.memory("tom"))
    assert asked.endswith("And now?")
    assert answer == "Fine."


@pytest.mark.enable_socket
def test_tool_calls_are_stored_in_the_session_only(make: SessionMaker, engine: MemoryEngine) -> None:
    @function_tool
    def weather(city: str) -> str:
        """Returns the weather."""
        return f"sunny in {city}"

    session = make()
    run(session.add_items([said("user", "Weather?"), CALL, RETURNED]))

    async def go_on() -> None:
        with FakeOpenAIServer(reply=lambda _: "Sunny!") as server:
            await talk(server, session, "So?", tools=[weather])
            assert [each["role"] for each in server.requests[0]["messages"]] == [
                "system", "user", "assistant", "tool", "user",
            ]  # fmt: skip

    run(go_on())
    assert words(engine.memory("tom")) == [("Weather?\n\nSo?", "Sunny!")]
