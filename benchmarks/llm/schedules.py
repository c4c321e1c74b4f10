"""Runs conversations in which randomly selected LLM calls fail, and checks the stored data after every action.

``python -m benchmarks.llm.schedules --schedules 1000`` runs a thousand conversations. The test suite runs one hundred.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memoryos.analysts.llm import LLMAnalyst
from memoryos.analysts.local import LocalAnalyst
from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.errors import AnalystError, AnalystUnavailableError, InvalidReplyError
from memoryos.memory import Memory
from memoryos.seams import ChatRequest
from memoryos.testing import FixedClock, HashEmbedder, ScriptedChatModel, misbehave, ok_reply

NO_PAUSE_SECONDS = 1e-9
"""Back-off after a failure; short, so that the next call retries the analyst."""
JUNK = "a reply of another shape"
INVENTED = "An invented fact"
FAILURES = (
    "429", "500", "dropped", "slow", "truncated", "wrong schema", "empty", "wrong language", "invented ids", "withheld",
)  # fmt: skip
_UNAVAILABLE = frozenset({"429", "500", "dropped", "slow"})
_FOREIGN = "Это ответ"
_TOPICS = ("sailing to Porto", "baking rye bread", "my sister Nora", "the new job in Utrecht", "a violin concert")


@dataclass
class Schedule:
    """One run of a conversation: its random choices, and the LLM calls so far."""

    seed: int
    chooser: random.Random = field(init=False)
    failing: float = 0.0
    behaved: Counter[str] = field(default_factory=Counter)
    added: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chooser = random.Random(self.seed)

    def reply(self, request: ChatRequest) -> str | Exception:
        """Returns a reply, or raises an error, as the random choices determine."""
        behaviour = self.chooser.choice(FAILURES) if self.chooser.random() < self.failing else "ok"
        self.behaved[behaviour] += 1
        if behaviour in _UNAVAILABLE:
            return AnalystUnavailableError(f"simulated failure: {behaviour}")
        if behaviour in {"empty", "withheld"}:
            return InvalidReplyError(f"simulated failure: {behaviour}")
        return misbehave(behaviour, ok_reply([(each.role, each.content) for each in request.messages]))


def run_schedule(seed: int, folder: Path) -> Counter[str]:
    """Runs one conversation. Checks that no page is lost, stored twice or due for ever, and no invalid reply is used.

    Returns:
        Number of LLM calls by behaviour, i.e. by the kind of reply or failure.

    Raises:
        AssertionError: If a check fails; the message contains the seed.
    """
    run = Schedule(seed)
    clock = FixedClock()
    config = Config(
        data_storage_path=folder / f"{seed}",
        background=False,
        short_term_capacity=run.chooser.randint(0, 3),
        consolidation_batch=run.chooser.randint(1, 5),
        mid_term_heat_threshold=run.chooser.choice([1.0, 3.0, 5.0]),
        mid_term_capacity=run.chooser.choice([2, 100]),
        long_term_knowledge_capacity=run.chooser.choice([3, 100]),
        retry_base_seconds=NO_PAUSE_SECONDS,
        retry_max_seconds=NO_PAUSE_SECONDS,
    )
    has_fallback = run.chooser.random() < 0.5  # noqa: PLR2004  (half of the schedules)
    fallback = LocalAnalyst() if has_fallback else None
    analyst = LLMAnalyst(ScriptedChatModel(reply=run.reply))
    embedder = HashEmbedder()
    run.failing = run.chooser.choice([0.3, 0.6, 0.9])
    for _ in range(run.chooser.randint(1, 3)):
        with MemoryEngine(config, embedder=embedder, analyst=analyst, fallback_analyst=fallback, clock=clock) as engine:
            memory = engine.memory("tom")
            for _ in range(run.chooser.randint(2, 6)):
                _do_something(run, memory, clock)
                _check(run, memory)
    run.failing = 0.0
    with MemoryEngine(config, embedder=embedder, analyst=analyst, fallback_analyst=fallback, clock=clock) as engine:
        memory = engine.memory("tom")
        clock.advance(days=2)
        memory.flush()
        _check(run, memory)
        _check_the_end(run, memory)
    return run.behaved


def _do_something(run: Schedule, memory: Memory, clock: FixedClock) -> None:
    deed = run.chooser.random()
    if deed < 0.6:  # noqa: PLR2004  (mostly, people talk)
        for _ in range(run.chooser.randint(1, 6)):
            said = f"I was {run.chooser.choice(_TOPICS)} and I like it, page {len(run.added)}"
            memory.add_memory(said, f"Tell me more about number {len(run.added)}.", clock())
            run.added.append(said)
            clock.advance(minutes=run.chooser.choice([1, 3000]))
        return
    version = memory.profile.version
    failure = None
    try:
        if deed < 0.9:  # noqa: PLR2004  (now and then, they ask)
            memory.flush()
        else:
            query = f"What did I say about {run.chooser.choice(_TOPICS)}, time {len(run.answered)}?"
            memory.get_response(query)
            run.added.append(query)
            run.answered.append(query)
    except AnalystError as error:
        failure = type(error).__name__
    if failure is not None:
        assert failure in memory.get_memory_stats()["last_error"], _seed(run, "the error is not to be seen")
    assert memory.profile.version >= version, _seed(run, "the profile went back")
    clock.advance(hours=run.chooser.choice([0, 1, 30]))


def _check(run: Schedule, memory: Memory) -> None:
    pages = list(memory.pages())
    assert [page.user_text for page in pages] == run.added, _seed(run, "a page was lost or doubled")
    segments = [*memory.segments(), *memory.segments(archived=True)]
    held = Counter(page.segment_id for page in pages if page.segment_id)
    assert {each.segment_id: each.page_count for each in segments} == held, _seed(run, "segments and pages differ")
    page_ids = {page.page_id for page in pages}
    texts = [each.summary for each in segments] + [page.assistant_text for page in pages]
    for entry in memory.knowledge(None, history=True):
        assert page_ids.issuperset(entry.source_page_ids), _seed(run, "knowledge from nowhere")
        texts.append(entry.text)
    kept = [text for text in texts if JUNK in text or _FOREIGN in text or INVENTED in text]
    assert not kept, _seed(run, f"junk was kept: {kept}")


def _check_the_end(run: Schedule, memory: Memory) -> None:
    stats = memory.get_memory_stats()
    wanted = {"pages_due": 0, "pages_without_vector": 0, "pages_provisional": 0, "last_error": None}
    assert {name: stats[name] for name in wanted} == wanted, _seed(run, f"not complete: {stats}")
    placed = sum(page.segment_id is not None for page in memory.pages())
    assert placed == len(run.added), _seed(run, "a page is stuck")
    before = _state(memory)
    calls = run.behaved.total()
    memory.flush()
    assert run.behaved.total() == calls, _seed(run, "a second flush called the LLM")
    assert _state(memory) == before, _seed(run, "a second flush changed something")


def _state(memory: Memory) -> tuple[Any, ...]:
    return list(memory.pages()), memory.segments(), memory.knowledge(None, history=True), memory.profile


def _seed(run: Schedule, what: str) -> str:
    return f"schedule {run.seed}: {what}"


def main() -> None:
    """Runs the conversations, and prints the number of LLM calls for each kind of reply or failure."""
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    arguments = parser.parse_args()
    started = time.perf_counter()
    behaved: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.first, arguments.first + arguments.schedules):
            behaved += run_schedule(seed, Path(folder))
    seconds = time.perf_counter() - started
    sys.stdout.write(
        f"{arguments.schedules} schedules in {seconds:.0f} s: no page lost or stuck, no invalid reply used; "
        f"{behaved.total()} calls of which {behaved.total() - behaved['ok']} failed: {dict(behaved)}\n"
    )


if __name__ == "__main__":
    main()
