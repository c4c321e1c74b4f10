"""Forgets pages of real dialogues and searches for their sentences: ``python -m benchmarks.forgetting``.

The benchmark searches for each sentence of at least 12 characters that no kept page contains.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
from io import StringIO
from pathlib import Path
from typing import Any

from benchmarks.evidence import CachingEmbedder
from benchmarks.locomo.__main__ import add_exchanges
from memoryos.config import Config
from memoryos.doors.locomo import Conversation, read_locomo
from memoryos.engine import MemoryEngine
from memoryos.language.text import sentences
from memoryos.memory import Memory
from memoryos.model import Page

SHORTEST = 12


def main() -> None:
    """Runs the benchmark for each conversation. Exits with 1 if a sentence of a forgotten page is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/locomo-dev.json"))
    parser.add_argument("--pages", type=int, default=40, help="number of pages to forget in each conversation")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    embedder = CachingEmbedder()
    rows = [_run(each, arguments.pages, embedder) for each in read_locomo(arguments.data)]
    for row in rows:
        sys.stdout.write(json.dumps(row) + "\n")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "forgetting.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    sys.exit(any(row["found_after"] for row in rows))


def _run(conversation: Conversation, count: int, embedder: CachingEmbedder) -> dict[str, Any]:
    chooser = random.Random(0)
    log = StringIO()
    logging.basicConfig(stream=log, level=logging.DEBUG, force=True)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        with MemoryEngine(Config(data_storage_path=store, background=False), embedder=embedder) as engine:
            memory = engine.memory(conversation.name)
            add_exchanges(memory, conversation)
            memory.flush()
            questions = [question.text for question in conversation.questions[:20]]
            for question in questions:
                memory.get_response(question)
            memory.force_mid_term_analysis()
            pages = list(memory.pages())
            gone = chooser.sample(pages[: len(conversation.exchanges)], count)
            stay = "\n".join(_words(page) for page in pages if page not in gone)
            secret = {each for page in gone for each in sentences(_words(page)) if len(each) >= SHORTEST}
            secret = {each for each in secret if each not in stay and "\n" not in each}
            before = _search(secret, _everything(memory, store, questions, folder, log, "before"))
            log.truncate(0)
            receipt = memory.forget(page_ids=[page.page_id for page in gone])
            memory.force_mid_term_analysis()
            after = _search(secret, _everything(memory, store, questions, folder, log, "after"))
            stats = memory.get_memory_stats()
    return {
        "conversation": conversation.name,
        "pages_forgotten": len(receipt.page_ids),
        "answers_forgotten": len(receipt.answer_page_ids),
        "facts_forgotten": len(receipt.knowledge_ids),
        "sentences": len(secret),
        "found_before": before,
        "found_after": after,
        "pages_due_afterwards": stats["pages_due"],
        "pages_left": stats["pages"],
        "erased": receipt.erased,
    }


def _words(page: Page) -> str:
    return f"{page.user_text}\n{page.assistant_text}"


def _everything(memory: Memory, store: Path, questions: list[str], folder: str, log: StringIO, name: str) -> str:
    """Returns everything that can be read of a memory: its files, recalls, export, profile, facts, segments and logs."""
    export = Path(folder) / f"{name}.jsonl"
    memory.export(export)
    parts = [file.read_bytes().decode("utf-8", "ignore") for file in sorted(store.rglob("*")) if file.is_file()]
    parts += [memory.recall(question, max_pages=50).to_prompt() for question in questions]
    parts += [
        json.loads(json.dumps(export.read_text(encoding="utf-8"))),
        memory.get_user_profile_summary(),
        repr(memory.profile_history()),
        repr(memory.knowledge(None, history=True)),
        repr(memory.segments()),
        log.getvalue(),
    ]
    return "\n".join(parts)


def _search(secret: set[str], text: str) -> int:
    return sum(each in text for each in secret)


if __name__ == "__main__":
    main()
