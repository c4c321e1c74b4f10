"""What is shipped and what is written: packaging, README, settings, decisions."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import pytest

from memoryos.config import Config, HeatWeights, RankingWeights

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_readme_begins_with_the_two_commands() -> None:
    first = code_blocks("sh")[0].split("\n")
    assert first[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("block", code_blocks("python"))
def test_the_readme_examples_run(block: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_every_command_is_documented() -> None:
    from memoryos.doors.cli import cli  # noqa: PLC0415

    for name in cli.commands:
        assert f"memoryos {name}" in README or f"`{name}`" in README, name
        assert cli.commands[name].help


def test_every_setting_is_documented_with_its_meaning() -> None:
    reference = (ROOT / "docs" / "reference" / "config.md").read_text(encoding="utf-8")
    for model in (Config, HeatWeights, RankingWeights):
        for name, field in model.model_fields.items():
            assert field.description, name
            assert f"`{name}`" in reference, name


@pytest.mark.parametrize("name", ["config", "http", "prompts"])
def test_the_references_are_those_of_the_code(name: str) -> None:
    code = f"import generate; print(generate.REFERENCES['{name}'](), end='')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "docs", capture_output=True, text=True, check=True, timeout=60
    )
    written = (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")
    assert done.stdout == written, "run: python docs/generate.py"


def test_every_word_of_the_glossary_is_there() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    for word in "page utterance chain segment heat profile trait knowledge scope recall analyst short-term mid-term long-term".split():
        assert f"**{word}**" in glossary, word


def test_decisions_are_numbered_and_have_their_parts() -> None:
    files = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [each.name[:4] for each in files] == [f"{number:04}" for number in range(1, len(files) + 1)]
    for each in files:
        text = each.read_text(encoding="utf-8")
        assert all(f"## {part}" in text for part in ("Context", "Decision", "Consequences")), each.name


def test_links_between_documents_lead_somewhere() -> None:
    for file in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", file.read_text(encoding="utf-8")):
            assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_the_changelog_names_this_version() -> None:
    assert f"## [{metadata.version('memoryos-engine')}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_what_the_package_needs_is_in_it() -> None:
    package = resources.files("memoryos")
    for name in ("py.typed", "analysts/traits90.json", "doors/demo_conversation.jsonl",
                 "models/assets/all-MiniLM-L6-v2/tokenizer.json", "storage/migrations/env.py"):  # fmt: skip
        assert (package / name).is_file(), name


def test_the_lock_holds_hashes_and_no_addresses() -> None:
    for name in ("runtime", "dev"):
        text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
        pinned = [line for line in text.splitlines() if re.match(r"[a-z]", line)]
        assert len(pinned) > 20
        assert all("==" in line for line in pinned)
        assert not re.search(r"https?:|file:|--index|--find", text)
        assert text.count("--hash=sha256:") >= len(pinned)
