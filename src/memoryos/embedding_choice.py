"""Replaces the setting ``embedding_model_name="auto"`` by the name of the embedding model that a database uses.

When a store is created, its model is chosen: multilingual-e5-small if the extra of this model is installed, otherwise
the built-in model. The choice is recorded in the store. A store of an earlier release keeps the model of its vectors.
If the settings name one of these two models, this name replaces the recorded choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.config import INSTALL_MULTILINGUAL, MULTILINGUAL_MODEL
from memoryos.errors import ConfigError, StoreError
from memoryos.models import minilm, multilingual_e5
from memoryos.storage.database_urls import is_server_url, sqlite_file_of
from memoryos.storage.migrations import State
from memoryos.storage.store import Store
from memoryos.storage.verification import check_writable, read_schema_state

if TYPE_CHECKING:
    from memoryos.config import Config

__all__ = [
    "BUILT_IN",
    "model_of_new_store",
    "read_choice",
    "record_explicit_model",
    "resolve_auto",
]

BUILT_IN = "all-MiniLM-L6-v2"


def model_of_new_store() -> str:
    """Returns the name of the multilingual model if its package is installed, otherwise that of the built-in model."""
    return MULTILINGUAL_MODEL if multilingual_e5.is_installed() else BUILT_IN


def resolve_auto(config: Config, store: Store, *, record: bool = True) -> Config:
    """Returns the settings, in which the name of the database's embedding model replaces "auto".

    Args:
        config: The settings; returned unchanged if they name a model or an endpoint.
        store: The store.
        record: Whether to record the model in the store if the store has no recorded model.

    Raises:
        ConfigError: If the package of the database's model is not installed.
    """
    if not config.is_embedding_model_auto:
        return config
    name = store.settings.embedding_model()
    if name is None:
        name = _model_of_vectors(store) or model_of_new_store()
        name = store.settings.record_embedding_model(name) if record else name
    if name == MULTILINGUAL_MODEL and not multilingual_e5.is_installed():
        raise ConfigError(
            f"embedding_model_name: this store uses {MULTILINGUAL_MODEL}, whose package is not installed; run "
            f"{INSTALL_MULTILINGUAL}, or switch the store to the built-in model with: memoryos reembed {BUILT_IN}"
        )
    return config.model_copy(update={"embedding_model_name": name})


def read_choice(config: Config) -> Config:
    """Like ``resolve_auto``, for a store that is not open. Never creates or changes the store.

    If the store is missing or can't be opened, the settings are returned unchanged.

    Raises:
        ConfigError: If the package of the database's model is not installed.
    """
    if not config.is_embedding_model_auto:
        return config
    try:
        database = config.database
        if not is_server_url(database):
            file = sqlite_file_of(database)
            if not file.exists() or read_schema_state(file) is not State.CURRENT:
                return config
        check_writable(database)
        with Store(database) as store:
            return resolve_auto(config, store, record=False)
    except (StoreError, OSError):
        return config


def record_explicit_model(config: Config, store: Store) -> None:
    """Records the model name of the settings in the database, if it is the built-in or the multilingual model."""
    name = None if config.has_embedding_endpoint else _choice_of(config.embedding_model_name)
    if name is not None and store.settings.embedding_model() != name:
        store.settings.replace_embedding_model(name)


def _model_of_vectors(store: Store) -> str | None:
    """Returns the name of the model that computed the database's vectors.

    Returns None if there are no vectors, or if the model is neither the built-in nor the multilingual model.
    """
    embedder_name = store.settings.model_of_vectors()
    return None if embedder_name is None else _choice_of(embedder_name.partition("/")[0])


def _choice_of(name: str) -> str | None:
    if name in minilm.MODEL_NAMES:
        return BUILT_IN
    return MULTILINGUAL_MODEL if name in multilingual_e5.MODEL_NAMES else None
