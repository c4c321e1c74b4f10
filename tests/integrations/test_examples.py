"""Every example runs, prints the expected output, and is listed in the how-to with its extra."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memoryos.integrations import langgraph, mem0, openai_agents

ROOT = Path(__file__).parents[2]
SAYS = {
    "langgraph_store": "Which nuts must I not eat? -> ['I am allergic to walnuts.'",
    "mem0_calls": "I am allergic to walnuts.\n[('ADD', 'I am allergic to walnuts.'), ('UPDATE',",
    "openai_agents_session": "tuesday: Which nuts must I not eat? -> I remember: 1. user: I am allergic to walnuts.",
}


def test_every_example_is_tested() -> None:
    mine = [
        each.stem for each in (ROOT / "examples").glob("*.py") if "memoryos.integrations" in each.read_text("utf-8")
    ]
    assert set(mine) == SAYS.keys()


@pytest.mark.parametrize("name", SAYS)
def test_example_runs(name: str) -> None:
    keyless = {each: value for each, value in os.environ.items() if not each.startswith(("OPENAI_", "MEMORYOS_"))}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{name}.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=keyless,
    )
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout


def test_how_to_lists_every_class_extra_and_example() -> None:
    page = (ROOT / "docs" / "howto" / "integrations.md").read_text(encoding="utf-8")
    for module, extra in ((langgraph, "[langgraph]"), (openai_agents, "[openai-agents]"), (mem0, "")):
        assert extra in page
        assert f"from {module.__name__} import {module.__all__[0]}" in page
    assert all(f"examples/{name}.py" in page for name in SAYS)


@pytest.mark.parametrize("module", ["langgraph", "mem0", "openai_agents"])
def test_integration_imports_no_library_of_another_integration(module: str) -> None:
    libraries = {"langgraph", "langchain_core", "agents", "openai", "mem0"} - {module}
    libraries -= {"langchain_core"} if module == "langgraph" else set()
    check = f"import sys, memoryos.integrations.{module}; assert not {libraries} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_missing_extra_is_named_in_the_import_error() -> None:
    check = "import sys; sys.modules['langgraph'] = None; import memoryos.integrations.langgraph"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False, timeout=60)
    assert 'pip install "memoryos-engine[langgraph]"' in done.stderr
