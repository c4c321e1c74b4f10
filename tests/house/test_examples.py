"""Every Python and shell block of the documents is run as it stands, unless a comment in front of it says why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.examples import ROOT, Block, follow, read_blocks

DOCS = ROOT / "docs"
FENCES = {"python", "sh", "text", "json", "toml", "yaml", "sql", "nginx", "ini", "eval-rst"}
PAGES = sorted(
    str(each.relative_to(DOCS)) for each in DOCS.rglob("*.md") if any(block.is_run for block in read_blocks(each))
)


@pytest.mark.enable_socket
@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(page: str, tmp_path: Path) -> None:
    assert follow(DOCS / page, tmp_path) > 0


def test_the_pages_for_beginners_are_among_them() -> None:
    assert {"quickstart.md", "howto/forgetting.md", "howto/import-export.md", "howto/own-llm.md"} <= set(PAGES)


def test_a_block_that_is_not_run_says_why() -> None:
    for file in DOCS.rglob("*.md"):
        for block in read_blocks(file):
            if block.is_example and not block.is_run:
                assert len(block.mark) > len("not run: a b"), (file, block.line)


def test_every_fence_has_a_language_that_is_known_here() -> None:
    for file in DOCS.rglob("*.md"):
        text = file.read_text(encoding="utf-8")
        opened = re.findall(r"^`{3,}(.*)$", text, re.MULTILINE)[::2]
        assert {each for each in opened if not each.startswith("{")} <= FENCES, file


def test_an_example_that_fails_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="line 5"):
        follow(page, tmp_path)
    page.write_text("```sh\nfalse\necho on\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="line 1"):
        follow(page, tmp_path)
    page.write_text('```python\nprint("a")\n```\n\n<!-- prints -->\n```text\nb\n```\n', encoding="utf-8")
    with pytest.raises(AssertionError, match="it prints a"):
        follow(page, tmp_path)


def test_a_mark_belongs_to_the_next_block_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: a key is needed -->\n```sh\na\n```\n\n```sh\nb\n```\n", encoding="utf-8")
    assert read_blocks(page) == [
        Block(2, "sh", "a\n", "not run: a key is needed"),
        Block(6, "sh", "b\n", ""),
    ]
