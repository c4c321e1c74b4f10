"""``memoryos install``: tells an MCP client how to start the server, in the client's own configuration file."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memoryos.config import CONFIG_FILE_VARIABLE, Config
from memoryos.doors.clients import CLIENTS, NAME, UneditableError, block, entry, with_entry, without_entry
from memoryos.errors import ConfigError
from memoryos.private_files import create_file
from memoryos.storage.scratch_dir import ScratchDir, user_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from memoryos.doors.clients import Client

__all__ = ["install"]

PLATFORM: str = sys.platform
_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("client_name", metavar="CLIENT", type=click.Choice(list(CLIENTS)))
@click.option("--user", help="Whose memory.  [default: as the settings say]")
@click.option("--data", type=_PATH, help="Folder of the store.  [default: as the settings say]")
@click.option("--config", "config_file", type=_PATH, help="JSON file with settings.")
@click.option("--home", type=_PATH, hidden=True, help="Home folder; the environment then names no other.")
@click.option("--print", "only_print", is_flag=True, help="Show the entry and where it belongs; write nothing.")
@click.option("--remove", is_flag=True, help="Take the entry out again.")
@click.pass_context
def install(
    ctx: click.Context,
    client_name: str,
    user: str | None,
    data: Path | None,
    config_file: Path | None,
    home: Path | None,
    only_print: bool,
    remove: bool,
) -> None:
    """Let an MCP client use the memory: write the server into its configuration.

    CLIENT is one of claude-desktop, claude-code, cursor, cline, windsurf, vscode, codex.
    """
    if only_print and remove:
        raise click.UsageError("--print shows what would be written, --remove takes it out: give one of them")
    client = CLIENTS[client_name]
    files = _files(client, home)
    if remove:
        _remove(client, files)
        return
    before = ctx.parent.params if ctx.parent else {}  # the options in front of the command
    given = _entry(
        client, user or before.get("user"), data or before.get("data"), config_file or before.get("config_file")
    )
    if only_print:
        for file in files:
            click.echo(f"{client.title}: {file}")
        click.echo(block(client, given), nl=False)
    else:
        _write(client, files, given)


def _files(client: Client, home: Path | None) -> list[Path]:
    """Returns the files of all installations of the client that are there, else the usual one."""
    places = client.places(PLATFORM, home or Path.home(), {} if home else os.environ)
    return [place.file for place in places if place.root.exists()] or [places[0].file]


def _entry(client: Client, user: str | None, data: Path | None, config_file: Path | None) -> dict[str, Any]:
    """Returns the entry with absolute paths, since nobody knows in which folder the client starts it."""
    config_file = config_file or (Path(found) if (found := os.environ.get(CONFIG_FILE_VARIABLE)) else None)
    try:
        settings = Config.load(config_file, user_id=user, data_storage_path=data)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    folder = settings.data_storage_path.expanduser().absolute()
    python = str(Path(sys.executable).absolute())
    return entry(client, python, user=settings.user_id, data=folder, config=config_file and config_file.absolute())


def _write(client: Client, files: list[Path], given: Mapping[str, Any]) -> None:
    by_hand = f"To add the server by hand:\n\n{block(client, given)}"
    for file, changed in _change(files, lambda text: with_entry(text, client, given), by_hand):
        click.echo(f"{client.title} has the server {'now' if changed else 'already'}: {file}")
    click.echo(f"Restart {client.title} if it is running.")


def _remove(client: Client, files: list[Path]) -> None:
    by_hand = f'To remove the server by hand, delete "{NAME}" from "{client.servers}".'
    for file, changed in _change(files, lambda text: without_entry(text, client), by_hand):
        click.echo(f"{client.title} {'has the server no more' if changed else 'does not have the server'}: {file}")


def _change(files: list[Path], edit: Callable[[str], str], by_hand: str) -> list[tuple[Path, bool]]:
    """Changes all files, or none when one of them can't be edited; tells which did change."""
    changes = []
    for file in files:
        old = _read(file)
        try:
            new = edit((old or b"").decode()).encode()
        except UnicodeError as error:
            raise click.ClickException(f"{file} is left as it is: no UTF-8 text. {by_hand}") from error
        except UneditableError as error:
            raise click.ClickException(f"{file} is left as it is: {error}. {by_hand}") from error
        changes.append((file, old, new))
    for file, old, new in changes:
        if new != (old or b""):
            _replace(file, old, new)
    return [(file, new != (old or b"")) for file, old, new in changes]


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise click.ClickException(f"{file} can't be read: {error.strerror}") from error


def _replace(file: Path, old: bytes | None, new: bytes) -> None:
    """Writes beside the file, keeps a backup, and puts the new content in the old one's place at once."""
    try:
        target = file.resolve()  # a link stays a link
        target.parent.mkdir(parents=True, exist_ok=True)
        with ScratchDir(user_folder() / "temporary").partial_file(target) as beside:
            _fill(os.open(beside, os.O_WRONLY | getattr(os, "O_BINARY", 0)), new)
            if old is not None:
                shutil.copymode(target, beside)
                click.echo(f"backup: {_back_up(file, old)}")
            _require_unchanged(file, old)
            beside.replace(target)
    except OSError as error:
        raise click.ClickException(f"{file} can't be written: {error.strerror}; it is left as it is") from error


def _fill(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _require_unchanged(file: Path, old: bytes | None) -> None:
    if _read(file) != old:
        raise click.ClickException(f"{file} was changed by another program just now; try again")


def _back_up(file: Path, content: bytes) -> Path:
    """Copies the file beside it, under a name that nothing has yet."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d%H%M%S")
    for number in count():
        backup = file.with_name(f"{file.name}.bak-{stamp}" + (f"-{number}" if number else ""))
        try:
            descriptor = create_file(backup)
        except FileExistsError:
            continue
        _fill(descriptor, content)
        shutil.copymode(file, backup)
        return backup
    raise AssertionError  # pragma: no cover  (there is always another number)
