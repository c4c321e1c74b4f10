"""MemoryOS: an operating system for an agent's memory.

>>> from memoryos import Memoryos
>>> memo = Memoryos(user_id="tom")
>>> memo.add_memory("I work as a data scientist.", "Nice!")
>>> memo.recall("What is my job?").to_prompt()
"""

from __future__ import annotations

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
