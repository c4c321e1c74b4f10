"""Answers LoCoMo's questions: ``python -m benchmarks.locomo.answers`` reports F1, BLEU-1, tokens and seconds by row.

The LLM of the environment answers; without an LLM, the local analyst answers the row "memoryos" only. Each answer is one
line of a file; a second run continues an interrupted one. With ``--export-contexts`` and ``--score``, another program can
write the answers. The group "all" excludes category 5, whose references are deliberately wrong: only LoCoMo's own F1 is
meaningful there, which detects a refusal by the words "no information available" and "not mentioned".
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from benchmarks.evidence import CachingEmbedder
from benchmarks.locomo.answer_report import Line, finish, read_lines, report
from benchmarks.locomo.answering import Answering
from benchmarks.locomo.contexts import MEMORYOS, ROWS, Case, Contexts, memory_config, read_cases, write_prompt
from memoryos.analysts.llm import LLMAnalyst
from memoryos.analysts.local import LocalAnalyst
from memoryos.config import Config
from memoryos.doors.locomo import CATEGORIES, Conversation, read_locomo
from memoryos.errors import AnalystError, MemoryOSError
from memoryos.language.text import estimate_tokens
from memoryos.models.openai import OpenAIChat
from memoryos.seams import Analyst, Embedder

STYLE_HINT = (
    "answer in as few words as possible: only what is asked for, no full sentence; where a date is asked for, the date"
)


def main(arguments: Sequence[str] | None = None, embedder: Embedder | None = None) -> int:
    """Runs the benchmark; returns 1 if questions remain unanswered."""
    options = _options(arguments)
    try:
        conversations = read_locomo(options.data)
        chosen = conversations[: options.conversations]
        if options.score:
            return _score_file(options, read_cases(chosen, options.rows, options.categories, options.questions))
        with ExitStack() as stack:
            return _Benchmark(options, conversations, chosen, stack, embedder or CachingEmbedder()).run()
    except MemoryOSError as error:
        advice = "\nrun the command again to continue" if isinstance(error, AnalystError) else ""
        sys.stderr.write(f"{type(error).__name__}: {error}{advice}\n")
        return 1


class _Benchmark:
    """The questions, the analyst, and the memories of one run."""

    def __init__(
        self,
        options: argparse.Namespace,
        conversations: list[Conversation],
        chosen: list[Conversation],
        stack: ExitStack,
        embedder: Embedder,
    ) -> None:
        loaded = Config.load()
        self._options = options
        self._model = _chat_model(loaded) if loaded.has_llm else None
        self._analyst: Analyst = LocalAnalyst()
        if self._model is not None:
            stack.callback(self._model.close)
            self._analyst = LLMAnalyst(self._model, context_tokens=loaded.llm_context_tokens)
        writer = LocalAnalyst() if options.local_memory else self._analyst
        rows = options.rows
        if self._model is None and not options.export_contexts:
            rows = [MEMORYOS]
            sys.stderr.write(f'OPENAI_API_KEY is not set: the local analyst answers, and only the row "{MEMORYOS}"\n')
        self._cases = read_cases(chosen, rows, options.categories, options.questions)
        self._written_by = writer.origin.analyst
        self._config = memory_config(self._folder(writer, stack))
        self._contexts = stack.enter_context(
            Contexts(
                chosen,
                rows,
                config=self._config,
                writer=writer,
                embedder=embedder,
                end=max(each.exchanges[-1].at for each in conversations) + timedelta(days=1),
                max_tokens=options.max_tokens,
            )
        )

    def run(self) -> int:
        return self._export() if self._options.export_contexts else self._answer()

    def _folder(self, writer: Analyst, stack: ExitStack) -> Path:
        """Returns the folder of the memories; those of an LLM are kept beside the answers for a second run."""
        if isinstance(writer, LocalAnalyst):
            return Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file: Path = self._options.export_contexts or self._options.out
        return file.with_suffix(".store") / re.sub(r"[^\w.-]+", "-", writer.origin.analyst)

    def _export(self) -> int:
        file: Path = self._options.export_contexts
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", encoding="utf-8") as out:
            for case in self._cases:
                recall = self._contexts.recall(case)
                context = recall.to_prompt()
                line = case.to_line() | {
                    "context": context,
                    "context_tokens": round(estimate_tokens(context)),
                    "prompt": write_prompt(recall, self._options.style_hint, self._config),
                }
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.write(f"wrote {len(self._cases)} contexts to {file}\n")
        return 0

    def _answer(self) -> int:
        options = self._options
        run = {
            "answered_by": self._analyst.origin.analyst,
            "written_by": self._written_by,
            "max_tokens": options.max_tokens,
            "style_hint": options.style_hint,
        }
        lines = _resume(options.out, self._cases, run)
        answering = Answering(
            self._contexts,
            self._analyst,
            self._config,
            style_hint=options.style_hint,
            judged_by=self._model if options.judge else None,
            run=run,
        )
        failures = answering.run(self._cases, lines, options.out, options.workers)
        result = run | report(self._cases, lines) | {"failures": failures, "writing": self._contexts.writing()}
        finish(result, options.report or options.out.with_suffix(".json"))
        missing = sum(each["missing"] for each in result["rows"].values())
        if failures or missing:
            sys.stderr.write(
                f"{failures} failures, {missing} questions without an answer; run the command again to continue\n"
            )
        return int(failures + missing > 0)


def _resume(file: Path, cases: Sequence[Case], run: Line) -> dict[str, Line]:
    """Returns the existing lines by id; removes an incomplete last line from the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        return {}
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        sys.stderr.write(f"{file}: the last line is incomplete and was removed\n")
        with file.open("r+b") as out:
            out.truncate(whole)
    lines = {line["id"]: line for line in read_lines(file)}
    questions = {case.id: case.question.text for case in cases}
    for name, line in lines.items():
        if line.get("run") != run or line.get("question") != questions.get(name, line.get("question")):
            raise SystemExit(f"{file}: {name} belongs to a run with other settings or data; choose another --out")
    return lines


