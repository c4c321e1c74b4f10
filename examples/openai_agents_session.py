"""An agent of the OpenAI Agents SDK that remembers across sessions.

Install: ``pip install "memoryos-engine[openai-agents]"``. The agent uses the endpoint OPENAI_BASE_URL with the key
OPENAI_API_KEY. Without a key it uses a test server on this machine, which replies with the memories in the prompt.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import ExitStack
from tempfile import mkdtemp

from agents import Agent, Runner, set_tracing_disabled
from agents.models.openai_chatcompletions import OpenAIChatCompletionsModel
from openai import AsyncOpenAI

from memoryos import Memoryos
from memoryos.integrations.openai_agents import MemoryOSSession
from memoryos.testing import FakeOpenAIServer


def reply_with_memories(messages: Sequence[tuple[str, str]]) -> str:
    """Returns the reply of the test server: the lines of memory in its prompt."""
    lines = [line for role, text in messages if role == "system" for line in text.splitlines() if "user:" in line]
    return f"I remember: {'; '.join(lines)}" if lines else "I see."


async def talk(memory: Memoryos, client: AsyncOpenAI, day: str, text: str) -> None:
    """Runs the agent once in the session of a day and prints its reply."""
    session = MemoryOSSession(day, memory)
    agent = Agent(
        name="Assistant",
        instructions=session.instructions("You are a helpful assistant."),
        model=OpenAIChatCompletionsModel(os.environ.get("OPENAI_MODEL", "gpt-4o-mini"), client),
    )
    result = await Runner.run(agent, text, session=session)
    print(f"{day}: {text} -> {result.final_output}")
    session.close()


async def main() -> None:
    """States a fact in the session of Monday and asks for it in the session of Tuesday."""
    set_tracing_disabled(True)
    key = os.environ.get("OPENAI_API_KEY")
    with ExitStack() as stack:
        test_server = None if key else stack.enter_context(FakeOpenAIServer(reply=reply_with_memories))
        address = os.environ.get("OPENAI_BASE_URL") if test_server is None else test_server.base_url
        memory = stack.enter_context(Memoryos("tom", data_storage_path=mkdtemp()))
        async with AsyncOpenAI(api_key=key or "none", base_url=address) as client:
            await talk(memory, client, "monday", "I am allergic to walnuts.")
            await talk(memory, client, "tuesday", "Which nuts must I not eat?")


if __name__ == "__main__":
    asyncio.run(main())
