"""Sphinx configuration of the documentation: ``make docs`` writes ``docs/build``; warnings are errors."""

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
    """Registers a hook that adds the empty line before lists in docstrings, which reStructuredText requires."""
    app.connect("autodoc-process-docstring", _separate_lists)


def _separate_lists(_: Sphinx, __: str, ___: str, ____: object, _____: Any, lines: list[str]) -> None:
    separated: list[str] = []
    for line in lines:
        before = separated[-1] if separated else ""
        starts_list = re.match(r"\s*\* ", line) and before.strip() and not re.match(r"\s*\* ", before)
        if starts_list and _indent(before) == _indent(line):
            separated.append("")
        separated.append(line)
    lines[:] = separated


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
