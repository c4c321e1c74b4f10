"""What the commands share: the settings in front of them, the memory that they open, and JSON for programs."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from memoryos.config import Config
from memoryos.engine import MemoryEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from memoryos.memory import Memory

__all__ = ["Session", "as_json_option", "own_memory", "print_json"]

Command = TypeVar("Command", bound="Callable[..., Any]")


class Session:
    """What the options in front of the command say.

    Args:
        settings: Fields of ``Config`` that were given.
        config_file: JSON file with others.
    """

    def __init__(self, settings: dict[str, Any], config_file: Path | None) -> None:
        self._settings = settings
        self._config_file = config_file

    def config(self, **more: Any) -> Config:
        """Returns the settings.

        Raises:
            ConfigError: If one is unknown or out of its range.
        """
        return Config.load(self._config_file, **(self._settings | more))

    @property
    def options(self) -> list[str]:
        """The same options, as another command takes them."""
        named = {"user_id": "--user", "assistant_id": "--assistant", "data_storage_path": "--data"}
        given = {named[name]: str(value) for name, value in self._settings.items()}
        if self._config_file is not None:
            given["--config"] = str(self._config_file)
        return [text for pair in given.items() for text in pair]

    @contextmanager
    def engine(self) -> Iterator[MemoryEngine]:
        """Opens an engine without a background worker, because the process ends with the command."""
        with MemoryEngine(self.config(background=False)) as engine:
            yield engine

    @contextmanager
    def memory(self) -> Iterator[Memory]:
        """Opens the memory of the configured user and assistant, in an engine without a background worker."""
        with self.engine() as engine:
            yield own_memory(engine)


def own_memory(engine: MemoryEngine) -> Memory:
    """Returns the memory of the configured user and assistant."""
    return engine.memory(engine.config.user_id, engine.config.assistant_id)


def as_json_option(command: Command) -> Command:
    """Adds ``--json`` to a command: a program reads what it prints."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


def print_json(value: Any) -> None:
    """Prints a value for programs."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
