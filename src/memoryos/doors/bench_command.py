"""``memoryos bench``: how much of what answers a question is found, on a LoCoMo file of the user's."""

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

SHOWN = ("500 tokens", "1000 tokens")


@click.command()
@click.option("--data", "data_file", type=click.Path(path_type=Path), required=True, help="A LoCoMo file.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("memoryos-bench.html"),
    show_default=True,
    help="The report to write: one HTML file.",
)
@click.option("--no-captions", is_flag=True, help="Leave out the captions of shared photos.")
@as_json_option
@click.pass_obj
def bench(session: Session, data_file: Path, out: Path, no_captions: bool, as_json: bool) -> None:
    """Measure on a LoCoMo file how much of what answers its questions is found, without an LLM; write a report."""
    from memoryos.doors.bench.locomo_run import run, steps  # noqa: PLC0415  (the engine waits until it is needed)
    from memoryos.doors.bench.report import About, to_html  # noqa: PLC0415

    conversations = _read(data_file, captions=not no_captions)
    _check_writable(out)
    embedder = QueryCache(build_embedder(session.config()), capacity=10_000)
    counted = itertools.count(1)
    with (
        temporary_folder() as folder,
        progress("remembering and asking", steps(conversations)) as bar,
    ):
        report = run(conversations, folder, embedder, progress=lambda: bar.update(next(counted)))
    command = f"memoryos bench --data {shlex.quote(str(data_file))}" + (" --no-captions" if no_captions else "")
    about = About(data_file.name, version("memoryos-engine"), embedder.name, command)
    out.write_text(to_html(report, about), encoding="utf-8")
    if as_json:
        print_json(report)
        return
    for name, table in report["recall"].items():
        cells = [f"{table['all'][limit]['mean']:.3f} at {limit}" for limit in SHOWN if "all" in table]
        click.echo(f"{name:20} {', '.join(cells)}")
    click.echo(f"report written to {out}")


def _read(file: Path, *, captions: bool) -> list[Conversation]:
    conversations = [each for each in read_locomo(file, captions=captions) if each.exchanges]
    names = [each.name for each in conversations]
    if len(set(names)) < len(names):
        raise InputError("data", "two conversations of the file have the same sample_id")
    asked = [question for each in conversations for question in each.questions if question.evidence]
    if not asked:
        raise InputError("data", f"{file} has no question that names its evidence")
    unknown = {question.category for question in asked} - set(CATEGORIES)
    if unknown:
        raise InputError("data", f"{file} has questions of categories that LoCoMo does not know: {sorted(unknown)}")
    return conversations


def _check_writable(out: Path) -> None:
    if not out.absolute().parent.is_dir() or out.is_dir():
        raise InputError("out", f"{out} can't be written: its folder is missing, or it is a folder")
