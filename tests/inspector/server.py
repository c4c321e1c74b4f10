"""A server for the inspector's tests, in a process of its own: ``python -m tests.inspector.server KIND FOLDER``.

It fills its store, says in one line of JSON where it listens, and serves until it is told to end. Its clock goes on from
the end of the story.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from memoryos.config import Config
from memoryos.doors.http.running import run
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from memoryos.testing import Behaviour, HashEmbedder, StandInServer
from tests.inspector.story import StoryClock, the_story, with_names

Kind = Literal["plain", "llm", "keys", "large"]
"""``plain`` knows the story and has no LLM; ``llm`` has one; ``keys`` asks for keys; ``large`` holds 5,000 pages."""

LARGE = 5_000
POISON = "the endpoint falls over when it reads this"
"""A page that holds this can't be read by the LLM of ``llm``."""


def main() -> None:
    """Reads kind and folder from the command line, fills a store and serves it."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    if kind not in get_args(Kind):
        raise SystemExit(f"no kind {kind}")
    story = the_story()
    clock = StoryClock(story.end)
    with ExitStack() as stack:
        config: dict[str, Any] = {"data_storage_path": folder}
        if kind == "llm":
            endpoint = stack.enter_context(StandInServer(behaviour=_behave))
            config |= {"openai_api_key": "sk-stand-in", "openai_base_url": endpoint.base_url, "llm_model": "stand-in"}
            config |= {"llm_max_retries": 0, "retry_base_seconds": 300.0}
        engine = stack.enter_context(
            MemoryEngine(Config(**config), embedder=None if kind == "plain" else HashEmbedder(), clock=clock)
        )
        told: dict[str, Any] = {"keys": _keys(engine) if kind == "keys" else {}}
        if kind == "large":
            _fill(engine)
        else:
            story.tell(engine.memory(story.user_id, story.assistant_id), clock)
        settings = ServerSettings(port=0, keys=kind == "keys", event_seconds=0.2, user_requests_per_minute=1_000_000)
        run(engine, settings, lambda address: _announce(told | {"address": address}))


def _fill(engine: MemoryEngine) -> None:
    story = the_story()
    memory = engine.memory(story.user_id, story.assistant_id)
    count = len(story.drafts)
    for number in range(LARGE):
        each = story.drafts[number % count]
        before = timedelta(days=400) * (LARGE // count - number // count)
        memory.add_memory(each.user_text, each.assistant_text, each.at - before, with_names(each))
    memory.flush()


def _keys(engine: MemoryEngine) -> dict[str, str]:
    now = engine.clock()
    owners = {"admin": None, "user": the_story().user_id, "other": "somebody-else"}
    return {name: engine.store.keys.create(user_id, now).text for name, user_id in owners.items()}


def _behave(request: dict[str, Any]) -> Behaviour:
    return "500" if POISON in json.dumps(request["messages"]) else "ok"


def _announce(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
