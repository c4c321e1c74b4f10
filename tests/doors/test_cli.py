"""Tests of the command line: commands, JSON output and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from memoryos.analysts.llm import LLMAnalyst
from memoryos.analysts.local import LocalAnalyst
from memoryos.assembly import Analysts
from memoryos.doors.cli import cli
from memoryos.doors.demo import play
from memoryos.doors.tables import recall_table
from memoryos.errors import AnalystUnavailableError, InputError
from memoryos.model import Page
from memoryos.retrieval.excerpts import Span
from memoryos.retrieval.recall import Recall
from memoryos.testing import HashEmbedder, ScriptedChatModel

Runner = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.setattr("memoryos.engine.build_embedder", lambda config: HashEmbedder())  # noqa: ARG005

    def invoke(*arguments: str, **given: Any) -> Result:
        return CliRunner().invoke(cli, ["--data", str(tmp_path / "store"), *arguments], **given)

    return invoke


def fill(run: Runner, tmp_path: Path, count: int = 30) -> None:
    lines = [
        json.dumps({"user_input": f"I love baking rye bread, loaf {number}.", "agent_response": "I recommend a hot oven for rye.",
                    "timestamp": f"2026-03-{number % 28 + 1:02}T10:00:00"})
        for number in range(count)
    ]  # fmt: skip
    file = tmp_path / "pages.jsonl"
    file.write_text("\n".join(["", *lines]))
    done = run("import", str(file))
    assert done.exit_code == 0, done.output
    assert f"{count} pages stored" in done.output


def test_add_then_recall_finds_the_page(run: Runner) -> None:
    added = run("add", "The red bicycle stands in the shed.", "Noted.", "--at", "2026-03-01T23:30:00-08:00", "--json")
    assert json.loads(added.stdout)["seq"] == 1
    assert json.loads(added.stdout)["at"] == "2026-03-01T23:30:00-08:00"
    found = json.loads(run("recall", "bicycle", "--json").stdout)
    assert found["short_term"][0]["at"] == "2026-03-01T23:30:00-08:00"
    assert "stored as page 2" in run("add", "Something else.").output
    assert "red bicycle" in run("recall", "bicycle").output


def test_import_reads_all_pages_and_all_tables_print(run: Runner, tmp_path: Path) -> None:
    fill(run, tmp_path)
    stats = json.loads(run("stats", "--json").stdout)
    assert (stats["pages"], stats["pages_due"], stats["short_term_pages"]) == (30, 0, 7)
    assert "Recalled" in run("recall", "rye bread", "--explain").output
    found = json.loads(run("recall", "rye bread", "--json", "--max-tokens", "100").stdout)
    assert found["tokens"] <= 100
    assert found["pages"][0]["signals"]
    for command in ("profile", "knowledge", "segments", "stats", "config"):
        assert run(command).exit_code == 0
        assert json.loads(run(command, "--json").stdout) is not None
    assert run("segments", "--archived").exit_code == 0
    assert json.loads(run("knowledge", "--about", "assistant", "--json").stdout)[0]["about"] == "assistant"
    assert run("knowledge", "--history").exit_code == 0


def test_ask_and_chat_store_pages(run: Runner, tmp_path: Path) -> None:
    fill(run, tmp_path, 10)
    answer = json.loads(run("ask", "What do I love baking?", "--json").stdout)
    assert "rye" in answer["answer"]
    assert answer["sources"]
    assert run("ask", "What do I love baking?", "--no-remember").exit_code == 0
    talked = run("chat", input="What do I love baking?\n\n")
    assert talked.exit_code == 0
    assert "rye" in talked.output
    assert json.loads(run("stats", "--json").stdout)["pages"] == 12


def test_export_can_be_imported_into_another_scope(run: Runner, tmp_path: Path) -> None:
    fill(run, tmp_path, 3)
    assert run("export", str(tmp_path / "out.jsonl")).exit_code == 0
    assert "3 pages stored" in run("--user", "other", "import", str(tmp_path / "out.jsonl")).output
    assert "0 pages stored, 3 skipped" in run("import", str(tmp_path / "out.jsonl")).output
    again = run("export", str(tmp_path / "out.jsonl"))
    assert again.exit_code == 1
    assert "exists" in again.output


def test_user_option_selects_the_scope(run: Runner) -> None:
    assert run("--user", "../../ann", "add", "secret of ann").exit_code == 0
    assert "secret" not in run("--user", "bob", "recall", "secret").output
    assert "secret" in run("--user", "../../ann", "recall", "secret").output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("add", ""), 1),
        (("add", "x", "--at", "soon"), 1),
        (("recall", " "), 1),
        (("recall", "x", "--max-pages", "0"), 1),
        (("--user", "", "stats"), 1),
        (("import", "/does/not/exist"), 1),
        (("--config", "/does/not/exist", "stats"), 1),
        (("demo", "--data", "/does/not/exist"), 1),
        (("nonsense",), 2),
        (("recall",), 2),
    ],
)
def test_invalid_input_prints_an_error_and_sets_the_exit_code(
    run: Runner, arguments: tuple[str, ...], code: int
) -> None:
    done = run(*arguments)
    assert done.exit_code == code
    assert "Traceback" not in done.output
    assert "Error" in done.output


def test_config_masks_secrets(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("MEMORYOS_DATABASE_URL", "postgresql://me:pass-word@db/x?password=pass-word&a=b")
    shown = run("config").output + run("config", "--json").output
    assert "very-secret" not in shown
    assert "pass-word" not in shown
    assert '"postgresql://me:•••@db/x?password=•••&a=b"' in shown


def test_file_of_another_program_is_not_changed(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "memoryos.db").write_text("no database " * 50)
    done = run("stats")
    assert done.exit_code == 1
    assert "the database was not changed" in done.output


def test_help_and_version() -> None:
    for arguments in (["--help"], ["--version"], ["recall", "-h"]):
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0
        assert done.output


def test_broken_pipe_ends_without_traceback(tmp_path: Path) -> None:
    command = f"{sys.executable} -m memoryos --data {tmp_path} config | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False, timeout=60
    )
    assert "Settings" in done.stdout
    assert "Traceback" not in done.stderr


def test_demo_questions_find_the_expected_answers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "memoryos", "demo", "--keep", str(tmp_path / "kept")],
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    assert "8 of 8 questions found the expected answer." in done.stdout
    assert (tmp_path / "kept" / "memoryos.db").is_file()
    with pytest.raises(InputError):
        play(keep=tmp_path / "kept")


def test_demo_accepts_a_locomo_file(run: Runner, tmp_path: Path) -> None:
    dialogue = {
        "speaker_a": "Ann", "speaker_b": "Bob", "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Ann", "dia_id": "D1:1", "text": "I adopted a dog."},
            {"speaker": "Ann", "dia_id": "D1:2", "text": "He is called Rex.", "blip_caption": "a brown dog"},
            {"speaker": "Bob", "dia_id": "D1:3", "text": "Lovely!"},
        ],
    }  # fmt: skip
    questions = [{"question": "What is Ann's dog called?", "answer": "Rex", "category": 4, "evidence": ["D1:2"]}]
    file = tmp_path / "locomo.json"
    file.write_text(json.dumps([{"sample_id": "s", "conversation": dialogue, "qa": questions}]))
    done = run("demo", "--data", str(file))
    assert done.exit_code == 0, done.output
    assert "2 exchanges" in done.output
    assert "Rex" in done.output
    assert run("demo", "--data", str(file), "--conversation", "7").exit_code == 1


def test_rebuild_with_llm_shows_changes_and_costs(run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(run, tmp_path)
    assert json.loads(run("cost", "--json").stdout) == []
    monkeypatch.setattr(
        "memoryos.modules.build_analyst",
        lambda config, kind=None: LocalAnalyst() if kind == "local" else LLMAnalyst(ScriptedChatModel()),  # noqa: ARG005
    )
    tried = json.loads(run("rebuild", "--analyst", "llm", "--dry-run", "--json").stdout)
    assert (tried["applied"], tried["origin"]["analyst"]) == (False, "llm/scripted")
    assert tried["knowledge_added"]
    assert "unchanged facts" in run("rebuild", "--analyst", "llm").output
    assert "llm/scripted" in run("knowledge", "--json").stdout
    accounts = json.loads(run("cost", "--json").stdout)
    assert {each["purpose"] for each in accounts} == {"read", "profile"}
    assert all(each["calls"] > 0 and each["prompt_tokens"] > 0 for each in accounts)
    assert "scripted" in run("cost").output


def test_rebuild_without_configured_llm_prints_an_error(run: Runner, tmp_path: Path) -> None:
    fill(run, tmp_path)
    done = run("rebuild", "--analyst", "llm")
    assert done.exit_code == 1
    assert "no LLM is configured" in done.output


def test_pages_are_found_while_the_llm_fails(run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ScriptedChatModel(reply=lambda _: AnalystUnavailableError("the LLM is away"))
    monkeypatch.setattr("memoryos.engine.build_analysts", lambda _: Analysts(LLMAnalyst(model)))
    fill(run, tmp_path)
    found = run("recall", "rye bread")
    assert found.exit_code == 0
    assert "loaf" in found.stdout
    assert "note: 30 pages are not yet processed: the LLM is away" in found.stderr
    asked = run("ask", "Which bread?")
    assert asked.exit_code == 1
    assert "the LLM is away" in asked.stderr


def test_forget_asks_for_confirmation_and_prints_a_receipt(run: Runner, tmp_path: Path) -> None:
    fill(run, tmp_path, 9)
    pages = [json.loads(line) for line in _exported(run, tmp_path) if '"kind": "page"' in line]
    page_id = pages[0]["page_id"]
    assert page_id in run("forget", "--preview", "rye bread loaf 0").output
    assert run("forget", "--page", page_id, input="n\n").exit_code == 1
    tried = json.loads(run("forget", "--page", page_id, "--dry-run", "--json").stdout)
    assert (tried["dry_run"], tried["page_ids"]) == (True, [page_id])
    done = json.loads(run("forget", "--page", page_id, "--yes", "--json").stdout)
    assert (done["dry_run"], done["erased"], done["page_ids"]) == (False, True, [page_id])
    assert json.loads(run("stats", "--json").stdout)["pages"] == 8
    assert "nothing" in run("forget", "--everything", input="y\n").output
    assert json.loads(run("stats", "--json").stdout)["pages"] == 0
    assert run("forget").exit_code == 1


def test_correct_replaces_the_text_of_a_fact(run: Runner, tmp_path: Path) -> None:
    fill(run, tmp_path)
    wrong = json.loads(run("knowledge", "--json").stdout)[0]
    assert "corrected" in run("correct", wrong["knowledge_id"], "Hates rye bread.").output
    texts = [each["text"] for each in json.loads(run("knowledge", "--json").stdout)]
    assert "Hates rye bread." in texts
    assert wrong["text"] not in texts


def test_export_and_import_of_all_users(run: Runner, tmp_path: Path) -> None:
    run("--user", "ann", "add", "I live in Porto.")
    run("--user", "bob", "add", "I live in Ghent.")
    assert "2 pages written" in run("export", "--all", str(tmp_path / "all.jsonl")).output
    run("--user", "ann", "forget", "--everything", "--yes")
    assert "contains several users" in run("import", str(tmp_path / "all.jsonl")).output
    done = run("import", "--all", str(tmp_path / "all.jsonl"))
    assert "0 pages stored, 2 skipped" in done.output, "what was forgotten stays forgotten"


def _exported(run: Runner, tmp_path: Path) -> list[str]:
    run("export", str(tmp_path / "now.jsonl"))
    return (tmp_path / "now.jsonl").read_text().splitlines()


def test_table_of_a_recall_shows_the_parts_of_short_term_pages_that_the_prompt_shows() -> None:
    page = Page("p1", 1, datetime(2024, 5, 1, tzinfo=timezone.utc), "I sail. " * 500, "Noted.")
    found = Recall("q", short_term=(page,), excerpts={"p1": (Span("user", 0, 7),)})
    texts = list(recall_table(found).columns[2].cells)
    assert [str(text) for text in texts] == ["user: I sail. […]"]
