"""``memoryos install``: tells an MCP client how to start the server, in the client's own configuration file."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memoryos.config import CONFIG_FILE_VARIABLE, Config
from memoryos.doors.clients import CLIENTS, NAME, UneditableError, block, entry, with_entry, without_entry
from memoryos.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    changes = []
    for file in files:
        old = _read(file)
        try:
            changes.append((file, old, _encoded(file, with_entry(_decoded(old or b""), client, given))))
        except UneditableError as error:
            raise click.ClickException(
                f"{file} is left as it is: {error}. To add the server by hand:\n\n{block(client, given)}"
            ) from error
    for file, old, new in changes:
        if old == new:
            click.echo(f"{client.title} has the server already: {file}")
        else:
            _replace(file, old, new)
            click.echo(f"{client.title} has the server now: {file}")
    click.echo(f"Restart {client.title} if it is running.")


def _remove(client: Client, files: list[Path]) -> None:
    changes = []
    for file in files:
        old = _read(file)
        try:
            changes.append((file, old, _encoded(file, without_entry(_decoded(old or b""), client))))
        except UneditableError as error:
            raise click.ClickException(
                f'{file} is left as it is: {error}. To remove the server by hand, delete "{NAME}" from '
                f'"{client.servers}"'
            ) from error
    for file, old, new in changes:
        if old is None or old == new:
            click.echo(f"{client.title} doesn't have the server: {file}")
        else:
            _replace(file, old, new)
            click.echo(f"{client.title} has the server no more: {file}")


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UneditableError("it is no UTF-8 text") from error


def _encoded(file: Path, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise click.ClickException(f"{file} is left as it is: a path of the entry is no valid text") from error


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
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as beside:
                beside.write(new)
                beside.flush()
                os.fsync(beside.fileno())
            if old is not None:
                shutil.copymode(target, name)
                click.echo(f"backup: {_back_up(file, old)}")
            if _read(file) != old:
                raise click.ClickException(f"{file} was changed by another program just now; try again")
            Path(name).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise click.ClickException(f"{file} can't be written: {error.strerror}; it is left as it is") from error


def _back_up(file: Path, content: bytes) -> Path:
    """Copies the file beside it, under a name that nothing has yet."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d%H%M%S")
    for number in count():
        backup = file.with_name(f"{file.name}.bak-{stamp}" + (f"-{number}" if number else ""))
        try:
            descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "wb") as copy:
            copy.write(content)
        shutil.copymode(file, backup)
        return backup
    raise AssertionError  # pragma: no cover  (there is always another number)
