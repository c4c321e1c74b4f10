"""Exports OpenTelemetry spans if an environment variable names an endpoint; requires the extra ``otel``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry import trace

from memoryos.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["start_tracing"]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def start_tracing() -> Callable[[], None]:
    """Starts to export spans over OTLP (HTTP) if an environment variable names an endpoint.

    Returns:
        A function that exports the remaining spans and stops tracing.

    Raises:
        ConfigError: If an endpoint is set and the extra ``otel`` is not installed.
    """
    if not any(map(os.environ.get, _ENDPOINTS)):
        return _nothing
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            f"{_ENDPOINTS[0]} is set but OpenTelemetry is not installed: pip install 'memoryos-engine[otel]'"
        ) from error
    provider = TracerProvider(
        resource=Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "memoryos")})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def _nothing() -> None:
    """Does nothing, because tracing is off."""
