"""How Sphinx builds the documentation: ``make docs`` writes ``docs/build``; warnings are errors."""

from __future__ import annotations

import re
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "MemoryOS"
author = "The MemoryOS developers"
project_copyright = "The MemoryOS developers, Apache-2.0"
version = release = version_of("memoryos-engine")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["build"]

myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"MemoryOS {release}"


def setup(app: Sphinx) -> None:
    """Has lists in docstrings read as lists: in the source no empty line stands in front of them."""
    app.connect("autodoc-process-docstring", _part_lists)


def _part_lists(_: Sphinx, __: str, ___: str, ____: object, _____: Any, lines: list[str]) -> None:
    parted: list[str] = []
    for line in lines:
        before = parted[-1] if parted else ""
        opens = re.match(r"\s*\* ", line) and before.strip() and not re.match(r"\s*\* ", before)
        if opens and _indent(before) == _indent(line):
            parted.append("")
        parted.append(line)
    lines[:] = parted


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
