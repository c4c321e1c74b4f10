"""Whatever one scope holds, no other scope shows: hostile ids, every read path."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoryos.analysts.llm import LLMAnalyst
from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.errors import NotFoundError
from memoryos.memory import Memoryos
from memoryos.testing import FixedClock, HashEmbedder, ScriptedChatModel

HOSTILE = [
    ("a", "b:c"), ("a:b", "c"), ("../../x", "x"), ("x", "../../x"), ("' OR 1=1 --", "%"), ("%", "_"), ("a", "A"), ("A", "a"),
    ("é", "e\u0301"), ("e\u0301", "é"), ("用户", "助手"), ("a b", "a  b"), ("null", "None"), ('"', "\\"), ("x" * 200, "y" * 200),
]  # fmt: skip


def everything(memory: Memoryos, model: ScriptedChatModel, folder: Path) -> str:
    file = folder / "shown.jsonl"
    memory.export(file)
    shown = [file.read_text(encoding="utf-8")]
    file.unlink()
    recall = memory.recall("What did I say about the secret word, and my sister?", max_pages=50)
    shown += [recall.to_prompt(), repr(recall), memory.get_user_profile_summary(), repr(memory.profile_history())]
    shown += [repr(memory.knowledge(None, history=True)), repr(memory.segments()), repr(memory.segments(archived=True))]
    shown += [repr(list(memory.pages())), repr(memory.newest_pages(50)), repr(memory.get_memory_stats())]
    before = len(model.requests)
    memory.get_response("What is the secret word?", remember=False)
    shown += [repr(request) for request in model.requests[before:]]
    return "\n".join(shown)


def do(memory: Memoryos, word: str, deed: str, clock: FixedClock) -> None:
    if deed == "add":
        memory.add_memory(f"I said {word} to my sister.", f"I heard {word}.", clock())
    elif deed == "flush":
        memory.flush()
    elif deed == "learn":
        memory.force_mid_term_analysis()
    elif deed == "rebuild":
        memory.rebuild()
    else:
        memory.forget(page_ids=[next(memory.pages()).page_id])
        memory.add_memory(f"I said {word} again.", "", clock())


@settings(max_examples=15)
@given(
    owners=st.lists(st.sampled_from(HOSTILE), min_size=2, max_size=4, unique=True),
    deeds=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["add", "add", "flush", "learn", "forget", "rebuild"])),
        max_size=16,
    ),
)
def test_no_read_path_shows_another_scope(
    owners: list[tuple[str, str]], deeds: list[tuple[int, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("apart")
    clock = FixedClock()
    model = ScriptedChatModel()
    config = Config(
        data_storage_path=folder / "store", background=False, short_term_capacity=1, consolidation_batch=2,
        mid_term_heat_threshold=1.0,
    )  # fmt: skip
    with MemoryEngine(config, embedder=HashEmbedder(), analyst=LLMAnalyst(model), clock=clock) as engine:
        memories = [engine.memory(*owner) for owner in owners]
        words = [f"sesame{number}marker" for number in range(len(owners))]
        for memory, word in zip(memories, words, strict=True):
            memory.add_memory(
                f"My secret word is {word} and I live with my sister.", f"I promise to keep {word}.", clock()
            )
        for place, deed in deeds:
            memory, word = memories[place % len(owners)], words[place % len(owners)]
            clock.advance(minutes=1)
            do(memory, word, deed, clock)
        for memory, word in zip(memories, words, strict=True):
            memory.flush()
            shown = everything(memory, model, folder)
            assert word in shown
            for other in words:
                assert other == word or other not in shown
            for page in memory.pages():
                for stranger in [each for each in memories if each is not memory]:
                    with pytest.raises(NotFoundError, match="not in this memory"):
                        stranger.forget(page_ids=[page.page_id])
        assert sorted(engine.scopes()) == sorted(memory.scope for memory in memories)
