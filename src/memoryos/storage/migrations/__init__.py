"""Schema migrations. Alembic applies a migration and records the new version in the same transaction."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

__all__ = ["HEAD", "KNOWN", "State", "state_of", "upgrade"]

KNOWN = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012", "0013")
"""Revisions of the files in ``versions/``, oldest first. A test compares this list with the files."""
HEAD = KNOWN[-1]


class State(enum.Enum):
    """Result of comparing the schema of a database with the schema of this release."""

    EMPTY = "no table yet"
    CURRENT = "the schema of this release"
    OLDER = "the schema of an earlier release"
    UNKNOWN = "the schema of a later release or of another program"


def state_of(connection: sa.Connection) -> State:
    """Returns the state of a database's schema. Writes nothing."""
    tables = sa.inspect(connection).get_table_names()
    if not tables:
        return State.EMPTY
    if "alembic_version" not in tables or "scopes" not in tables:
        return State.UNKNOWN
    version = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if version == HEAD:
        return State.CURRENT
    return State.OLDER if version in KNOWN else State.UNKNOWN


def upgrade(connection: sa.Connection) -> None:
    """Migrates a database to the schema of this release, in the caller's transaction."""
    from alembic import command  # noqa: PLC0415  (120 ms, needed only for new or older databases)

    command.upgrade(_config(connection), HEAD)


def _config(connection: sa.Connection) -> AlembicConfig:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
