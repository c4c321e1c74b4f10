"""What test suites need, this project's and yours: doubles for every seam, a clock, an LLM endpoint to talk to."""

from memoryos.testing.chat import Bill, ScriptedChatModel, ok_reply
from memoryos.testing.openai_server import Behaviour, StandInServer, misbehave
from memoryos.testing.seams import FixedClock, HashEmbedder, ScriptedAnalyst

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
