"""Tests of the answer benchmark: scores, resuming after an interruption, and no repeated questions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from benchmarks.locomo.answers import main
from benchmarks.locomo.contexts import ROWS

from memoryos.language.text import estimate_tokens
from memoryos.testing import FakeOpenAIServer, HashEmbedder, ok_reply

QUESTIONS: list[dict[str, Any]] = [
    {"question": "What does Ann play?", "answer": "the violin, chess", "category": 1, "evidence": ["D1:1"]},
    {"question": "When did Ben move to Utrecht?", "answer": "7 May 2023", "category": 2, "evidence": ["D2:2"]},
    {"question": "Would Ann like a concert?", "answer": "Yes; she plays", "category": 3, "evidence": ["D1:1"]},
    {"question": "What is Ben's dog called?", "answer": "Rex", "category": 4, "evidence": ["D1:4"]},
    {"question": "What is Ann's dog called?", "adversarial_answer": "Rex", "category": 5, "evidence": ["D1:4"]},
]
TURNS = [
    ["I play the violin every day.", "I like that!", "Do you have a pet?", "My dog is called Rex."],
    ["How was your weekend?", "I moved to Utrecht yesterday.", "I also play chess now.", "Let us play one day."],
]
TIMES = ["1:56 pm on 1 May, 2023", "10:02 am on 8 May, 2023"]
ANSWER = "7 May 2023"


def conversation(name: str) -> dict[str, Any]:
    dialogue: dict[str, Any] = {"speaker_a": "Ann", "speaker_b": "Ben"}
    for number, (texts, time) in enumerate(zip(TURNS, TIMES, strict=True), 1):
        dialogue[f"session_{number}_date_time"] = time
        dialogue[f"session_{number}"] = [
            {"speaker": ("Ann", "Ben")[place % 2], "text": text, "dia_id": f"D{number}:{place + 1}"}
            for place, text in enumerate(texts)
        ]
    return {"sample_id": name, "conversation": dialogue, "qa": QUESTIONS}


class Bench:
    """A folder with test data, and calls of the benchmark on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "answers.jsonl"
        (folder / "locomo.json").write_text(json.dumps([conversation("one"), conversation("two")]), encoding="utf-8")

    def run(self, *arguments: str, local_memory: bool = True) -> int:
        files = ["--data", str(self.folder / "locomo.json"), "--out", str(self.out)]
        memory = ["--local-memory"] if local_memory else []
        return main([*files, *memory, *arguments], HashEmbedder())

    def lines(self) -> list[dict[str, Any]]:
        return read(self.out)

    def report(self, name: str = "answers.json") -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.folder / name).read_text(encoding="utf-8"))
        return report


class ServedBench(Bench):
    """A bench whose settings name a fake LLM server; ``asked`` counts the questions that the server received."""

    def __init__(self, folder: Path, server: FakeOpenAIServer) -> None:
        super().__init__(folder)
        self.server = server

    @property
    def asked(self) -> Counter[str]:
        wanted = {each["question"] for each in QUESTIONS}
        last = [request["messages"][-1]["content"] for request in self.server.requests]
        return Counter(each for each in last if each in wanted)


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def reply(messages: Sequence[tuple[str, str]]) -> str:
    """Returns the fake reply: judges by equality, gives every question the same answer, else uses ``ok_reply``."""
    (_, system), (_, said) = messages[0], messages[-1]
    if "verdict" in system:
        reference, answer = (said.partition(f"{name}: ")[2].splitlines()[0] for name in ("Reference", "Answer"))
        return json.dumps({"verdict": "CORRECT" if reference == answer else "WRONG"})
    if said in {each["question"] for each in QUESTIONS}:
        return f"{ANSWER} <sources>1</sources>"
    return ok_reply(messages)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedBench]:
    with FakeOpenAIServer(reply=reply) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "fake")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("MEMORYOS_LLM_MAX_RETRIES", "0")
        yield ServedBench(tmp_path, server)


