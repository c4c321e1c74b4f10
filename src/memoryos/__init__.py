"""MemoryOS: an operating system for an agent's memory.

>>> from memoryos import Memoryos
>>> memo = Memoryos(user_id="tom")
>>> memo.add_memory("I work as a data scientist.", "Nice!")
>>> memo.recall("What is my job?").to_prompt()

Names are imported when they are first used: a server that speaks before it remembers starts at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memoryos.aio import AsyncMemoryos
    from memoryos.config import Config
    from memoryos.engine import MemoryEngine
    from memoryos.errors import MemoryOSError
    from memoryos.generation.responder import Answer
    from memoryos.memory import Memoryos
    from memoryos.model import Knowledge, Page, Profile, Segment
    from memoryos.retrieval.recall import Recall

__all__ = [
    "Answer",
    "AsyncMemoryos",
    "Config",
    "Knowledge",
    "MemoryEngine",
    "MemoryOSError",
    "Memoryos",
    "Page",
    "Profile",
    "Recall",
    "Segment",
]

_HOMES = {
    "Answer": "memoryos.generation.responder",
    "AsyncMemoryos": "memoryos.aio",
    "Config": "memoryos.config",
    "Knowledge": "memoryos.model",
    "MemoryEngine": "memoryos.engine",
    "MemoryOSError": "memoryos.errors",
    "Memoryos": "memoryos.memory",
    "Page": "memoryos.model",
    "Profile": "memoryos.model",
    "Recall": "memoryos.retrieval.recall",
    "Segment": "memoryos.model",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
