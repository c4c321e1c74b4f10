"""Tests that the files in ``deploy/`` refer to existing files, commands and settings."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa
import yaml

from memoryos.config import Config
from memoryos.doors.cli import cli
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from memoryos.storage.database_urls import is_server_url
from memoryos.testing import HashEmbedder
from tests.postgres import binaries, running_server

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))


def lines(word: str) -> list[str]:
    return re.findall(rf"^{word} (.+)$", DOCKERFILE.replace("\\\n", " "), re.MULTILINE)


def known_variable(name: str) -> bool:
    settings = {f"MEMORYOS_{each.upper()}" for each in Config.model_fields}
    settings |= {f"MEMORYOS_SERVER_{each.upper()}" for each in ServerSettings.model_fields}
    return name in settings | {"OPENAI_API_KEY", "OPENAI_BASE_URL", "PATH", "PYTHONUNBUFFERED"}


def parses(arguments: list[str]) -> bool:
    """Returns whether the command line accepts these arguments; does not run the command."""
    context = cli.make_context("memoryos", list(arguments), resilient_parsing=False)
    name, command, rest = cli.resolve_command(context, [*context._protected_args, *context.args])
    assert name is not None
    assert command is not None
    return isinstance(command.make_context(name, rest, parent=context), click.Context)


def test_image_copies_existing_files_of_the_build_context() -> None:
    build_context = [
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    ]
    copied = [name for line in lines("COPY") if not line.startswith("--from") for name in line.split()[:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert any(name == each or name.startswith(f"{each}/") for each in build_context), name


def test_image_runs_an_existing_command_as_unprivileged_user() -> None:
    assert json.loads(lines("ENTRYPOINT")[0]) == ["memoryos"]
    assert parses(json.loads(lines("CMD")[-1]))
    assert lines("USER") == ["memoryos"]
    assert lines("EXPOSE") == [str(ServerSettings().port)]
    for pair in lines("ENV")[0].split():
        assert known_variable(pair.split("=")[0]), pair


def test_compose_file_uses_existing_settings_and_persistent_volumes() -> None:
    for name, service in COMPOSE["services"].items():
        for variable in service.get("environment", {}):
            assert name != "memoryos" or known_variable(variable), variable
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
    mounted = {volume.split(":")[0] for each in COMPOSE["services"].values() for volume in each.get("volumes", [])}
    assert {each for each in mounted if not each.startswith(".")} == set(COMPOSE["volumes"])
    for folder in mounted - set(COMPOSE["volumes"]):
        assert list((ROOT / "deploy" / folder).iterdir()), folder


def test_compose_server_waits_for_its_private_database() -> None:
    services = COMPOSE["services"]
    url = sa.make_url(re.sub(r"\$\{.*?\}", "abc", services["memoryos"]["environment"]["MEMORYOS_DATABASE_URL"]))
    assert (url.username, url.password, url.host, url.database) == ("memoryos", "abc", "postgresql", "memoryos")
    assert is_server_url(url.render_as_string(hide_password=False))
    assert services["memoryos"]["depends_on"][url.host] == {"condition": "service_healthy"}
    assert "ports" not in services[url.host]
    for service in services.values():
        for name, value in service["environment"].items():
            assert "PASSWORD" not in name or re.fullmatch(r"\$\{\w+:\?.+\}", value), (
                "the compose file contains a password; read it from the environment"
            )


def test_row_level_security_applies_to_the_compose_role(tmp_path: Path) -> None:
    script = ROOT / "deploy" / "postgresql" / "role.sh"
    with running_server() as server:
        server.execute("DROP ROLE memoryos")
        environment = {
            "PATH": f"{binaries()}:{os.environ['PATH']}", "PGHOST": str(server.folder), "POSTGRES_USER": "postgres",
            "MEMORYOS_PASSWORD": "it's 'quoted'",
        }  # fmt: skip
        done = subprocess.run([script], env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        rights = "SELECT rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = 'memoryos'"
        assert server.execute(rights) == [(False, False, True)]
        config = Config(database_url=server.url("memoryos"), data_storage_path=tmp_path / "data", background=False)
        with MemoryEngine(config, embedder=HashEmbedder()) as engine:
            engine.memory("tom").add_memory("I bake.")
            engine.memory("tom").flush()
        assert server.execute("SELECT count(*) FROM pages", "memoryos") == [(1,)]
        assert not list(tmp_path.iterdir()), "the engine wrote files beside the database"


def test_systemd_unit_runs_an_existing_command() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "memoryos.service", encoding="utf-8")
    program, *arguments = unit["Service"]["ExecStart"].split()
    assert program.endswith("/memoryos")
    assert parses(arguments)
    assert known_variable(unit["Service"]["Environment"].split("=")[0])
    assert int(unit["Service"]["TimeoutStopSec"]) > ServerSettings().drain_seconds


@pytest.mark.parametrize(
    "command",
    re.findall(
        r"memoryos (keys create --admin|backup /\S+)", (ROOT / "docs/howto/deploy.md").read_text(encoding="utf-8")
    ),
)
def test_commands_in_the_deployment_guide_exist(command: str) -> None:
    assert parses(command.split())
