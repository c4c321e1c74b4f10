"""Shared code of the commands: the global options, opening the memory, and JSON output."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.errors import NotFoundError
from memoryos.storage.database_urls import is_server_url, sqlite_file_of
from memoryos.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from memoryos.memory import Memory

__all__ = ["Session", "as_json_option", "own_memory", "print_json"]

Command = TypeVar("Command", bound="Callable[..., Any]")


class Session:
    """The global options of one command line call (those before the command name).

    Args:
        settings: Values for fields of ``Config``.
        config_file: JSON file with further settings.
    """

    def __init__(self, settings: dict[str, Any], config_file: Path | None) -> None:
        self._settings = settings
        self._config_file = config_file

    def config(self, **more: Any) -> Config:
        """Returns the settings; ``more`` overrides single fields.

        Raises:
            ConfigError: If a setting is unknown or out of range.
        """
        return Config.load(self._config_file, **(self._settings | more))

    @property
    def options(self) -> list[str]:
        """The global options as command line arguments for another ``memoryos`` process."""
        named = {"user_id": "--user", "assistant_id": "--assistant", "data_storage_path": "--data"}
        given = {named[name]: str(value) for name, value in self._settings.items()}
        if self._config_file is not None:
            given["--config"] = str(self._config_file)
        return [text for pair in given.items() for text in pair]

    @contextmanager
    def engine(self, **more: Any) -> Iterator[MemoryEngine]:
        """Opens an engine without a background worker, because the process ends with the command.

        Args:
            **more: Settings that override single fields.
        """
        with MemoryEngine(self.config(background=False, **more)) as engine:
            yield engine

    @contextmanager
    def memory(self) -> Iterator[Memory]:
        """Opens the memory of the configured user and assistant, in an engine without a background worker."""
        with self.engine() as engine:
            yield own_memory(engine)

    @contextmanager
    def existing_store(self) -> Iterator[Store]:
        """Opens the store if it exists.

        Raises:
            NotFoundError: If there is no database file. Opening would create one, and a mistyped path would then
                pass as an empty store.
        """
        database = self.config().database
        if not is_server_url(database) and not sqlite_file_of(database).exists():
            raise NotFoundError(f"there is no store at {sqlite_file_of(database)}")
        with Store(database) as store:
            yield store


def own_memory(engine: MemoryEngine) -> Memory:
    """Returns the memory of the configured user and assistant."""
    return engine.memory(engine.config.user_id, engine.config.assistant_id)


def as_json_option(command: Command) -> Command:
    """Adds the option ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


def print_json(value: Any) -> None:
    """Prints a value as JSON to stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
