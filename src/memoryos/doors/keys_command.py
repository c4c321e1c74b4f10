"""The command ``memoryos keys``: creates, lists and revokes API keys of the HTTP server."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from memoryos.doors.session import as_json_option, print_json
from memoryos.inputs import read_scope
from memoryos.storage.store import Store

if TYPE_CHECKING:
    from memoryos.doors.session import Session
    from memoryos.storage.api_keys import ApiKey

__all__ = ["register"]


def register(cli: click.Group) -> None:
    """Adds the command ``keys`` with its subcommands to the command line."""
    cli.add_command(keys)


@click.group()
def keys() -> None:
    """Create, list and revoke API keys of the HTTP server."""


@keys.command()
@click.option("--user", help="User whose memory the key can access.")
@click.option("--admin", is_flag=True, help="The key can access the memories of all users.")
@click.option("--name", default="", help="Label shown in the list of keys.")
@click.option("--expires-days", type=click.IntRange(1, 36_500), help="Number of days until the key expires.")
@as_json_option
@click.pass_obj
def create(session: Session, user: str | None, admin: bool, name: str, expires_days: int | None, as_json: bool) -> None:
    """Create a key and print it. The key can't be shown again later."""
    if (user is None) is not admin:
        raise click.UsageError("pass either --user or --admin")
    if user is not None:
        read_scope(user, "any")
    now = datetime.now(timezone.utc)
    expires_at = None if expires_days is None else now + timedelta(days=expires_days)
    with Store(session.config().database) as store:
        created = store.keys.create(user, now, name=name, expires_at=expires_at)
    if as_json:
        print_json(_key_json(created.key, now) | {"key": created.text})
        return
    click.echo(created.text)
    click.echo(f"Save this key now; it can't be shown again. Key id: {created.key.key_id}", err=True)


@keys.command("list")
@as_json_option
@click.pass_obj
def list_(session: Session, as_json: bool) -> None:
    """List all keys with their ids. The keys themselves can't be shown, because only their hashes are stored."""
    now = datetime.now(timezone.utc)
    with session.existing_store() as store:
        rows = [_key_json(key, now) for key in store.keys.all()]
    if as_json:
        print_json(rows)
        return
    table = Table("key id", "access", "name", "created", "expires", "state")
    for row in rows:
        access = "all users" if row["user_id"] is None else f"user {row['user_id']}"
        days = [(row[name] or "")[:10] for name in ("created_at", "expires_at")]
        table.add_row(*map(Text, (row["key_id"], access, row["name"], *days, row["state"])))
    Console(width=None if Console().is_terminal else 200).print(table)


@keys.command()
@click.argument("key_id")
@click.pass_obj
def revoke(session: Session, key_id: str) -> None:
    """Revoke a key permanently. Running servers reject the key within one second."""
    with session.existing_store() as store:
        revoked = store.keys.revoke(key_id, datetime.now(timezone.utc))
    click.echo(f"revoked {revoked.key_id}")


def _key_json(key: ApiKey, now: datetime) -> dict[str, Any]:
    state = "valid" if key.is_valid(now) else "expired" if key.revoked_at is None else "revoked"
    times = {"created_at": key.created_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at}
    iso_times = {name: None if value is None else value.isoformat() for name, value in times.items()}
    return {"key_id": key.key_id, "user_id": key.user_id, "name": key.name, **iso_times, "state": state}
