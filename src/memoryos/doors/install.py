"""The command ``memoryos install``: adds the MCP server to an MCP client's configuration file, or removes it."""

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
if sys.platform == "win32":
    _O_BINARY = os.O_BINARY
else:
    _O_BINARY = 0


@click.command()
@click.argument("client_name", metavar="CLIENT", type=click.Choice(list(CLIENTS)))
@click.option("--user", help="User to whom the memory belongs.  [default: from the settings]")
@click.option("--data", type=_PATH, help="Folder of the database.  [default: from the settings]")
@click.option("--config", "config_file", type=_PATH, help="JSON file with settings.")
@click.option("--home", type=_PATH, hidden=True, help="Home folder; environment variables are then ignored.")
@click.option("--print", "only_print", is_flag=True, help="Print the entry and the path of the file; write nothing.")
@click.option("--remove", is_flag=True, help="Remove the memory server from the file.")
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
    """Add the memory server to the configuration file of an MCP client.

    CLIENT is one of claude-desktop, claude-code, cursor, cline, windsurf, vscode, codex.
    """
    if only_print and remove:
        raise click.UsageError("--print and --remove can't be combined")
    client = CLIENTS[client_name]
    files = _files(client, home)
    if remove:
        _remove(client, files)
        return
    global_options = ctx.parent.params if ctx.parent else {}
    server = _entry(
        client,
        user or global_options.get("user"),
        data or global_options.get("data"),
        config_file or global_options.get("config_file"),
    )
    if only_print:
        for file in files:
            click.echo(f"{client.title}: {file}")
        click.echo(block(client, server), nl=False)
    else:
        _write(client, files, server)


def _files(client: Client, home: Path | None) -> list[Path]:
    """Returns the configuration file of each installation of a client; the usual path if there is no installation."""
    places = client.places(PLATFORM, home or Path.home(), {} if home else os.environ)
    return [place.file for place in places if place.root.exists()] or [places[0].file]


def _entry(client: Client, user: str | None, data: Path | None, config_file: Path | None) -> dict[str, Any]:
    """Returns the configuration entry of the server.

    Its paths are absolute, because the client may start the server in any folder.
    """
    config_file = config_file or (Path(found) if (found := os.environ.get(CONFIG_FILE_VARIABLE)) else None)
    try:
        settings = Config.load(config_file, user_id=user, data_storage_path=data)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    folder = settings.data_storage_path.expanduser().absolute()
    python = str(Path(sys.executable).absolute())
    return entry(client, python, user=settings.user_id, data=folder, config=config_file and config_file.absolute())


def _write(client: Client, files: list[Path], server: Mapping[str, Any]) -> None:
    by_hand = f"To add the server by hand:\n\n{block(client, server)}"
    for file, changed in _change(files, lambda text: with_entry(text, client, server), by_hand):
        state = "was added to" if changed else "is already in the configuration of"
        click.echo(f"The server {state} {client.title}: {file}")
    click.echo(f"Restart {client.title} if it is running.")


def _remove(client: Client, files: list[Path]) -> None:
    by_hand = f'To remove the server by hand, delete "{NAME}" from "{client.servers_key}".'
    for file, changed in _change(files, lambda text: without_entry(text, client), by_hand):
        click.echo(
            f"The server {'was removed from' if changed else 'is not in the configuration of'} {client.title}: {file}"
        )


def _change(files: list[Path], edit: Callable[[str], str], by_hand: str) -> list[tuple[Path, bool]]:
    """Edits all files, or none if one of them can't be edited.

    Args:
        files: The configuration files.
        edit: Returns the new content of a file for its old content.
        by_hand: Instructions for editing a file by hand; part of the error message.

    Returns:
        Each file and whether its content changed.

    Raises:
        ClickException: If a file can't be edited or written.
    """
    changes = []
    for file in files:
        old = _read(file)
        try:
            new = edit((old or b"").decode()).encode()
        except UnicodeError as error:
            raise click.ClickException(f"{file} was not changed: it is not UTF-8 text. {by_hand}") from error
        except UneditableError as error:
            raise click.ClickException(f"{file} was not changed: {error}. {by_hand}") from error
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
    """Makes a backup of a file, then replaces the file's content atomically by renaming a temporary file."""
    try:
        target = file.resolve()  # replaces the target of a symbolic link, not the link
        target.parent.mkdir(parents=True, exist_ok=True)
        with ScratchDir(user_folder() / "temporary").partial_file(target) as beside:
            _write_content(os.open(beside, os.O_WRONLY | _O_BINARY), new)
            if old is not None:
                shutil.copymode(target, beside)
                click.echo(f"backup: {_back_up(file, old)}")
            _require_unchanged(file, old)
            beside.replace(target)
    except OSError as error:
        raise click.ClickException(f"{file} can't be written: {error.strerror}; it was not changed") from error


def _write_content(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _require_unchanged(file: Path, old: bytes | None) -> None:
    if _read(file) != old:
        raise click.ClickException(f"{file} was changed by another program at the same time; run the command again")


def _back_up(file: Path, content: bytes) -> Path:
    """Writes the content to a backup file in the same folder. Returns the path, which contains the current time."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d%H%M%S")
    for number in count():
        backup = file.with_name(f"{file.name}.bak-{stamp}" + (f"-{number}" if number else ""))
        try:
            descriptor = create_file(backup)
        except FileExistsError:
            continue
        _write_content(descriptor, content)
        shutil.copymode(file, backup)
        return backup
    raise AssertionError  # pragma: no cover  (count() does not end)
