"""Tests that the package uses every dependency it declares."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_dependency_is_used() -> None:
    listed = re.search(
        r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert listed is not None
    lines = [
        line for line in re.findall(r'"(.+)"', listed[1]) if "python_version" not in line and "sys_platform" not in line
    ]
    names = {re.split(r"[^\w.-]", line)[0].lower() for line in lines}
    assert len(names) > 10
    text = "\n".join(each.read_text("utf-8") for each in (ROOT / "src" / "memoryos").rglob("*.py"))
    used = {
        distribution.lower().replace("_", "-")
        for module, distributions in metadata.packages_distributions().items()
        for distribution in distributions
        if re.search(rf'^\s*(import|from) {re.escape(module)}\b|"{re.escape(distribution)}"', text, re.MULTILINE)
    }
    assert names - used == set()
