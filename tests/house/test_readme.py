"""The newcomer's path, taken literally: the commands are copied from the README and run, and its translations say the same."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from memoryos.doors.cli import cli
from memoryos.doors.clients import CLIENTS
from tests.house.examples import ROOT, read_blocks, reading

README = ROOT / "README.md"
TRANSLATIONS = ["nl", "ja", "pt", "vi", "zh"]


def text_of(language: str) -> str:
    return (ROOT / f"README.{language}.md").read_text(encoding="utf-8")


def prose(text: str) -> str:
    """Returns a document without its blocks and without the targets of its links."""
    return re.sub(r"\]\([^)]*\)", "]", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))


def numbers(text: str) -> Counter[str]:
    """Returns the numbers of a document's prose: "1,000" and "1.000" are one, and ".79" is no thousand."""
    found = re.findall(r"\d[\d.,]*\d|\.?\d+", prose(text))
    return Counter(re.sub(r"(?<=\d)[.,](?=\d{3}$)", "", each) for each in found)


def test_it_begins_with_the_two_commands() -> None:
    first = next(each for each in read_blocks(README) if each.language == "sh")
    assert first.text == "make demo\nmake test\n"


def test_make_demo_shows_what_it_says(tmp_path: Path) -> None:
    """``make demo`` sets itself up, which CI does for real; here it is what it then runs."""
    last = dry_run("demo")[-1]
    assert last.endswith("memoryos demo")
    with reading(tmp_path) as reader:
        printed = reader.shell(last.rpartition("/")[2])
    assert "No key" in printed
    assert "Tiers after each part of the conversation" in printed
    found = re.search(r"(\d) of 8 questions found the expected answer\.\n$", printed)
    assert found
    assert int(found[1]) >= 7


def test_make_test_runs_the_tests() -> None:
    assert dry_run("test")[-1].endswith("python -m pytest -n auto --dist loadfile --busy 0")
    assert dry_run("test", "BUSY=2")[-1].endswith("--busy 2")


def dry_run(*arguments: str) -> list[str]:
    """Returns what make would run, whether or not a make runs these tests (which would name the folders it is in)."""
    command = ["make", "--no-print-directory", "--dry-run", *arguments]
    alone = {
        name: value
        for name, value in os.environ.items()
        if name not in ("BUSY", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")
    }
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip().splitlines()


@pytest.mark.enable_socket
def test_its_commands_and_its_snippet_do_what_it_says(tmp_path: Path) -> None:
    blocks = read_blocks(README)
    kinds: Counter[str] = Counter()
    printed = ""
    with reading(tmp_path) as reader:
        for block in blocks:
            if block.is_run and "make" not in block.text:
                kinds[block.language] += 1
                printed = reader.run(block)
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


def test_every_command_is_mentioned() -> None:
    text = README.read_text(encoding="utf-8")
    for name, command in cli.commands.items():
        assert f"`{name}`" in text, name
        assert command.help


def test_every_client_is_named() -> None:
    text = README.read_text(encoding="utf-8")
    for name in CLIENTS:
        assert name in text, name


def test_its_picture_is_there() -> None:
    for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README.read_text(encoding="utf-8")):
        assert (ROOT / target).read_bytes().startswith(b"\x89PNG"), target


def test_it_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 160


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_has_the_same_blocks_and_marks(language: str) -> None:
    ours = [(each.language, each.text, each.mark) for each in read_blocks(README)]
    assert [(each.language, each.text, each.mark) for each in read_blocks(ROOT / f"README.{language}.md")] == ours


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_has_the_same_headings_links_words_in_code_and_numbers(language: str) -> None:
    english, text = README.read_text(encoding="utf-8"), text_of(language)
    for pattern in (r"^(#+) ", r"^(\* )", r"^(\|).*\|$"):
        assert re.findall(pattern, prose(text), re.MULTILINE) == re.findall(pattern, prose(english), re.MULTILINE)
    assert re.findall(r"\]\(([^)]+)\)", text) == re.findall(r"\]\(([^)]+)\)", english)
    assert Counter(re.findall(r"`([^`\n]+)`", prose(text))) == Counter(re.findall(r"`([^`\n]+)`", prose(english)))
    assert numbers(text) == numbers(english)


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_is_one(language: str) -> None:
    english = set(prose(README.read_text(encoding="utf-8")).splitlines())
    left = [line for line in prose(text_of(language)).splitlines() if line in english]
    assert not [line for line in left if re.search(r"(?:[A-Za-z]{2,} ){4}", line) and not line.startswith("<!--")]


def test_numbers_are_told_apart() -> None:
    assert (
        numbers("1,000 tokens of .791 and 760") == numbers("760 of .791 en 1.000") == {"1000": 1, ".791": 1, "760": 1}
    )
    assert numbers("1,000") != numbers("10,000")
    assert numbers(".791") != numbers(".792")