def test_benchmark_ignores_the_configured_database(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORYOS_DATABASE_URL", f"sqlite:///{bench.folder / 'of-the-user.db'}")
    assert bench.run("--export-contexts", str(bench.folder / "contexts.jsonl")) == 0
    assert {each.name for each in bench.folder.iterdir()} == {"locomo.json", "contexts.jsonl"}


def test_answers_to_exported_contexts_are_scored(bench: Bench) -> None:
    contexts, answers = bench.folder / "contexts.jsonl", bench.folder / "elsewhere.jsonl"
    assert bench.run("--export-contexts", str(contexts)) == 0
    exported = read(contexts)
    assert len({each["id"] for each in exported}) == len(exported) == len(ROWS) * 2 * len(QUESTIONS)
    for each in exported:
        assert each["prompt"].endswith(each["question"])
        assert each["context_tokens"] == round(estimate_tokens(each["context"]))
    full = next(each for each in exported if each["row"] == "full context")
    assert all(text in full["context"] for turns in TURNS for text in turns)
    assert "[8 May 2023]" in full["context"]
    assert all("Known about" not in each["context"] for each in exported if each["row"] != "memoryos")

    answers.write_text(
        "".join(json.dumps({"id": each["id"], "prediction": each["reference"]}) + "\n" for each in exported),
        encoding="utf-8",
    )
    assert bench.run("--score", str(answers)) == 0
    for row in bench.report("elsewhere.scores.json")["rows"].values():
        assert row["missing"] == 0
        assert row["scores"]["all"]["f1_mem0"] == {"mean": 1.0, "low": 1.0, "high": 1.0, "questions": 8}
        assert row["scores"]["adversarial"] == {"f1_locomo": {"mean": 0.0, "low": 0.0, "high": 0.0, "questions": 2}}
    assert not bench.out.exists()


def test_scores_of_known_answers_match_manual_calculation(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    answers = bench.folder / "elsewhere.jsonl"
    given = {"0": "violin, chess <sources>1, 3</sources>", "1": "8 May 2023", "2": "no", "4": "It is not mentioned."}
    answers.write_text(
        "".join(json.dumps({"id": f"BM25/one/{number}", "answer": text}) + "\n" for number, text in given.items()),
        encoding="utf-8",
    )
    assert bench.run("--rows", "BM25", "--conversations", "1", "--score", str(answers)) == 0
    row = bench.report("elsewhere.scores.json")["rows"]["BM25"]
    assert (row["questions"], row["missing"]) == (5, 1)
    means = {group: cells["f1_locomo"]["mean"] for group, cells in row["scores"].items()}
    assert means.pop("all") == pytest.approx((1 + 2 / 3) / 3)
    assert means == pytest.approx({"multi-hop": 1.0, "temporal": 2 / 3, "open-domain": 0.0, "adversarial": 1.0})
    assert row["scores"]["multi-hop"]["f1_memoryos"]["mean"] == pytest.approx(4 / 5)
    assert "1 of 5 missing" in capsys.readouterr().out


def test_invalid_answer_lines_are_reported_and_skipped(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    answers = bench.folder / "elsewhere.jsonl"
    good = '{"id": "BM25/one/3", "answer": "Rex"}'
    bad = [
        "no json",
        "[]",
        '{"answer": "Rex"}',
        '{"id": "BM25/one/1", "answer": 7}',
        '{"id": "BM25/ten/1", "answer": ""}',
    ]
    answers.write_bytes("\n".join([*bad, good, good, ""]).encode() + b'\xff\n{"id": "BM25/on')
    assert bench.run("--rows", "BM25", "--score", str(answers)) == 0
    said = capsys.readouterr().err.splitlines()
    assert [line.removeprefix(f"{answers}") for line in said] == [
        ":1: not a JSON object; the line is skipped",
        ":2: not a JSON object; the line is skipped",
        ':3: "id" is missing or not a string; the line is skipped',
        ':4: "answer" (or "prediction") is missing or not a string; the line is skipped',
        ": 'BM25/ten/1' is not a question of this run; the line is skipped",
        ": 'BM25/one/3' has several answers; the last one is scored",
        ":8: not a JSON object; the line is skipped",
        ":9: not a JSON object; the line is skipped",
    ]
    row = bench.report("elsewhere.scores.json")["rows"]["BM25"]
    assert row["missing"] == 9
    assert row["scores"]["all"]["f1_locomo"]["mean"] == 1.0


def test_missing_answer_file_is_reported(bench: Bench) -> None:
    with pytest.raises(SystemExit, match=r"nowhere\.jsonl can't be read"):
        bench.run("--score", str(bench.folder / "nowhere.jsonl"))


def test_local_analyst_answers_only_the_memoryos_row(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run() == 0
    assert {each["row"] for each in bench.lines()} == {"memoryos"}
    assert bench.report()["answered_by"] == "local"
    assert bench.report()["writing"]["calls"] == 0
    assert 'the local analyst answers, and only the row "memoryos"' in capsys.readouterr().err


@pytest.mark.enable_socket
def test_every_question_is_asked_once_with_several_workers(served: ServedBench) -> None:
    assert served.run("--workers", "4") == 0
    lines = served.lines()
    assert len({each["id"] for each in lines}) == len(lines) == len(ROWS) * 2 * len(QUESTIONS)
    assert served.asked == {each["question"]: len(ROWS) * 2 for each in QUESTIONS}
    for each in lines:
        assert (each["answer"], each["calls"]) == (ANSWER, 1)
        assert each["prompt_tokens"] > each["context_tokens"] > 0 < each["completion_tokens"]
    assert {each["category"] for each in lines if each["scores"]["f1_locomo"] == 1.0} == {2}
    assert "judge" not in lines[0]
    before = served.out.read_bytes()
    assert served.run() == 0
    assert served.asked.total() == len(lines)
    assert served.out.read_bytes() == before


@pytest.mark.enable_socket
def test_second_run_resumes_after_truncated_line(served: ServedBench) -> None:
    assert served.run("--rows", "BM25") == 0
    whole = served.out.read_bytes()
    ids = [each["id"] for each in served.lines()]
    served.out.write_bytes(whole[:-30])
    assert served.run("--rows", "BM25") == 0
    assert [each["id"] for each in served.lines()] == ids
    assert served.asked.total() == len(ids) + 1
    assert served.report()["rows"]["BM25"]["missing"] == 0


@pytest.mark.enable_socket
def test_answers_with_different_settings_are_refused(served: ServedBench) -> None:
    assert served.run("--rows", "BM25", "--questions", "1") == 0
    with pytest.raises(SystemExit, match="choose another --out"):
        served.run("--rows", "BM25", "--max-tokens", "500")
    assert served.asked.total() == 2


@pytest.mark.enable_socket
def test_second_run_completes_answers_after_server_failure(
    served: ServedBench, capsys: pytest.CaptureFixture[str]
) -> None:
    served.server.behaviour = lambda _: "ok" if served.asked.total() <= 4 else "500"
    assert served.run("--rows", "BM25", "full context") == 1
    assert len(served.lines()) == 4
    assert served.report()["rows"]["BM25"]["missing"] == 6
    assert "5 consecutive failures: stopping; run the command again to continue" in capsys.readouterr().err
    failed = served.asked.total() - 4
    served.server.behaviour = "ok"
    assert served.run("--rows", "BM25", "full context") == 0
    assert served.asked.total() == failed + len(served.lines()) == failed + 20
    assert len({each["id"] for each in served.lines()}) == 20


@pytest.mark.enable_socket
def test_interrupted_memory_build_is_completed(
    served: ServedBench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.locomo.contexts.WINDOW", 1)  # so that pages leave the window
    served.server.behaviour = lambda _: "ok" if len(served.server.requests) < 2 else "500"
    assert served.run("--rows", "memoryos", local_memory=False) == 1
    assert "run the command again to continue" in capsys.readouterr().err
    assert not served.asked
    served.server.behaviour = "ok"
    assert served.run("--rows", "memoryos", local_memory=False) == 0
    writing = served.report()["writing"]
    assert writing["pages"] == 8
    assert writing["calls"] == len(served.server.requests) - len(served.lines())
    assert writing["failed_calls"] == 1
    assert writing["per_page"]["prompt_tokens"] == writing["prompt_tokens"] / 8 > 0
    spent = len(served.server.requests)
    assert served.run("--rows", "memoryos", local_memory=False) == 0
    assert len(served.server.requests) == spent


@pytest.mark.enable_socket
def test_judge_scores_answers_except_category_5(served: ServedBench) -> None:
    assert served.run("--rows", "BM25", "--conversations", "1") == 0
    served.server.behaviour = lambda body: "wrong schema" if "Rex" in body["messages"][-1]["content"] else "ok"
    assert served.run("--rows", "BM25", "--conversations", "1", "--judge") == 1
    served.server.behaviour = "ok"
    assert served.run("--rows", "BM25", "--conversations", "1", "--judge") == 0
    assert served.asked.total() == len(QUESTIONS)
    last = {each["category"]: each.get("judge") for each in served.lines()}
    assert last == {1: "WRONG", 2: "CORRECT", 3: "WRONG", 4: "WRONG", 5: None}
    assert served.report()["rows"]["BM25"]["scores"]["all"]["judge"]["mean"] == 1 / 4
    assert "judge" not in served.report()["rows"]["BM25"]["scores"]["adversarial"]


def test_judge_requires_an_llm(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.run("--judge")
    assert "--judge can't be combined with --export-contexts or --score, and needs an LLM" in capsys.readouterr().err
