"""Tests of the glossary, the decisions, the code map, the links, the changelog and the packaged files."""

from __future__ import annotations

import ast
import re
from importlib import metadata, resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "memoryos"
CODE_MAP = (ROOT / "docs" / "explanation" / "code-map.md").read_text(encoding="utf-8")
GLOSSARY_WORDS = {
    "page", "utterance", "passage", "chain", "segment", "heat", "profile", "trait", "fact", "knowledge", "slot", "scope",
    "recall", "analyst", "reading", "short-term memory", "mid-term memory", "long-term memory",
    "lease", "fencing token", "advisory lock", "group commit", "working set", "snapshot", "back-off", "rate limit", "middleware",
    "tombstone", "idempotency key", "interface",
}  # fmt: skip


def defined_names(file: Path) -> set[str]:
    """Returns the top-level names of a module, and its methods as ``Class.method``."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return names


def test_glossary_defines_domain_and_systems_terms() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    defined = re.findall(r"^\| \*\*(.+?)\*\*", glossary, re.MULTILINE)
    assert len(defined) == len(set(defined))
    assert GLOSSARY_WORDS - {re.sub(r" \([A-Z]+\)$", "", each) for each in defined} == set()
    assert "`doors`" in glossary


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([\w/]+/[\w/]+|\w+\.py|[\w/]+\.py)`", CODE_MAP))))
def test_paths_in_code_map_exist(path: str) -> None:
    assert (SOURCE / path).exists() or (ROOT / path).exists()


@pytest.mark.parametrize(("path", "name"), sorted(set(re.findall(r"`([\w/]+\.py)`: `([\w.]+)`", CODE_MAP))))
def test_functions_in_code_map_exist(path: str, name: str) -> None:
    assert name in defined_names(SOURCE / path)


def test_code_map_names_enough_functions() -> None:
    assert len(re.findall(r"`[\w/]+\.py`: `[\w.]+`", CODE_MAP)) > 25


def test_decisions_have_unique_numbers_and_all_sections() -> None:
    files = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [each.name[:4] for each in files]
    assert numbers == sorted(set(numbers))
    assert all(number.isdigit() for number in numbers)
    for each in files:
        text = each.read_text(encoding="utf-8")
        assert all(f"## {part}" in text for part in ("Context", "Decision", "Consequences")), each.name


def test_links_between_documents_resolve() -> None:
    for file in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", file.read_text(encoding="utf-8")):
            assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_security_policy_has_all_sections_and_is_linked_from_readme() -> None:
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    parts = ("Supported versions", "Report a vulnerability", "Scope", "What we consider a vulnerability",
             "What we don't consider a vulnerability", "Checklist for operators")  # fmt: skip
    assert re.findall(r"^## (.+)$", policy, re.MULTILINE) == list(parts)
    _, _, checklist = policy.partition("## Checklist for operators")
    listed = set(re.findall(r"^\* \*\*(.+?)\*\*", checklist, re.MULTILINE))
    assert listed >= {"Keys", "TLS", "Trusted proxies", "Files", "Limits and quotas", "Redaction", "Backups"}
    assert "](SECURITY.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_changelog_has_entry_for_current_version() -> None:
    assert f"## [{metadata.version('memoryos-engine')}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_package_contains_data_files() -> None:
    package = resources.files("memoryos")
    for name in ("py.typed", "analysts/traits90.json", "doors/demo_conversation.jsonl",
                 "models/assets/all-MiniLM-L6-v2/tokenizer.json", "storage/migrations/env.py"):  # fmt: skip
        assert (package / name).is_file(), name


def test_lock_files_contain_hashes_and_no_urls() -> None:
    for name in ("runtime", "dev"):
        text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
        pinned = [line for line in text.splitlines() if re.match(r"[a-z]", line)]
        assert len(pinned) > 20
        assert all("==" in line for line in pinned)
        assert not re.search(r"https?:|file:|--index|--find", text)
        assert text.count("--hash=sha256:") >= len(pinned)


def test_contributing_guide_contains_ten_pairs_and_fits_one_page() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, _, table = text.partition("| before | after |\n|---|---|\n")
    rows = table.partition("\n\n")[0].splitlines()
    assert len(rows) == 10
    assert all(len(re.split(r"(?<!\\)\|", row)) == 4 for row in rows)
    assert len(text.splitlines()) <= 60
