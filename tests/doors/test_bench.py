"""Tests of the command ``bench`` and of its HTML report."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from memoryos.doors.bench.evidence import interval
from memoryos.doors.bench.locomo_run import progress_steps
from memoryos.doors.cli import cli
from memoryos.doors.locomo import read_locomo
from memoryos.models.query_cache import QueryCache
from memoryos.testing import HashEmbedder

Runner = Callable[..., Result]
TURNS = [
    ["I play the violin every day.", "I like that!", "Do you have a pet?", "My dog is called Rex."],
    ["How was your weekend?", "I moved to Utrecht yesterday.", "I also play chess now.", "Let us play one day."],
]
QUESTIONS: list[dict[str, Any]] = [
    {"question": "Who plays the violin every day?", "answer": "Ann", "category": 1, "evidence": ["D1:1"]},
    {"question": "When did Ben move to Utrecht?", "answer": "7 May 2023", "category": 2, "evidence": ["D2:2"]},
    {"question": "Would Ann like chess?", "answer": "Yes", "category": 3, "evidence": ["D2:3"]},
    {"question": "What is Ben's dog called?", "answer": "Rex", "category": 4, "evidence": ["D1:4"]},
    {"question": "What is Ann's dog called?", "adversarial_answer": "Rex", "category": 5, "evidence": ["D1:4"]},
    {"question": "What was never said?", "answer": "", "category": 4, "evidence": []},
]


def sample(name: str, questions: list[dict[str, Any]] = QUESTIONS) -> dict[str, Any]:
    dialogue: dict[str, Any] = {"speaker_a": "Ann", "speaker_b": "Ben"}
    for number, texts in enumerate(TURNS, 1):
        dialogue[f"session_{number}_date_time"] = f"1:56 pm on {number * 7} May, 2023"
        dialogue[f"session_{number}"] = [
            {"speaker": ("Ann", "Ben")[place % 2], "text": text, "dia_id": f"D{number}:{place + 1}"}
            for place, text in enumerate(texts)
        ]
    return {"sample_id": name, "conversation": dialogue, "qa": questions}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "two <people>.json"
    path.write_text(json.dumps([sample("one"), sample("two")]), encoding="utf-8")
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.setattr("memoryos.doors.bench_command.build_embedder", lambda config: HashEmbedder())  # noqa: ARG005

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["--data", str(tmp_path / "mine"), "bench", *arguments])

    return invoke


class Page(HTMLParser):
    """Collects the tags and attributes of an HTML page and checks their nesting."""

    VOID = frozenset({"meta", "!doctype"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.opened: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.opened.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag


def test_report_is_one_html_file_without_external_resources(run: Runner, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    done = run("--data", str(file), "--out", str(out))
    assert done.exit_code == 0, done.output
    assert re.search(r"^memoryos +\d\.\d{3} at 500 tokens, \d\.\d{3} at 1000 tokens$", done.output, re.MULTILINE)
    assert f"report written to {out}" in done.output
    text = out.read_text(encoding="utf-8")
    page = Page(text)
    assert page.opened == []
    assert page.tags.count("table") == 6
    assert not set(page.tags) & {"script", "link", "img", "iframe"}
    assert not re.search(r"https?:|url\(|@import", text)
    assert not {name for name, _ in page.attributes} & {"src", "href"}
    assert "two &lt;people&gt;.json" in text
    assert "<people>" not in text


def test_json_output_counts_questions_with_evidence(run: Runner, file: Path, tmp_path: Path) -> None:
    done = run("--data", str(file), "--out", str(tmp_path / "report.html"), "--json")
    report = json.loads(done.stdout)
    assert report["ingest"] | {"pages": 8, "conserved": True} == report["ingest"]
    assert set(report["recall"]) == {"memoryos", "words only (BM25)", "plain embedding", "paper's gate"}
    cells = report["recall"]["memoryos"]
    assert {name: cell["1000 tokens"]["questions"] for name, cell in cells.items()} == {
        "all": 8, "multi-hop": 2, "single-hop": 2, "temporal": 2, "open-domain": 2, "adversarial": 2,
    }  # fmt: skip
    assert cells["all"]["4000 tokens"]["mean"] == 1.0
    assert cells["all"]["250 tokens"]["mean"] <= cells["all"]["1000 tokens"]["mean"]


def test_bench_does_not_use_the_configured_store_or_llm(
    run: Runner, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("MEMORYOS_DATABASE_URL", f"sqlite:///{tmp_path / 'own.db'}")
    assert run("--data", str(file), "--out", str(tmp_path / "report.html")).exit_code == 0
    assert not (tmp_path / "own.db").exists()
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("no JSON", "can't be read as a LoCoMo file"),
        (json.dumps([sample("one", [])]), "no question with evidence ids"),
        (json.dumps([sample("one", [QUESTIONS[0] | {"category": 9}])]), "unknown LoCoMo categories: [9]"),
        (json.dumps([sample("one"), sample("one")]), "the same sample_id"),
    ],
)
def test_invalid_data_file_is_rejected(run: Runner, tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "data.json"
    file.write_text(content, encoding="utf-8")
    done = run("--data", str(file), "--out", str(tmp_path / "report.html"))
    assert done.exit_code == 1
    assert says in done.output
    assert not (tmp_path / "report.html").exists()


def test_unwritable_report_path_is_rejected_before_the_run(run: Runner, file: Path, tmp_path: Path) -> None:
    done = run("--data", str(file), "--out", str(tmp_path / "missing" / "report.html"))
    assert done.exit_code == 1
    assert "can't be written" in done.output


def test_progress_reaches_its_total(run: Runner, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr("memoryos.doors.tables.ProgressBar.update", lambda _, done: seen.append(done))
    assert run("--data", str(file), "--out", str(tmp_path / "report.html")).exit_code == 0
    assert seen == list(range(1, progress_steps(read_locomo(file)) + 1))


def test_a_query_is_embedded_once() -> None:
    asked: list[list[str]] = []

    class Counting(HashEmbedder):
        def embed(self, texts: Any) -> Any:
            asked.append(list(texts))
            return super().embed(texts)

    embedder = QueryCache(Counting())
    assert (embedder.embed_queries(["a"]) == embedder.embed_queries(["a"])).all()
    embedder.embed_queries(["a", "b"])
    embedder.embed(["a"])
    assert asked == [["a"], ["a", "b"], ["a"]]


def test_interval_contains_its_mean() -> None:
    import numpy as np  # noqa: PLC0415

    found = interval(np.array([0.0, 1.0, 1.0, 1.0]))
    assert found["low"] <= found["mean"] == 0.75 <= found["high"]
