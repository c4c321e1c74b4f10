"""Fakes for tests of MemoryOS and of programs that use it: embedder, analyst, chat model, clock, LLM endpoint."""

from memoryos.testing.chat import Bill, ScriptedChatModel, ok_reply
from memoryos.testing.fakes import FixedClock, HashEmbedder, ScriptedAnalyst
from memoryos.testing.openai_server import Behaviour, StandInServer, misbehave

__all__ = [
    "Behaviour",
    "Bill",
    "FixedClock",
    "HashEmbedder",
    "ScriptedAnalyst",
    "ScriptedChatModel",
    "StandInServer",
    "misbehave",
    "ok_reply",
]
