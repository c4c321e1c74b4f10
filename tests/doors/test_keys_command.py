"""Tests of ``memoryos keys``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from memoryos.doors.cli import cli
from memoryos.storage.api_keys import is_secret_of, key_id_of
from memoryos.storage.store import Store


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, ["--data", str(folder), "keys", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_key_is_created_listed_and_revoked(tmp_path: Path) -> None:
    code, text, stderr = run(tmp_path, "create", "--user", "tom", "--name", "[red]phone", "--expires-days", "30")
    assert code == 0
    key_id = key_id_of(text.strip())
    assert key_id is not None
    assert "can't be shown again" in stderr
    with Store(tmp_path / "memoryos.db") as store:
        (key,) = store.keys.all()
    assert is_secret_of(key, text.strip())
    assert key.expires_at is not None
    assert (key.expires_at - key.created_at).days == 30
    code, listed, _ = run(tmp_path, "list")
    assert code == 0
    assert all(part in listed for part in (key_id, "user tom", "[red]phone", "valid"))
    assert text.strip().split("_", 2)[2] not in listed
    assert run(tmp_path, "revoke", key_id)[:2] == (0, f"revoked {key_id}\n")
    assert json.loads(run(tmp_path, "list", "--json")[1])[0]["state"] == "revoked"


def test_admin_key_as_json(tmp_path: Path) -> None:
    code, text, stderr = run(tmp_path, "create", "--admin", "--json")
    made = json.loads(text)
    assert (code, stderr, made["user_id"], made["state"]) == (0, "", None, "valid")
    assert key_id_of(made["key"]) == made["key_id"]
    assert "key" not in json.loads(run(tmp_path, "list", "--json")[1])[0]


@pytest.mark.parametrize("arguments", [[], ["--user", "tom", "--admin"], ["--user", ""], ["--admin", "--expires-days", "0"]])  # fmt: skip
def test_create_requires_either_user_or_admin(tmp_path: Path, arguments: list[str]) -> None:
    assert run(tmp_path, "create", *arguments)[0] != 0
    assert not (tmp_path / "memoryos.db").exists()


def test_missing_store_is_an_error(tmp_path: Path) -> None:
    code, _, stderr = run(tmp_path / "nowhere", "list")
    assert code == 1
    assert "there is no store at" in stderr
    assert not (tmp_path / "nowhere").exists()
    run(tmp_path, "create", "--admin")
    code, _, stderr = run(tmp_path, "revoke", "another")
    assert (code, "there is no API key with this id" in stderr) == (1, True)
