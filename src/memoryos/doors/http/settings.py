"""The settings of the HTTP server. The settings of the memory are in ``memoryos.config``."""

from __future__ import annotations

import ipaddress
import logging
import os
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from memoryos.config import SERVER_ENV_PREFIX
from memoryos.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_settings import PydanticBaseSettingsSource

__all__ = ["ServerSettings"]

_log = logging.getLogger(__name__)


class ServerSettings(BaseSettings):
    """All settings of one HTTP server; immutable.

    Each setting can be an environment variable, e.g. ``MEMORYOS_SERVER_PORT`` for ``port``.

    Raises:
        ConfigError: If a value is out of range or a name is unknown.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=SERVER_ENV_PREFIX, hide_input_in_errors=True
    )

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. The default accepts connections from this machine only.",
    )
    port: int = Field(default=8078, ge=0, le=65_535, description="Port to listen on; 0 selects a free port.")
    keys: bool | None = Field(
        default=None,
        description="Whether every request requires a key. Default: yes, unless only this machine can connect and the "
        "store never had a key. False: every program on this machine can use the memory, even if the store has keys.",
    )
    trusted_proxies: list[str] = Field(
        default=[],
        description="Addresses and networks (CIDR) of reverse proxies. The client's address is then read from "
        "`X-Forwarded-For` or `Forwarded`, and `address_connections` does not apply to the proxies. Default: none.",
    )
    max_body_bytes: int = Field(
        default=8 << 20, ge=1 << 10, le=1 << 30, description="Maximum bytes of a request body, except for imports."
    )
    max_import_bytes: int = Field(
        default=256 << 20, ge=1 << 10, le=1 << 40, description="Maximum size of an import file in bytes."
    )
    max_json_values: int = Field(
        default=50_000,
        ge=100,
        le=10_000_000,
        description="Maximum number of objects, lists, members and items in the JSON of a request; above it: 413.",
    )
    header_seconds: float = Field(
        default=15.0, gt=0, le=3_600, description="Timeout in seconds for receiving the headers of a request."
    )
    body_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3_600,
        description="Timeout in seconds for receiving a request body; after it: 408. Every received 4 KiB extend the "
        "timeout by one second.",
    )
    send_seconds: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="Interval in seconds between two checks of a slow client. A client that reads less than 1 KiB of a "
        "response per second is disconnected.",
    )
    address_connections: int = Field(
        default=500,
        ge=1,
        le=1_000_000,
        description="Maximum number of open connections of one address (IPv6: of one /64 network).",
    )
    key_open_requests: int = Field(
        default=200,
        ge=1,
        le=1_000_000,
        description="Maximum number of open requests and streams of one key.",
    )
    threads: int = Field(
        default=64, ge=1, le=1_000, description="Maximum number of requests that are processed at the same time."
    )
    drain_seconds: float = Field(
        default=30.0, gt=0, le=3_600, description="Seconds that a server waits for open requests when it shuts down."
    )
    event_seconds: float = Field(
        default=1.0, ge=0.01, le=3_600, description="Interval in seconds at which event streams check for changes."
    )
    cors_origins: list[str] = Field(default=[], description="Origins whose web pages may send requests. Default: none.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Lowest level of the log on stderr. DEBUG lines can contain text of users."
    )
    allowed_hosts: list[str] = Field(
        default=[],
        description="Additional host names for requests while no key is required. Default: only local names.",
    )
    key_requests_per_minute: int | None = Field(
        default=None, ge=1, le=10_000_000, description="Maximum requests per minute of one key. Default: no limit."
    )
    user_requests_per_minute: int | None = Field(
        default=1_200, ge=1, le=10_000_000, description="Maximum requests per minute of all keys of one user."
    )
    address_requests_per_minute: int | None = Field(
        default=None, ge=1, le=10_000_000, description="Maximum requests per minute of one address. Default: no limit."
    )
    failed_keys_per_minute: int = Field(
        default=20,
        ge=1,
        le=1_000_000,
        description="Maximum number of requests with invalid keys per minute of one address; above it: 429 instead of "
        "401. Requests with valid keys are not affected.",
    )
    proxy_memory_tokens: int = Field(
        default=1_000, ge=1, le=1_000_000, description="Maximum number of tokens that the proxy adds to a chat."
    )
    proxy_timeout_seconds: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="Timeout in seconds of the proxy for receiving the next data from the LLM endpoint.",
    )

    proxy_headers: list[str] = Field(
        default=[],
        description="Request headers that the proxy forwards to the LLM endpoint in addition to a fixed list.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, values: list[str]) -> list[str]:
        for each in values:
            ipaddress.ip_network(each, strict=False)
        return values

    def __init__(self, **values: Any) -> None:
        _warn_of_unknown_variables(type(self))
        try:
            super().__init__(**{name: value for name, value in values.items() if value is not None})
        except ValidationError as error:
            details = error.errors(include_input=False)
            text = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in details)
            raise ConfigError(f"server: {text}") from error

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect to the server."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def needs_keys(self) -> bool:
        """Whether the settings require a key for every request, even if the store contains no key."""
        return not self.is_local or self.keys is True

    @classmethod
    def settings_customise_sources(  # noqa: D102  (documented by pydantic-settings)
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings


def _warn_of_unknown_variables(settings: type[ServerSettings]) -> None:
    known = {f"{SERVER_ENV_PREFIX}{name.upper()}" for name in settings.model_fields}
    for variable in os.environ:
        if variable.upper().startswith(SERVER_ENV_PREFIX) and variable.upper() not in known:
            _log.warning("environment variable %s is not a setting and is ignored; correct or unset it", variable)
