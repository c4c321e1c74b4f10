"""Tests that every Python and shell block of the documents runs, or states in a comment why it is not run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.structure.examples import ROOT, Block, read_blocks, run_document

DOCS = ROOT / "docs"
FENCES = {"python", "sh", "text", "json", "toml", "yaml", "sql", "nginx", "ini", "eval-rst"}
PAGES = sorted(
    str(each.relative_to(DOCS)) for each in DOCS.rglob("*.md") if any(block.is_run for block in read_blocks(each))
)


@pytest.mark.enable_socket
@pytest.mark.parametrize("page", PAGES)
def test_examples_of_document_run(page: str, tmp_path: Path) -> None:
    assert run_document(DOCS / page, tmp_path) > 0


def test_beginner_documents_have_runnable_examples() -> None:
    assert {"quickstart.md", "howto/forgetting.md", "howto/import-export.md", "howto/own-llm.md"} <= set(PAGES)


def test_blocks_that_are_not_run_state_the_reason() -> None:
    for file in DOCS.rglob("*.md"):
        for block in read_blocks(file):
            if block.is_example and not block.is_run:
                assert len(block.mark) > len("not run: a b"), (file, block.line)


def test_code_blocks_have_a_known_language() -> None:
    for file in DOCS.rglob("*.md"):
        text = file.read_text(encoding="utf-8")
        opened = re.findall(r"^`{3,}(.*)$", text, re.MULTILINE)[::2]
        assert {each for each in opened if not each.startswith("{")} <= FENCES, file


def test_failing_example_is_reported_with_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="line 5"):
        run_document(page, tmp_path)
    page.write_text("```sh\nfalse\necho on\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="line 1"):
        run_document(page, tmp_path)
    page.write_text('```python\nprint("a")\n```\n\n<!-- prints -->\n```text\nb\n```\n', encoding="utf-8")
    with pytest.raises(AssertionError, match="it prints a"):
        run_document(page, tmp_path)


def test_mark_applies_to_the_next_block_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: a key is needed -->\n```sh\na\n```\n\n```sh\nb\n```\n", encoding="utf-8")
    assert read_blocks(page) == [
        Block(2, "sh", "a\n", "not run: a key is needed"),
        Block(6, "sh", "b\n", ""),
    ]
