"""The command ``memoryos bench``: measures how well recalls find the answers to questions, and writes a report."""

from __future__ import annotations

import itertools
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memoryos.assembly import build_embedder
from memoryos.doors.locomo import CATEGORIES, read_locomo
from memoryos.doors.session import as_json_option, print_json
from memoryos.doors.tables import progress
from memoryos.errors import InputError
from memoryos.models.query_cache import QueryCache
from memoryos.storage.scratch_dir import temporary_folder

if TYPE_CHECKING:
    from memoryos.doors.locomo import Conversation
    from memoryos.doors.session import Session

__all__ = ["bench"]

PRINTED_LIMITS = ("500 tokens", "1000 tokens")


@click.command()
@click.option("--data", "data_file", type=click.Path(path_type=Path), required=True, help="File of the LoCoMo dataset.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("memoryos-bench.html"),
    show_default=True,
    help="HTML file to write the report to.",
)
@click.option("--no-captions", is_flag=True, help="Leave out the captions of shared photos.")
@as_json_option
@click.pass_obj
def bench(session: Session, data_file: Path, out: Path, no_captions: bool, as_json: bool) -> None:
    """Measure how well recalls find the answers to the questions of a LoCoMo file, and write an HTML report.

    For each question, the file names the utterances that contain the answer. The report shows how many of them a
    recall finds (evidence recall). No LLM is called.
    """
    from memoryos.doors.bench.locomo_run import progress_steps, run  # noqa: PLC0415  (other commands start faster)
    from memoryos.doors.bench.report import ReportHeader, to_html  # noqa: PLC0415  (same reason)

    conversations = _read(data_file, captions=not no_captions)
    _check_writable(out)
    embedder = QueryCache(build_embedder(session.config()), capacity=10_000)
    steps_done = itertools.count(1)
    with (
        temporary_folder() as folder,
        progress("storing pages and asking questions", progress_steps(conversations)) as bar,
    ):
        report = run(conversations, folder, embedder, progress=lambda: bar.update(next(steps_done)))
    command = f"memoryos bench --data {shlex.quote(str(data_file))}" + (" --no-captions" if no_captions else "")
    header = ReportHeader(data_file.name, version("memoryos-engine"), embedder.name, command)
    out.write_text(to_html(report, header), encoding="utf-8")
    if as_json:
        print_json(report)
        return
    for name, table in report["recall"].items():
        cells = [f"{table['all'][limit]['mean']:.3f} at {limit}" for limit in PRINTED_LIMITS if "all" in table]
        click.echo(f"{name:20} {', '.join(cells)}")
    click.echo(f"report written to {out}")


def _read(file: Path, *, captions: bool) -> list[Conversation]:
    conversations = [each for each in read_locomo(file, captions=captions) if each.exchanges]
    names = [each.name for each in conversations]
    if len(set(names)) < len(names):
        raise InputError("data", f"{file} contains two conversations with the same sample_id; change one sample_id")
    questions = [question for each in conversations for question in each.questions if question.evidence]
    if not questions:
        raise InputError("data", f"{file} contains no question with evidence ids")
    unknown = {question.category for question in questions} - set(CATEGORIES)
    if unknown:
        raise InputError("data", f"{file} contains questions with unknown LoCoMo categories: {sorted(unknown)}")
    return conversations


def _check_writable(out: Path) -> None:
    if not out.absolute().parent.is_dir() or out.is_dir():
        raise InputError("out", f"{out} can't be written: its folder does not exist, or the path is a folder")
