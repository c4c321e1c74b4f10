"""MemoryOS: memory for LLM agents, with short-, mid- and long-term tiers.

>>> from memoryos import Memoryos
>>> memo = Memoryos(user_id="tom")
>>> memo.add_memory("I work as a data scientist.", "Nice!")
>>> memo.recall("What is my job?").to_prompt()

Each name is imported at its first use, so that programs start faster.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memoryos.aio import AsyncMemoryos
    from memoryos.config import Config
    from memoryos.engine import MemoryEngine
    from memoryos.errors import MemoryOSError
    from memoryos.facade import Memoryos
    from memoryos.generation.responder import Answer
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

_MODULES = {
    "Answer": "memoryos.generation.responder",
    "AsyncMemoryos": "memoryos.aio",
    "Config": "memoryos.config",
    "Knowledge": "memoryos.model",
    "MemoryEngine": "memoryos.engine",
    "MemoryOSError": "memoryos.errors",
    "Memoryos": "memoryos.facade",
    "Page": "memoryos.model",
    "Profile": "memoryos.model",
    "Recall": "memoryos.retrieval.recall",
    "Segment": "memoryos.model",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
