"""Runs a server for the inspector tests in a separate process: ``python -m tests.inspector.server KIND FOLDER``.

It fills a store, prints its address and keys as one line of JSON, and serves until its stdin is closed. Its clock starts
at the end of the story.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
from collections import defaultdict
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from memoryos.config import Config
from memoryos.doors.http.server_runner import run
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from memoryos.identifiers import new_id
from memoryos.testing import Behaviour, FakeOpenAIServer, HashEmbedder
from tests.inspector.story import StoryClock, the_story

Kind = Literal["plain", "llm", "keys", "large"]
"""``plain`` has the story and no LLM; ``llm`` has an LLM; ``keys`` requires keys; ``large`` has 5,000 pages."""

LARGE = 5_000
POISON = "the endpoint falls over when it reads this"
"""The LLM of ``llm`` fails on a page that contains this text."""


def main() -> None:
    """Reads the kind and the folder from the command line, fills a store and serves it."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    if kind not in get_args(Kind):
        raise SystemExit(f"no kind {kind}")
    story = the_story()
    clock = StoryClock(story.end)
    embedder = None if kind == "plain" else HashEmbedder()
    with ExitStack() as stack:
        config = _quiet(folder)
        if kind == "llm":
            endpoint = stack.enter_context(FakeOpenAIServer(behaviour=_behave))
            config = config.with_(openai_api_key="sk-fake", openai_base_url=endpoint.base_url, llm_model="fake")
            config = config.with_(llm_max_retries=0, retry_base_seconds=300.0)
        with MemoryEngine(config, embedder=embedder, clock=clock) as engine:
            keys = _keys(engine) if kind == "keys" else {}
            if kind == "large":
                _fill(engine, clock)
            else:
                story.tell(engine.memory(story.user_id, story.assistant_id), clock)
        engine = stack.enter_context(MemoryEngine(config.with_(background=True), embedder=embedder, clock=clock))
        engine.embedder.embed(["the first call loads the model"])
        threading.Thread(target=_end_with_parent, daemon=True).start()
        settings = ServerSettings(port=0, keys=kind == "keys", event_seconds=0.2, user_requests_per_minute=1_000_000)
        run(engine, settings, lambda address: _announce({"keys": keys, "address": address}))


def _end_with_parent() -> None:
    """Stops the server when the parent process closes its stdin or ends."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGINT)


def _fill(engine: MemoryEngine, clock: StoryClock) -> None:
    """Fills a memory with the story and with copies of it from earlier years."""
    story = the_story()
    with tempfile.TemporaryDirectory() as folder:
        with MemoryEngine(_quiet(folder), embedder=engine.embedder, clock=clock) as once:
            memory = once.memory(story.user_id, story.assistant_id)
            story.tell(memory, clock)
            export = [json.loads(line) for line in memory.export_lines()]
        file = Path(folder) / "story.jsonl"
        file.write_text("\n".join(json.dumps(each) for each in _multiplied(export)), "utf-8")
        memory = engine.memory(story.user_id, story.assistant_id)
        memory.load(file)
        memory.flush()


def _multiplied(export: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the export records of a memory of ``LARGE`` pages, copied from those of a small one."""
    count = sum(each["kind"] == "page" for each in export)
    copies = -(-LARGE // count)
    records = [each for each in export if each["kind"] in {"memoryos", "scope"}]
    for copy in range(copies, 0, -1):
        records += _earlier(export, timedelta(days=400) * (copy - 1), is_last=copy == 1)
    pages = [each for each in records if each["kind"] == "page"]
    for seq, page in enumerate(pages[-LARGE:], start=1):
        page["seq"] = seq
    left_out = {id(each) for each in pages[:-LARGE]}
    return [each for each in records if id(each) not in left_out]


def _earlier(export: list[dict[str, Any]], span: timedelta, *, is_last: bool) -> list[dict[str, Any]]:
    """Returns copies of the records for another memory, with their times moved to the past."""
    ids: defaultdict[str, str] = defaultdict(new_id)

    def moved(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {inner: moved(inner, each) for inner, each in value.items()}
        if isinstance(value, list):
            return [moved(name, each) for each in value]
        if isinstance(value, str) and (name.endswith(("_id", "_ids")) or name == "replaces"):
            return ids[value]
        if isinstance(value, str) and (name in {"at", "valid_from", "valid_until"} or name.endswith("_at")):
            return (datetime.fromisoformat(value) - span).isoformat()
        return value

    kinds = {"page", "chain", "segment", "fact", *(["profile"] if is_last else [])}
    return [moved("", each) for each in export if each["kind"] in kinds]


def _quiet(folder: str | Path) -> Config:
    return Config(data_storage_path=folder, background=False)


def _keys(engine: MemoryEngine) -> dict[str, str]:
    now = engine.clock()
    owners = {"admin": None, "user": the_story().user_id, "other": "somebody-else"}
    return {name: engine.store.keys.create(user_id, now).text for name, user_id in owners.items()}


def _behave(request: dict[str, Any]) -> Behaviour:
    return "500" if POISON in json.dumps(request["messages"]) else "ok"


def _announce(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
