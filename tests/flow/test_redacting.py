"""Redaction: no file of the store contains a secret, through whichever interface a page was added."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memoryos.errors import InputError
from memoryos.testing import HashEmbedder
from tests.conftest import EngineMaker

CARD = "4111111111111111"
TOKEN = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
STAFF = "EMP-7788"
SECRETS = (CARD, TOKEN, STAFF)
SAID = f"My card is {CARD}, my token {TOKEN}, and I am {STAFF}."
SETTINGS = {"redact_secrets": True, "redaction_patterns": {"staff number": r"EMP-\d{4}"}}
KEPT = "My card is [redacted card number], my token [redacted token], and I am [redacted staff number]."


class SpyEmbedder(HashEmbedder):
    """An embedder that records its texts."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def embed(self, texts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        self.seen += texts
        return super().embed(texts)


def test_every_input_interface_redacts(make_engine: EngineMaker, tmp_path: Path) -> None:
    embedder = SpyEmbedder()
    engine = make_engine(**SETTINGS, embedder=embedder, short_term_capacity=1)
    memory = engine.memory("tom", "helper")
    page = memory.add_memory(SAID, SAID, meta_data={"user_name": f"Tom {CARD}", "note": [SAID]}, idempotency_key="k")
    assert (page.user_text, page.assistant_text) == (KEPT, KEPT)
    assert page.user_name == "Tom [redacted card number]"
    assert page.metadata["note"] == [KEPT]
    memory.add_messages([{"role": "user", "content": SAID}, {"role": "assistant", "content": SAID}])
    (tmp_path / "messages.json").write_text(json.dumps([{"role": "user", "content": SAID}]), encoding="utf-8")
    memory.load(tmp_path / "messages.json")
    memory.get_response(f"What is {CARD}?", idempotency_key="answer")
    memory.force_mid_term_analysis()
    recalled = memory.recall("my card and my token")
    assert KEPT in recalled.to_prompt() or "[redacted card number]" in recalled.to_prompt()
    memory.export(tmp_path / "all.jsonl")
    stored = (tmp_path / "all.jsonl").read_text(encoding="utf-8")
    assert "[redacted token]" in stored
    asked = {f"What is {CARD}?", "my card and my token"}
    seen = "\n".join(each for each in embedder.seen if each not in asked)
    assert not [each for each in SECRETS if each in stored or each in seen]
    engine.close()
    for file in (tmp_path / "store").rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert not [each for each in SECRETS if each.encode() in content], file


def test_loading_an_unredacted_export_redacts_it(make_engine: EngineMaker, tmp_path: Path) -> None:
    source = make_engine().memory("ann")
    source.add_memory(SAID, "Noted.")
    source.add_memory(f"I live in {CARD} street.", "Noted.")
    source.export(tmp_path / "all.jsonl")
    engine = make_engine(**SETTINGS)
    memory = engine.memory("tom")
    assert memory.load(tmp_path / "all.jsonl").pages == 2
    assert memory.load(tmp_path / "all.jsonl").known == 2
    assert [each.user_text for each in memory.newest_pages(5)][-1] == KEPT
    memory.export(tmp_path / "again.jsonl")
    assert not [each for each in SECRETS if each in (tmp_path / "again.jsonl").read_text(encoding="utf-8")]


def test_repeated_request_is_recognised_by_its_redacted_text(make_engine: EngineMaker) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    first = memory.add_memory(SAID, idempotency_key="k")
    assert memory.add_memory(SAID, idempotency_key="k") == first
    assert memory.add_memory(SAID.replace(CARD, "5500000000000004"), idempotency_key="k") == first
    with pytest.raises(InputError, match="another request"):
        memory.add_memory("something else", idempotency_key="k")
    query = f"What is {CARD}?"
    answer = memory.get_response(query, idempotency_key="q")
    assert memory.get_response(query, idempotency_key="q") == answer
    assert len(memory.newest_pages(10)) == 2


def test_without_the_setting_pages_stay_verbatim(make_engine: EngineMaker) -> None:
    assert make_engine().memory("tom").add_memory(SAID).user_text == SAID
