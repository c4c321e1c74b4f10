"""An agent of the OpenAI Agents SDK that remembers over sessions: ``pip install "memoryos-engine[openai-agents]"``.

It talks to the endpoint of OPENAI_BASE_URL with OPENAI_API_KEY; without a key to a stand-in on this machine, which says
what it was shown.
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
from memoryos.testing import StandInServer


def told(messages: Sequence[tuple[str, str]]) -> str:
    """Returns what the stand-in says: the lines of memory that it was shown."""
    lines = [line for role, text in messages if role == "system" for line in text.splitlines() if "user:" in line]
    return f"I remember: {'; '.join(lines)}" if lines else "I see."


async def talk(memory: Memoryos, client: AsyncOpenAI, day: str, text: str) -> None:
    """Has one run in the session of a day."""
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
    """Tells something on Monday and asks for it on Tuesday, in another session."""
    set_tracing_disabled(True)
    key = os.environ.get("OPENAI_API_KEY")
    with ExitStack() as stack:
        address = os.environ.get("OPENAI_BASE_URL") if key else stack.enter_context(StandInServer(reply=told)).base_url
        memory = stack.enter_context(Memoryos("tom", data_storage_path=mkdtemp()))
        async with AsyncOpenAI(api_key=key or "none", base_url=address) as client:
            await talk(memory, client, "monday", "I am allergic to walnuts.")
            await talk(memory, client, "tuesday", "Which nuts must I not eat?")


if __name__ == "__main__":
    asyncio.run(main())
