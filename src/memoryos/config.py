"""Every number of MemoryOS: its unit, range and default, and where it stands in the paper (Kang et al. 2025).

Precedence: argument > environment (``MEMORYOS_*``; ``OPENAI_API_KEY``, ``OPENAI_BASE_URL``) > config file > default.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, JsonConfigSettingsSource, SettingsConfigDict

from memoryos.errors import ConfigError
from memoryos.redaction import read_detectors

if TYPE_CHECKING:
    from pydantic_settings import PydanticBaseSettingsSource

__all__ = ["DEFAULT_ASSISTANT_ID", "SERVER_ENV_PREFIX", "Config", "HeatWeights", "RankingWeights"]

_log = logging.getLogger(__name__)

ENV_PREFIX = "MEMORYOS_"
SERVER_ENV_PREFIX = "MEMORYOS_SERVER_"
"""Variables of the HTTP server, which reads them itself."""
CONFIG_FILE_VARIABLE = "MEMORYOS_CONFIG_FILE"
_PLACEHOLDER_KEYS = frozenset({"", "YOUR_OPENAI_API_KEY", "YOUR_API_KEY", "your-api-key", "sk-...", "sk-xxx", "xxx"})

_PASSWORD = re.compile(r"(?<=:)[^:/@][^@]*(@|\Z)")
"""The password in the URL of a database, as in ``scheme://name:password@host``; without "@" it is none."""
_PASSWORD_FIELD = re.compile(r"(?<=[?&]password=)[^&]*")

DEFAULT_ASSISTANT_ID = "default_assistant_profile"
TOKENS_A_PAGE = 100
"""The least that a page takes in a prompt; a batch must fit into half of the LLM's context with that."""

Weight = Annotated[float, Field(ge=0, le=100)]


class HeatWeights(BaseModel):
    """The coefficients of Eq. 4, ``heat = α N_visit + β L_interaction + γ exp(-Δt / μ)``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    visit_weight: Weight = Field(default=1.0, description="α of Eq. 4: what one recall of the segment counts.")
    length_weight: Weight = Field(default=1.0, description="β of Eq. 4: what one page of the segment counts.")
    recency_weight: Weight = Field(default=1.0, description="γ of Eq. 4: what a visit right now counts.")
    recency_seconds: float = Field(
        default=1e7, gt=0, le=1e12, description="μ of Eq. 4, in seconds: after so long the recency has fallen to 1/e."
    )


SEGMENT_WEIGHT_IGNORED = "the ranking weight 'segment' is ignored and will be removed; leave it out"


class RankingWeights(BaseModel):
    """The weight of each signal in the ranking of utterances. Signals are in standard deviations of their scope.

    The weight "segment" is deprecated: it has no effect, and a value other than 0 causes a DeprecationWarning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    meaning: Weight = Field(default=1.0, description="Cosine of query and utterance, as a z-score.")
    words: Weight = Field(default=0.8, description="BM25 of query and utterance, as a z-score.")
    previous: Weight = Field(default=0.4, description="Share of the score of the utterance before.")
    following: Weight = Field(default=0.2, description="Share of the score of the utterance after.")
    speaker: Weight = Field(default=1.0, description="Added when the query names who says it.")
    session: Weight = Field(default=0.3, description="Share of the mean of the session's three best scores.")
    segment: Weight = Field(default=0.0, deprecated=True, description="Deprecated and ignored: it improved no result.")
    time: Weight = Field(default=1.0, description="Added when the query names the time of the utterance.")

    def model_post_init(self, _: Any) -> None:
        """Warns if a weight is given that has no effect."""
        if self.__dict__["segment"]:  # not the attribute, since reading it warns too
            warnings.warn(SEGMENT_WEIGHT_IGNORED, DeprecationWarning, stacklevel=3)


