"""Resolves the setting ``embedding_model_name="auto"`` to the embedding model of a store.

The choice is made when the store is created and recorded in it: multilingual-e5-small if its extra is installed,
otherwise the built-in model. A store of an earlier release keeps the model of its vectors. An explicit name of one of
these two models replaces the recorded choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.config import AUTO_MODEL
from memoryos.errors import ConfigError
from memoryos.models import minilm, multilingual_e5

if TYPE_CHECKING:
    from memoryos.config import Config
    from memoryos.storage.store import Store

__all__ = ["BUILT_IN", "MULTILINGUAL", "is_auto", "model_of_new_store", "record_explicit_model", "resolve_auto"]

BUILT_IN = "all-MiniLM-L6-v2"
MULTILINGUAL = "multilingual-e5-small"


def is_auto(config: Config) -> bool:
    """Returns whether the store decides about the embedding model. An endpoint for embeddings takes precedence."""
    return config.embedding_model_name == AUTO_MODEL and not config.has_embedding_endpoint


def model_of_new_store() -> str:
    """Returns the multilingual model if its package is installed, otherwise the built-in one."""
    return MULTILINGUAL if multilingual_e5.is_installed() else BUILT_IN


def resolve_auto(config: Config, store: Store, *, record: bool = True) -> Config:
    """Returns the settings with the name of the store's embedding model in place of "auto".

    Args:
        config: The settings; returned unchanged if they name a model or an endpoint.
        store: The store.
        record: Whether to record the choice if the store has none.

    Raises:
        ConfigError: If the package of the store's model is not installed.
    """
    if not is_auto(config):
        return config
    name = store.settings.embedding_model()
    if name is None:
        name = _model_of_vectors(store) or model_of_new_store()
        name = store.settings.record_embedding_model(name) if record else name
    if name == MULTILINGUAL and not multilingual_e5.is_installed():
        raise ConfigError(
            f"embedding_model_name: this store uses {MULTILINGUAL}, whose package is not installed; run "
            f"{multilingual_e5.INSTALL}, or switch the store to the built-in model with: memoryos reembed {BUILT_IN}"
        )
    return config.model_copy(update={"embedding_model_name": name})


def record_explicit_model(config: Config, store: Store) -> None:
    """Records the model that the settings name, if it is the built-in or the multilingual one."""
    name = None if config.has_embedding_endpoint else _choice_of(config.embedding_model_name)
    if name is not None and store.settings.embedding_model() != name:
        store.settings.replace_embedding_model(name)


def _model_of_vectors(store: Store) -> str | None:
    """Returns the model whose vectors the store has; None without vectors, or if it is neither of the two models."""
    embedder_name = store.settings.model_of_vectors()
    return None if embedder_name is None else _choice_of(embedder_name.partition("/")[0])


def _choice_of(name: str) -> str | None:
    if name in minilm.MODEL_NAMES:
        return BUILT_IN
    return MULTILINGUAL if name in multilingual_e5.MODEL_NAMES else None
