"""Tests of the README: its commands and snippets run, and its translations have the same structure."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from memoryos.doors.cli import cli
from memoryos.doors.clients import CLIENTS
from tests.house.examples import ROOT, block_runner, read_blocks

README = ROOT / "README.md"
MULTILINGUAL = '"memoryos-engine[multilingual]"'
TRANSLATIONS = ["nl", "ja", "pt", "vi", "zh"]


def text_of(language: str) -> str:
    return (ROOT / f"README.{language}.md").read_text(encoding="utf-8")


def prose(text: str) -> str:
    """Returns a document without its code blocks and link targets."""
    return re.sub(r"\]\([^)]*\)", "]", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))


def numbers(text: str) -> Counter[str]:
    """Returns the numbers in a document's prose; "1,000" and "1.000" are equal, ".79" stays a fraction."""
    found = re.findall(r"\d[\d.,]*\d|\.?\d+", prose(text))
    return Counter(re.sub(r"(?<=\d)[.,](?=\d{3}$)", "", each) for each in found)


def test_first_block_contains_make_demo_and_make_test() -> None:
    first = next(each for each in read_blocks(README) if each.language == "sh")
    assert first.text == "make demo\nmake test\n"


def test_make_demo_runs_the_demo_and_answers_its_questions(tmp_path: Path) -> None:
    """Runs the last command of ``make demo``; CI also runs the installation before it."""
    last = dry_run("demo")[-1]
    assert last.endswith("memoryos demo")
    with block_runner(tmp_path) as runner:
        printed = runner.shell(last.rpartition("/")[2])
    assert "No key" in printed
    assert "Tiers after each part of the conversation" in printed
    found = re.search(r"(\d) of 8 questions found the expected answer\.\n$", printed)
    assert found
    assert int(found[1]) >= 7


def test_make_test_runs_pytest() -> None:
    assert dry_run("test")[-1].endswith("python -m pytest -n auto --dist loadfile --busy 0")
    assert dry_run("test", "BUSY=2")[-1].endswith("--busy 2")


def dry_run(*arguments: str) -> list[str]:
    """Returns the commands that make would run, without the variables of a make that runs these tests."""
    command = ["make", "--no-print-directory", "--dry-run", *arguments]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("BUSY", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip().splitlines()


@pytest.mark.enable_socket
def test_commands_and_snippet_of_the_readme_run(tmp_path: Path) -> None:
    blocks = read_blocks(README)
    kinds: Counter[str] = Counter()
    printed = ""
    with block_runner(tmp_path) as runner:
        for block in blocks:
            if block.is_run and "make" not in block.text:
                kinds[block.language] += 1
                printed = runner.run(block)
                if "--explain" in block.text:
                    assert "Porto" in printed
                if "curl" in block.text:
                    assert "My sister Nora lives in Porto." in printed
                if "--remove" in block.text:
                    assert "was added to Claude Desktop" in printed
                    assert "was removed from Claude Desktop" in printed
            elif block.mark == "prints":
                kinds["prints"] += 1
                assert printed == block.text
    assert kinds == {"python": 1, "sh": 4, "prints": 1}


def test_readme_lists_every_command() -> None:
    text = README.read_text(encoding="utf-8")
    for name, command in cli.commands.items():
        assert f"`{name}`" in text, name
        assert command.help


def test_readme_lists_every_client() -> None:
    text = README.read_text(encoding="utf-8")
    for name in CLIENTS:
        assert name in text, name


def test_images_of_the_readme_exist() -> None:
    for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README.read_text(encoding="utf-8")):
        assert (ROOT / target).read_bytes().startswith(b"\x89PNG"), target


def test_readme_has_at_most_160_lines() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 160


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_translation_has_the_same_code_blocks_and_marks(language: str) -> None:
    """The translations install the multilingual embedding model; all other code is equal."""
    ours = [
        (each.language, each.text.replace("install memoryos-engine\n", f"install {MULTILINGUAL}\n"), each.mark)
        for each in read_blocks(README)
    ]
    assert any(MULTILINGUAL in text for _, text, _ in ours)
    assert [(each.language, each.text, each.mark) for each in read_blocks(ROOT / f"README.{language}.md")] == ours


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_translation_has_the_same_headings_links_code_and_numbers(language: str) -> None:
    english, text = README.read_text(encoding="utf-8"), text_of(language)
    for pattern in (r"^(#+) ", r"^(\* )", r"^(\|).*\|$"):
        assert re.findall(pattern, prose(text), re.MULTILINE) == re.findall(pattern, prose(english), re.MULTILINE)
    assert re.findall(r"\]\(([^)]+)\)", text) == re.findall(r"\]\(([^)]+)\)", english)
    assert Counter(re.findall(r"`([^`\n]+)`", prose(text))) == Counter(re.findall(r"`([^`\n]+)`", prose(english)))
    assert numbers(text) == numbers(english)


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_translation_contains_no_english_sentences(language: str) -> None:
    english = set(prose(README.read_text(encoding="utf-8")).splitlines())
    left = [line for line in prose(text_of(language)).splitlines() if line in english]
    assert not [line for line in left if re.search(r"(?:[A-Za-z]{2,} ){4}", line) and not line.startswith("<!--")]


def test_numbers_are_parsed_with_either_separator() -> None:
    assert (
        numbers("1,000 tokens of .791 and 760") == numbers("760 of .791 en 1.000") == {"1000": 1, ".791": 1, "760": 1}
    )
    assert numbers("1,000") != numbers("10,000")
    assert numbers(".791") != numbers(".792")
