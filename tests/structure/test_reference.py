"""Tests that the generated reference is up to date and complete."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import click
import pytest

from memoryos import errors
from memoryos.config import Config, HeatWeights, RankingWeights
from memoryos.doors.cli import cli
from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.doors.mcp_command import mcp
from memoryos.doors.mcp_connection import Connection
from memoryos.doors.mcp_server import build_server
from memoryos.engine import MemoryEngine

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
GENERATED = ["cli", "config", "errors", "http", "mcp", "prompts"]


def read(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def commands(group: click.Group, before: str = "memoryos") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before} {name}")
        else:
            yield f"{before} {name}", mcp if name == "mcp" else command


def no_engine() -> MemoryEngine:
    raise LookupError


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    """Returns all generated references, from one process."""
    code = "import generate, json; print(json.dumps({name: write() for name, write in generate.REFERENCES.items()}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "docs", capture_output=True, text=True, check=True, timeout=120
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_generated_references_are_complete(generated: dict[str, str]) -> None:
    assert sorted(generated) == GENERATED


@pytest.mark.parametrize("name", GENERATED)
def test_generated_reference_is_up_to_date(name: str, generated: dict[str, str]) -> None:
    assert read(name) == generated[name], "out of date; run python docs/generate.py"


@pytest.mark.parametrize("model", [Config, HeatWeights, RankingWeights, ServerSettings])
def test_every_setting_is_documented(model: type[Config]) -> None:
    page = read("http" if model.__name__ == "ServerSettings" else "config")
    for name, field in model.model_fields.items():
        assert field.description, name
        assert re.search(rf"^\| `{name}` \| .+ \| {re.escape(field.description)} \|$", page, re.MULTILINE), name


def test_every_command_and_option_is_documented() -> None:
    page = read("cli")
    for name, command in commands(cli):
        section = re.search(rf"^##+ `{name}`\n(.*?)(?=^##+ |\Z)", page, re.DOTALL | re.MULTILINE)
        assert section, name
        assert command.help, name
        for each in command.params:
            if isinstance(each, click.Option):
                assert each.help, f"{name}: {each.name}"
                assert all(f"`{option}`" in section[1] for option in each.opts), f"{name}: {each.opts}"
            else:
                assert each.make_metavar(click.Context(command)).strip("[].") in section[1], f"{name}: {each.name}"


def test_every_route_is_documented() -> None:
    page = read("http")
    routes = build_app(no_engine, ServerSettings()).openapi()["paths"]
    assert len(routes) > 20
    for path, methods in routes.items():
        for method, operation in methods.items():
            assert f"#### `{method.upper()} {path}`" in page
            assert operation["description"], path


def test_every_tool_resource_and_prompt_is_documented() -> None:
    page = read("mcp")
    server = build_server(Connection(no_engine))
    tools = anyio.run(server.list_tools)
    for tool in tools:
        section = re.search(rf"^### `{tool.name}`\n(.*?)(?=^##)", page, re.DOTALL | re.MULTILINE)
        assert section, tool.name
        for name, schema in tool.input_schema["properties"].items():
            assert f"| `{name}` |" in section[1], f"{tool.name}: {name}"
            assert schema["description"], f"{tool.name}: {name}"
    assert len(tools) >= 7
    for resource in anyio.run(server.list_resources):
        assert f"`{resource.uri}`" in page
    for prompt in anyio.run(server.list_prompts):
        assert f"`{prompt.name}`" in page


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_has_meaning_responsible_party_and_interface_texts(name: str) -> None:
    section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", read("errors"), re.DOTALL | re.MULTILINE)
    assert section
    assert re.search(r"\| who must act \| .+ \|", section[1])
    assert re.search(r"\| HTTP \| [45]\d\d, `urn:memoryos:[a-z-]+`: .+ \|", section[1])
    assert re.search(r"\| MCP \| .{40,} \|", section[1])


def test_every_public_name_is_in_the_python_reference() -> None:
    page = read("python")
    for name in importlib.import_module("memoryos").__all__:
        assert f"memoryos.{name}\n" in page or f"`{name}`" in page, name


def test_every_document_is_in_the_site_index() -> None:
    """Sphinx reports missing documents too, but only in a build of the site."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for folder in ("howto", "explanation", "reference"):
        assert f"\n{folder}/*\n" in index
    for each in re.findall(r"^((?:howto|explanation|reference)/[a-z-]+)$", index, re.MULTILINE):
        assert (ROOT / "docs" / f"{each}.md").is_file(), each
