"""The maintenance commands: ``verify`` (integrity check), ``backup`` (online copy) and ``doctor`` (diagnosis)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memoryos.doors.doctor import CheckResult, run_checks, size_text
from memoryos.doors.session import as_json_option, print_json

if TYPE_CHECKING:
    from memoryos.doors.session import Session

__all__ = ["register"]


def register(cli: click.Group) -> None:
    """Adds the commands ``verify``, ``backup`` and ``doctor`` to the command line."""
    for command in (verify, backup, doctor):
        cli.add_command(command)


@click.command()
@as_json_option
@click.pass_obj
def verify(session: Session, as_json: bool) -> None:
    """Check the database for damage and for invalid references between its rows."""
    with session.existing_store() as store:
        faults = store.verify()
        scope_ids = store.scopes.ids()
        pages = sum(map(store.log.count, scope_ids))
    if as_json:
        print_json({"pages": pages, "scopes": len(scope_ids), "findings": faults})
    else:
        for line in faults or [f"{pages} pages in {len(scope_ids)} scopes, no faults found"]:
            click.echo(line)
    if faults:
        raise click.ClickException(
            f"{len(faults)} faults found; restore the database from a backup, or run memoryos rebuild to derive a "
            "user's segments, facts and profile again from the stored pages"
        )


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def backup(session: Session, file: Path) -> None:
    """Copy the store to a new file. Other programs may use the store during the copy."""
    with session.existing_store() as store:
        store.back_up(file)
    click.echo(f"{size_text(file.stat().st_size)} written to {file}")


@click.command()
@click.option("--offline", is_flag=True, help="Call no endpoint and download no model.")
@click.option("--fix", is_flag=True, help="Remove the permissions of other accounts on the files of the store.")
@as_json_option
@click.pass_obj
def doctor(session: Session, offline: bool, fix: bool, as_json: bool) -> None:
    """Check the installation and suggest a fix for each problem."""
    results = []
    for result in run_checks(session.config, offline=offline, options=session.options, fix=fix):
        results.append(result)
        if not as_json:
            _print_result(result)
    if as_json:
        print_json([asdict(result) for result in results])
    problems = sum(result.state == "problem" for result in results)
    if problems:
        raise click.ClickException(f"{problems} of {len(results)} checks found a problem")


def _print_result(result: CheckResult) -> None:
    click.echo(f"{result.state:8} {result.what}: {result.says}")
    if result.advice:
        click.echo(f"{'':8} → {result.advice}")
