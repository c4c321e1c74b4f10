"""Tests that documents, docstrings, comments and messages contain no banned metaphors (see ``CONTRIBUTING.md``)."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BANNED = re.compile(
    r"\b(?:houses?|rooms?|doors?|shel(?:f|ves)|walls?(?![ -]clock)|guard(?:s|ed)?|workplaces?|buried|bury|twins?|strangers?|"
    r"told|hast[ey]|patience|whoever|(?:make|give|makes|gives) way|stands? in for|stand-ins?|newcomers?|"
    r"so (?:many|long)|what stands|moving house)\b",
    re.IGNORECASE,
)
DOCUMENTS = [
    "README.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "docs/glossary.md", "docs/index.md", "docs/quickstart.md",
    "docs/decisions.md", "docs/explanation/code-map.md", "docs/reference/python.md", "docs/reference/export.md",
    "deploy/Dockerfile", "deploy/compose.yaml", "deploy/memoryos.service", "deploy/postgresql/role.sh", "benchmarks/languages/README.md",
    "benchmarks/realmem/README.md",
]  # fmt: skip
PYTHON_FOLDERS = sorted({
    each.parent.relative_to(ROOT).as_posix()
    for top in ("src/memoryos", "tests", "benchmarks", "docs", "requirements", "examples")
    for each in (ROOT / top).rglob("*.py")
    if "versions" not in each.parts
})  # fmt: skip
NOT_YET_REWRITTEN: set[str] = {"src/memoryos/analysts", "tests/analysts", "tests/house", "tests/models"}
"""Folders with findings. Delete a folder from this set when its texts are rewritten."""
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def findings(text: str) -> list[str]:
    """Returns the banned words of a text; code in backticks and quotations in double quotes are ignored."""
    prose = re.sub(r'``.*?``|`[^`\n]*`|"[^"\n]*"', "", text)
    return [each.group() for each in BANNED.finditer(prose)]


def is_message(node: ast.AST) -> bool:
    """Returns whether the strings in a statement or call are an error or log message."""
    if isinstance(node, ast.Raise):
        return True
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_METHODS


def prose_of(source: str) -> Iterator[str]:
    """Yields the docstrings, attribute docstrings, comments, names of tests and messages of a Python file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name.replace("_", " ")
        elif is_message(node):
            yield from (
                each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)
            )
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def findings_in(folder: str) -> list[str]:
    """Returns the banned words in the Python files of a folder, with the file names."""
    return [
        f"{file.name}: {word}"
        for file in sorted((ROOT / folder).glob("*.py"))
        for text in prose_of(file.read_text(encoding="utf-8"))
        for word in findings(text)
    ]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_contain_no_metaphors(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert findings(re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)) == []


def test_adr_titles_contain_no_metaphors() -> None:
    titles = [each.read_text(encoding="utf-8").partition("\n")[0] for each in (ROOT / "docs" / "adr").glob("*.md")]
    assert len(titles) > 10
    assert findings("\n".join(titles)) == []


@pytest.mark.parametrize("folder", [each for each in PYTHON_FOLDERS if each not in NOT_YET_REWRITTEN])
def test_python_texts_contain_no_metaphors(folder: str) -> None:
    assert findings_in(folder) == []


@pytest.mark.parametrize("folder", sorted(NOT_YET_REWRITTEN))
def test_exempted_folders_have_findings(folder: str) -> None:
    assert findings_in(folder), f"delete {folder} from NOT_YET_REWRITTEN"


@pytest.mark.parametrize(
    "source",
    [
        '"""A room of its own."""',
        'x = 1\n"""Patience of the lock."""',
        "x = 1  # a wall against this",
        'raise ValueError(f"{1} was told")',
        'logger.warning("whoever holds it")',
        "def test_a_stranger_reads_it() -> None: ...",
    ],
)
def test_metaphors_are_found(source: str) -> None:
    assert [word for text in prose_of(source) for word in findings(text)]


def test_code_quotations_and_wall_clock_time_are_ignored() -> None:
    assert findings('`doors/` and ``Guard``, "a stranger", wall-clock time') == []
