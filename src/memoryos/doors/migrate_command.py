"""``memoryos migrate``: copies a store to another database scope by scope; a repeated call resumes the copy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from memoryos.errors import ConfigError, NotFoundError
from memoryos.storage.database_urls import is_server_url, parse_database_url, sqlite_file_of
from memoryos.storage.migrations import State
from memoryos.storage.store import Store
from memoryos.storage.verification import read_schema_state

if TYPE_CHECKING:
    from memoryos.storage.store_copy import CopiedScope

__all__ = ["migrate"]

_SCOPES_PER_PROGRESS_LINE = 100


@click.command()
@click.argument("source")
@click.argument("target")
def migrate(source: str, target: str) -> None:
    """Copy the store at SOURCE to TARGET; both are SQLAlchemy URLs or paths of SQLite files.

    Scopes that are identical in TARGET are skipped, so repeat the command to resume an interrupted copy. The source is
    not changed. Stop all writers to the source first.
    """
    places = [each if "://" in each else Path(each) for each in (source, target)]
    if parse_database_url(places[0]) == parse_database_url(places[1]):
        raise ConfigError("source and target are the same database")
    _check_source(places[0])
    with Store(places[0]) as old, Store(places[1]) as new:
        scope_ids = list(old.scopes.all())
        moved: list[CopiedScope] = []
        for number, scope_id in enumerate(scope_ids, 1):
            moved.append(new.copy_scope_from(old, scope_id))
            if number % _SCOPES_PER_PROGRESS_LINE == 0 or number == len(scope_ids):
                click.echo(f"{number} of {len(scope_ids)} scopes, {sum(each.pages for each in moved)} pages", err=True)
        keys = new.copy_api_keys_from(old)
        model = old.settings.embedding_model()
        if model is not None:
            new.settings.record_embedding_model(model)
    skipped = sum(each.already_existed for each in moved)
    click.echo(
        f"{len(moved) - skipped} scopes copied, {skipped} skipped as identical; verified "
        f"{sum(each.pages for each in moved)} pages and {sum(each.rows for each in moved)} rows; {keys} API keys copied"
    )


def _check_source(place: str | Path) -> None:
    """Rejects a missing source file, which opening would create, and an old schema, which opening would migrate."""
    if is_server_url(place):
        return
    file = sqlite_file_of(place)
    if not file.exists():
        raise NotFoundError(f"there is no store at {file}")
    state = read_schema_state(file)
    if state is not State.CURRENT:
        raise ConfigError(
            f"{file}: {state.value}; copy the file, open it once with this release to upgrade it, then repeat this"
        )
