"""Checks at the server's start: whether other machines can connect, and whether requests require a key."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from memoryos.errors import ConfigError

if TYPE_CHECKING:
    from memoryos.doors.http.settings import ServerSettings
    from memoryos.engine import MemoryEngine

__all__ = ["check_binding", "warn_of_unused_keys"]

_log = logging.getLogger(__name__)


def check_binding(settings: ServerSettings, engine: MemoryEngine) -> None:
    """Raises an error if the server must not start with these settings.

    Raises:
        ConfigError: If other machines could use the server without a key, or if requests require a key but the store
            has no valid key.
    """
    if not settings.is_local and settings.keys is False:
        raise ConfigError(
            f"server: other machines can connect to {settings.host}, so every request must send a key; "
            "listen on 127.0.0.1, or create a key (memoryos keys create --admin) and remove --no-keys"
        )
    keys = engine.store.keys
    if settings.needs_keys and not keys.any_valid(engine.clock()):
        raise ConfigError(
            f"server: every request to {settings.host} requires a key, but the store has no valid key; "
            "create one: memoryos keys create --admin"
        )
    if settings.keys is None and keys.any() and not keys.any_valid(engine.clock()):
        raise ConfigError(
            "server: all keys of this store are revoked or expired, so no request can be authorized; create a key with "
            "`memoryos keys create --admin`, or use --no-keys to accept requests of all programs on this machine"
        )


def warn_of_unused_keys(settings: ServerSettings, engine: MemoryEngine) -> None:
    """Logs a warning if requests require no key although the store has keys."""
    if not settings.needs_keys and settings.keys is False and engine.store.keys.any():
        _log.warning(
            "the store has keys, but because of --no-keys every program on this machine can use the store without a key"
        )