class Config(BaseSettings):
    """All settings of one engine; immutable.

    Raises:
        ConfigError: If a value is out of its range or a name is unknown.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        hide_input_in_errors=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    user_id: str = Field(
        default="default_user", description="Whose memory the command line and the servers use, unless told."
    )
    assistant_id: str = Field(default=DEFAULT_ASSISTANT_ID, description="With which assistant, likewise.")
    data_storage_path: Path = Field(
        default=Path("./memoryos_data"), description="Folder of the embedded database; made when it is missing."
    )
    database_url: str | None = Field(
        default=None, repr=False, description="SQLAlchemy URL of the database; default: SQLite in data_storage_path."
    )
    openai_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("openai_api_key", "MEMORYOS_OPENAI_API_KEY", "OPENAI_API_KEY"),
        description="Key of the LLM's endpoint; unset or a placeholder means no LLM.",
    )
    openai_base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("openai_base_url", "MEMORYOS_OPENAI_BASE_URL", "OPENAI_BASE_URL"),
        description="Address of an OpenAI-compatible endpoint; default: OpenAI's.",
    )
    llm_model: str = Field(default="gpt-4o-mini", min_length=1, description="Name of the LLM at that endpoint.")
    llm_context_tokens: int = Field(
        default=16_000,
        ge=4_000,
        le=10_000_000,
        description="Tokens that the LLM reads and writes in one call; else long utterances stand as excerpts.",
    )
    llm_temperature: float | None = Field(
        default=None, ge=0, le=2, description="Sampling temperature; default: the endpoint's own."
    )
    llm_timeout_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="A call that is silent for so long has failed."
    )
    llm_max_retries: int = Field(
        default=2, ge=0, le=10, description="Further tries of a call, with jitter, or when the endpoint says so."
    )
    llm_concurrency: int = Field(default=100, ge=1, le=10_000, description="Calls of the LLM at one time, per engine.")
    llm_daily_tokens: int | None = Field(
        default=None,
        ge=0,
        description="Tokens a day (UTC) of the whole store; when they are used up, consolidation waits for tomorrow.",
    )
    llm_daily_tokens_per_scope: int | None = Field(
        default=None, ge=0, description="The same for each user with each assistant."
    )
    on_llm_failure: Literal["wait", "local"] = Field(
        default="wait",
        description="While the LLM fails, pages wait, searchable; or the local analyst reads and is redone later.",
    )
    mcp_sampling: bool = Field(
        default=False,
        description="Whether the MCP server may ask the client's own model to read and answer, where no LLM is set and "
        "the client offers that (sampling, over stdio); the local analyst stands in whenever it does not reply.",
    )
    embedding_model_name: str = Field(
        default="all-MiniLM-L6-v2",
        min_length=1,
        description="Name of the embedder. The default one is built in; others come from the endpoint below or, "
        "without one, from sentence-transformers (an extra).",
    )
    embedding_base_url: str | None = Field(
        default=None, description="Address of an OpenAI-compatible endpoint for embeddings."
    )
    embedding_api_key: SecretStr | None = Field(default=None, description="Key of that endpoint.")
    embedding_dimensions: int | None = Field(
        default=None, ge=1, le=65_536, description="Length of the vectors of an embedder that is not built in."
    )
    embedding_model_kwargs: dict[str, Any] = Field(
        default_factory=dict, description="Options of a model of sentence-transformers."
    )
    agent_profile: str = Field(
        default="", max_length=20_000, description="Who the assistant is: its role, in the prompt of every answer."
    )
    standing_instructions: str = Field(
        default="", max_length=20_000, description="What the assistant always keeps to, in the prompt of every answer."
    )

    short_term_capacity: int = Field(
        default=7, ge=0, le=10_000, description="Pages of short-term memory (paper: 7). 0 switches the window off."
    )
    mid_term_capacity: int = Field(
        default=2000, ge=1, le=1_000_000, description="Segments of mid-term memory (paper: 200)."
    )
    mid_term_heat_threshold: float = Field(
        default=5.0, ge=0, le=1e9, description="τ of §3.3: a segment hotter than this is learned from (paper: 5)."
    )
    mid_term_similarity_threshold: float = Field(
        default=0.6, ge=0, le=2, description="θ of Eq. 2: the F_score from which a topic joins a segment (paper: 0.6)."
    )
    long_term_knowledge_capacity: int = Field(
        default=100,
        ge=1,
        le=100_000,
        description="Active entries about the user, and about the assistant (paper: 100).",
    )
    retrieval_queue_capacity: int = Field(
        default=7, ge=1, le=10_000, description="Pages that a recall returns unless told otherwise (paper: 10)."
    )
    knowledge_recalled: int = Field(
        default=10, ge=0, le=10_000, description="Entries recalled about the user, and about the assistant (paper: 10)."
    )
    segment_gate: int | None = Field(
        default=None,
        ge=1,
        description="Only pages of so many best segments are ranked (paper: 5). Default: all; the gate costs recall.",
    )
    keep_archived_days: int | None = Field(
        default=None,
        ge=0,
        le=36_500,
        description="Segments are forgotten, with their pages, so many days after they were archived. Default: never.",
    )
    max_pages_per_scope: int | None = Field(
        default=None,
        ge=1,
        description="Most pages of each user with each assistant; adding more fails with QuotaExceededError "
        "(HTTP 507). Default: no limit.",
    )
    max_bytes_per_scope: int | None = Field(
        default=None,
        ge=1,
        description="The same in bytes of texts (UTF-8) and metadata (JSON); vectors and indexes take more on disk.",
    )
    redact_secrets: bool = Field(
        default=False,
        description="Whether keys, tokens, passwords, card numbers and IBANs are replaced by placeholders before a "
        "page is stored; what was stored before stays as it is.",
    )
    redaction_patterns: dict[str, str] = Field(
        default_factory=dict,
        description="More patterns (RE2) by name: a match, or its first group, becomes `[redacted name]`; at most 50, "
        "of at most 1,000 characters. Needs redact_secrets.",
    )
    heat: HeatWeights = Field(default_factory=HeatWeights, description="The coefficients of Eq. 4.")
    ranking: RankingWeights = Field(
        default_factory=RankingWeights, description="What each signal of the ranking counts."
    )

    consolidation_batch: int = Field(
        default=10, ge=1, le=1000, description="Due pages from which the worker consolidates, and pages of one digest."
    )
    idle_seconds: float = Field(
        default=30.0,
        ge=0,
        le=86_400,
        description="A scope without a new page for so long is consolidated whatever is due.",
    )
    lease_seconds: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="After so long a worker that went silent loses its scope to another.",
    )
    retry_base_seconds: float = Field(
        default=5.0, gt=0, le=86_400, description="First pause after an analyst failed; doubles with each failure."
    )
    retry_max_seconds: float = Field(
        default=3600.0, gt=0, le=604_800, description="Longest pause after an analyst failed."
    )
    background: bool = Field(
        default=True, description="Whether a worker thread consolidates; without it, flush() does."
    )
    working_set_max_bytes: int = Field(
        default=1 << 30,
        ge=1 << 20,
        description="Memory for the searchable copies of all scopes; the oldest give way, "
        "and one that alone needs more keeps two bits a dimension of its vectors.",
    )

    _config_file: ClassVar[Path | None] = None

    @model_validator(mode="after")
    def _check_that_a_batch_fits(self) -> Config:
        if self.has_llm and self.consolidation_batch * TOKENS_A_PAGE > self.llm_context_tokens // 2:
            raise ValueError(
                f"consolidation_batch: {self.consolidation_batch} pages are too many for llm_context_tokens of "
                f"{self.llm_context_tokens}"
            )
        return self

    @model_validator(mode="after")
    def _check_redaction_patterns(self) -> Config:
        if self.redaction_patterns and not self.redact_secrets:
            raise ValueError("redaction_patterns: nothing is redacted without redact_secrets; set it too")
        try:
            read_detectors(self.redaction_patterns)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self

    def __init__(self, **values: Any) -> None:
        _warn_of_unknown_variables(type(self))
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(_describe(error)) from error

    @classmethod
    def load(cls, path: str | Path | None = None, **overrides: Any) -> Config:
        """Reads the config file (argument, else ``MEMORYOS_CONFIG_FILE``, else none), the environment, the overrides.

        Args:
            path: A JSON object with names of fields.
            **overrides: Fields that beat file and environment; None means "not given".

        Raises:
            ConfigError: If the file is missing or no JSON object, or a value is unknown or out of range.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        name = path or os.environ.get(CONFIG_FILE_VARIABLE)
        if not name:
            return cls(**given)
        file = Path(name)
        if not file.is_file():
            raise ConfigError(f"config file {file} does not exist")

        class FromFile(cls):  # type: ignore[misc, valid-type]  # pydantic-settings takes the file from the class
            _config_file = file

        try:
            settings = FromFile(**given)
        except ValueError as error:
            raise ConfigError(f"config file {file}: {error}") from error
        return cls.model_construct(**{field: getattr(settings, field) for field in cls.model_fields})

    @classmethod
    def paper(cls, **overrides: Any) -> Config:
        """Returns the paper's set-up (§4.1 and §3.4) instead of ours, for numbers that can be compared.

        200 segments; the five best segments gate the pages; ten pages by embedding alone.
        """
        numbers: dict[str, Any] = {
            "short_term_capacity": 7,
            "mid_term_capacity": 200,
            "mid_term_heat_threshold": 5.0,
            "mid_term_similarity_threshold": 0.6,
            "long_term_knowledge_capacity": 100,
            "retrieval_queue_capacity": 10,
            "knowledge_recalled": 10,
            "segment_gate": 5,
            "heat": HeatWeights(),
            "ranking": RankingWeights(meaning=1, words=0, previous=0, following=0, speaker=0, session=0, time=0),
        }
        return cls(**(numbers | overrides))

    def with_(self, **overrides: Any) -> Config:
        """Returns these settings with some replaced.

        Raises:
            ConfigError: If a value is out of its range or a name is unknown.
        """
        return type(self)(**({name: getattr(self, name) for name in type(self).model_fields} | overrides))

    def shown(self) -> dict[str, Any]:
        """Returns every setting as JSON-compatible values, with stars for what is secret."""
        values: dict[str, Any] = self.model_dump(mode="json")
        if self.database_url is not None:
            hidden = _PASSWORD.sub(lambda found: "•••@" if found[1] else found[0], self.database_url)
            values["database_url"] = _PASSWORD_FIELD.sub("•••", hidden)
        return values

    @property
    def has_llm(self) -> bool:
        """Whether a key is set that is no placeholder."""
        key = self.openai_api_key
        return key is not None and key.get_secret_value().strip() not in _PLACEHOLDER_KEYS

    @property
    def has_embedding_endpoint(self) -> bool:
        """Whether an endpoint for embeddings is set: its address or its key."""
        return bool(self.embedding_base_url) or self.embedding_api_key is not None

    @property
    def database(self) -> str | Path:
        """SQLAlchemy URL of the database, or the file of the embedded one."""
        return self.database_url or self.data_storage_path.expanduser().absolute() / "memoryos.db"

    @classmethod
    def settings_customise_sources(  # noqa: D102  (documented by pydantic-settings)
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        if cls._config_file is None:
            return init_settings, env_settings
        return init_settings, env_settings, JsonConfigSettingsSource(settings_cls, json_file=cls._config_file)


def _warn_of_unknown_variables(settings: type[Config]) -> None:
    known = {f"{ENV_PREFIX}{name.upper()}" for name in settings.model_fields} | {CONFIG_FILE_VARIABLE}
    for variable in os.environ:
        name = variable.upper().split("__")[0]
        if name.startswith(ENV_PREFIX) and not name.startswith(SERVER_ENV_PREFIX) and name not in known:
            _log.warning("environment variable %s is no setting of MemoryOS; it is ignored", variable)


def _describe(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False))
