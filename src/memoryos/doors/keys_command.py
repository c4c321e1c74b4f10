"""The commands of API keys: who may call a server of this store."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from memoryos.doors.session import as_json_option, print_json
from memoryos.errors import NotFoundError
from memoryos.inputs import read_scope
from memoryos.storage.database_urls import is_server_url, sqlite_file_of
from memoryos.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memoryos.doors.session import Session
    from memoryos.storage.api_keys import ApiKey

__all__ = ["register"]


def register(cli: click.Group) -> None:
    """Adds the commands to the command line."""
    cli.add_command(keys)


@click.group()
def keys() -> None:
    """API keys of the HTTP server: create, list, revoke."""


@keys.command()
@click.option("--user", help="The key opens the memory of this user, and no other.")
@click.option("--admin", is_flag=True, help="The key opens everything.")
@click.option("--name", default="", help="What it is for; shown in the list.")
@click.option("--expires-days", type=click.IntRange(1, 36_500), help="It is refused after so many days.")
@as_json_option
@click.pass_obj
def create(session: Session, user: str | None, admin: bool, name: str, expires_days: int | None, as_json: bool) -> None:
    """Make a key and show it, this once."""
    if (user is None) is not admin:
        raise click.UsageError("say for whom: either --user or --admin")
    if user is not None:
        read_scope(user, "any")
    now = datetime.now(timezone.utc)
    expires_at = None if expires_days is None else now + timedelta(days=expires_days)
    with Store(session.config().database) as store:
        made = store.keys.create(user, now, name=name, expires_at=expires_at)
    if as_json:
        print_json(_told(made.key, now) | {"key": made.text})
        return
    click.echo(made.text)
    click.echo(f"Keep it: it can't be shown again. Its id is {made.key.key_id}.", err=True)


@keys.command("list")
@as_json_option
@click.pass_obj
def list_(session: Session, as_json: bool) -> None:
    """List every key; their secrets are not known."""
    now = datetime.now(timezone.utc)
    with _store_that_is_there(session) as store:
        told = [_told(each, now) for each in store.keys.all()]
    if as_json:
        print_json(told)
        return
    table = Table("key id", "opens", "name", "created", "expires", "state")
    for each in told:
        opens = "everything" if each["user_id"] is None else f"user {each['user_id']}"
        days = [(each[name] or "")[:10] for name in ("created_at", "expires_at")]
        table.add_row(*map(Text, (each["key_id"], opens, each["name"], *days, each["state"])))
    Console(width=None if Console().is_terminal else 200).print(table)


@keys.command()
@click.argument("key_id")
@click.pass_obj
def revoke(session: Session, key_id: str) -> None:
    """Revoke a key for good; a running server refuses it within a second."""
    with _store_that_is_there(session) as store:
        revoked = store.keys.revoke(key_id, datetime.now(timezone.utc))
    click.echo(f"revoked {revoked.key_id}")


@contextmanager
def _store_that_is_there(session: Session) -> Iterator[Store]:
    place = session.config().database
    if not is_server_url(place) and not sqlite_file_of(place).exists():
        raise NotFoundError(f"there is no store at {sqlite_file_of(place)}")
    with Store(place) as store:
        yield store


def _told(key: ApiKey, now: datetime) -> dict[str, Any]:
    state = "valid" if key.is_valid(now) else "expired" if key.revoked_at is None else "revoked"
    times = {name: getattr(key, name) for name in ("created_at", "expires_at", "revoked_at")}
    written = {name: None if value is None else value.isoformat() for name, value in times.items()}
    return {"key_id": key.key_id, "user_id": key.user_id, "name": key.name, **written, "state": state}
