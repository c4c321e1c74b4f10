"""Fakes for tests of MemoryOS and of programs that use it: embedder, analyst, chat model, clock and LLM server."""

import warnings
from typing import Any

from memoryos.testing.chat import Bill, ScriptedChatModel, ok_reply
from memoryos.testing.fakes import FixedClock, HashEmbedder, ScriptedAnalyst
from memoryos.testing.openai_server import Behaviour, FakeOpenAIServer, misbehave

__all__ = [
    "Behaviour",
    "Bill",
    "FakeOpenAIServer",
    "FixedClock",
    "HashEmbedder",
    "ScriptedAnalyst",
    "ScriptedChatModel",
    "misbehave",
    "ok_reply",
]


def __getattr__(name: str) -> Any:
    """Returns ``FakeOpenAIServer`` for its deprecated name ``StandInServer``.

    Raises:
        AttributeError: If the name is another one.
    """
    if name == "StandInServer":
        warnings.warn("StandInServer was renamed; use FakeOpenAIServer", DeprecationWarning, stacklevel=2)
        return FakeOpenAIServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
