"""The commands that look after a store: is it whole, a copy of it, and what keeps an installation from working."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memoryos.doors.doctor import Checked, check_up, size_text
from memoryos.doors.session import as_json_option, print_json
from memoryos.errors import NotFoundError
from memoryos.storage.places import file_of, is_server
from memoryos.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memoryos.doors.session import Session

__all__ = ["register"]


def register(cli: click.Group) -> None:
    """Adds the commands to the command line."""
    for command in (verify, backup, doctor):
        cli.add_command(command)


@click.command()
@as_json_option
@click.pass_obj
def verify(session: Session, as_json: bool) -> None:
    """Check the whole store: the file, and that everything names what is there."""
    with _store(session) as store:
        faults = store.verify()
        scope_ids = store.scopes.ids()
        pages = sum(map(store.log.count, scope_ids))
    if as_json:
        print_json({"pages": pages, "scopes": len(scope_ids), "findings": faults})
    else:
        for line in faults or [f"{pages} pages in {len(scope_ids)} scopes, nothing wrong"]:
            click.echo(line)
    if faults:
        raise click.ClickException(
            f"{len(faults)} findings; a damaged file needs a backup, and memoryos rebuild derives a user's tiers anew"
        )


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def backup(session: Session, file: Path) -> None:
    """Copy the whole store to a new file while it is in use."""
    with _store(session) as store:
        store.back_up(file)
    click.echo(f"{size_text(file.stat().st_size)} written to {file}")


@click.command()
@click.option("--offline", is_flag=True, help="Ask no endpoint.")
@click.option("--fix", is_flag=True, help="Take the rights of other accounts to the store's files away.")
@as_json_option
@click.pass_obj
def doctor(session: Session, offline: bool, fix: bool, as_json: bool) -> None:
    """Check what an installation needs, and say what to do."""
    done = []
    for checked in check_up(session.config, offline=offline, options=session.options, fix=fix):
        done.append(checked)
        if not as_json:
            _show(checked)
    if as_json:
        print_json([asdict(checked) for checked in done])
    problems = sum(checked.state == "problem" for checked in done)
    if problems:
        raise click.ClickException(f"{problems} of {len(done)} checks found a problem")


@contextmanager
def _store(session: Session) -> Iterator[Store]:
    """Opens a store that is there: a mistyped folder is no empty store that is well."""
    place = session.config().database
    if not is_server(place) and not file_of(place).exists():
        raise NotFoundError(f"there is no store at {file_of(place)}")
    with Store(place) as store:
        yield store


def _show(checked: Checked) -> None:
    click.echo(f"{checked.state:8} {checked.what}: {checked.says}")
    if checked.advice:
        click.echo(f"{'':8} → {checked.advice}")
