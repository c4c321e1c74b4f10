"""What is shipped and what is written: packaging, glossary, decisions, links."""

from __future__ import annotations

import re
from importlib import metadata, resources
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_word_of_the_glossary_is_there() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    for word in "page utterance chain segment heat profile trait knowledge scope recall analyst short-term mid-term long-term".split():
        assert f"**{word}**" in glossary, word


def test_decisions_are_numbered_and_have_their_parts() -> None:
    files = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [each.name[:4] for each in files]
    assert numbers == sorted(set(numbers))
    assert all(number.isdigit() for number in numbers)
    for each in files:
        text = each.read_text(encoding="utf-8")
        assert all(f"## {part}" in text for part in ("Context", "Decision", "Consequences")), each.name


def test_links_between_documents_lead_somewhere() -> None:
    for file in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", file.read_text(encoding="utf-8")):
            assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_the_security_policy_has_its_parts_and_is_linked_from_the_readme() -> None:
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    parts = ("Supported versions", "Report a vulnerability", "Scope", "What we consider a vulnerability",
             "What we don't consider a vulnerability", "Checklist for operators")  # fmt: skip
    assert re.findall(r"^## (.+)$", policy, re.MULTILINE) == list(parts)
    _, _, checklist = policy.partition("## Checklist for operators")
    listed = set(re.findall(r"^\* \*\*(.+?)\*\*", checklist, re.MULTILINE))
    assert listed >= {"Keys", "TLS", "Trusted proxies", "Files", "Limits and quotas", "Redaction", "Backups"}
    assert "](SECURITY.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


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
