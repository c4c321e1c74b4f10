"""Weight of meaning for languages that the embedder does not support."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.languages.dialogues import read_dialogue

from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.language.languages import LANGUAGES, Language
from memoryos.retrieval.retriever import UNSUPPORTED_LANGUAGE_SHARE
from memoryos.testing import HashEmbedder

LARGEST_SHARE = {"vi": 0.75}
"""Lower limits for languages with worse segments: number of pages of one topic in one segment."""


class EnglishOnly(HashEmbedder):
    """An embedder that supports English only."""

    languages = frozenset({"en"})


def meaning(folder: Path, embedder: HashEmbedder, query: str) -> float:
    with MemoryEngine(
        Config(data_storage_path=folder, background=False, short_term_capacity=0), embedder=embedder
    ) as engine:
        memory = engine.memory("ann")
        memory.add_memory("Mijn zus woont in Porto.", "Wat leuk, where does she live there?")
        memory.add_memory("The bread is ready.", "Het brood is klaar.")
        memory.flush()
        recall = memory.recall(query, max_pages=1)
    return recall.pages[0].signals.meaning


@pytest.mark.parametrize(
    ("query", "share"), [("Waar woont mijn zus?", UNSUPPORTED_LANGUAGE_SHARE), ("Where is the bread?", 1), ("Porto", 1)]
)
def test_meaning_has_less_weight_in_unsupported_languages(tmp_path: Path, query: str, share: float) -> None:
    known = meaning(tmp_path / "any", HashEmbedder(), query)
    assert known != 0
    assert meaning(tmp_path / "english", EnglishOnly(), query) == pytest.approx(share * known)


@pytest.mark.parametrize("language", LANGUAGES)
def test_topics_become_segments_in_every_language(tmp_path: Path, language: Language) -> None:
    dialogue = read_dialogue(language)
    with MemoryEngine(Config(data_storage_path=tmp_path, background=False)) as engine:
        memory = engine.memory("ann")
        for page in dialogue.pages:
            memory.add_memory(page.user, page.assistant, page.at)
        memory.flush()
        sizes = [segment.page_count for segment in memory.segments()]
    assert max(sizes) <= len(dialogue.pages) * LARGEST_SHARE.get(language, 0.3)
    assert sum(sizes) == len(dialogue.pages), "pages in the window have a segment too"