def _score_file(options: argparse.Namespace, cases: Sequence[Case]) -> int:
    """Scores answers that another program wrote."""
    known = {case.id for case in cases}
    lines: dict[str, Line] = {}
    for line in read_lines(options.score):
        if line["id"] not in known:
            sys.stderr.write(f"{options.score}: {line['id']!r} is not a question of this run; the line is skipped\n")
        elif line["id"] in lines:
            sys.stderr.write(f"{options.score}: {line['id']!r} has several answers; the last one is scored\n")
        lines[line["id"]] = line
    finish(report(cases, lines), options.report or options.score.with_suffix(".scores.json"))
    return 0


def _chat_model(config: Config) -> OpenAIChat:
    key = config.openai_api_key
    return OpenAIChat(
        config.llm_model,
        api_key=key.get_secret_value() if key else None,
        base_url=config.openai_base_url,
        timeout_seconds=config.llm_timeout_seconds,
        max_retries=config.llm_max_retries,
        concurrency=config.llm_concurrency,
        temperature=config.llm_temperature,
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/locomo-dev.json"))
    parser.add_argument(
        "--out", type=Path, default=Path("build/locomo-answers.jsonl"), help="file with one line per answer"
    )
    parser.add_argument("--report", type=Path, help="file for the scores (default: beside the answers)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--categories", nargs="+", type=int, choices=CATEGORIES, default=list(CATEGORIES))
    parser.add_argument("--conversations", type=_count, help="use only the first N conversations")
    parser.add_argument("--questions", type=_count, help="use only the first N questions of each conversation")
    parser.add_argument("--max-tokens", type=_count, default=1000, help="tokens of recalled pages per question")
    parser.add_argument("--style-hint", default=STYLE_HINT)
    parser.add_argument(
        "--local-memory", action="store_true", help="consolidate with the local analyst, not with the LLM"
    )
    parser.add_argument("--workers", type=_count, default=1)
    parser.add_argument("--judge", action="store_true", help="judge each answer with the LLM")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--export-contexts", type=Path, metavar="FILE", help="write contexts and prompts without answering"
    )
    mode.add_argument("--score", type=Path, metavar="FILE", help='score lines with "id" and "answer"')
    options = parser.parse_args(arguments)
    if options.judge and (options.score or options.export_contexts or not Config.load().has_llm):
        parser.error(
            "--judge can't be combined with --export-contexts or --score, and needs an LLM: set OPENAI_API_KEY"
        )
    return options


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("the number must be at least 1")
    return number


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    raise SystemExit(main())
