"""Prometheus metrics of the server: request latency, waiting work, LLM usage and memory usage."""

from __future__ import annotations

import threading
import time
from datetime import timezone
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from memoryos.errors import MemoryOSError
from memoryos.language.passages import vector_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client.core import Metric

    from memoryos.engine import MemoryEngine

__all__ = ["MEDIA_TYPE", "Metrics"]

MEDIA_TYPE = CONTENT_TYPE_LATEST
CACHE_SECONDS = 10.0
"""How long numbers from the store are cached, so that frequent requests for metrics do not load the database."""
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Metrics:
    """The metrics of one server. Each object of this class has its own Prometheus registry.

    Args:
        engine: Returns the engine.
        clock: Returns monotonic seconds.
    """

    def __init__(self, engine: Callable[[], MemoryEngine], clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "memoryos_request_seconds",
            "Seconds from a request to the end of its response; for event streams to their start.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_StoreCollector(engine, clock))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Records the latency of one request.

        Args:
            method: HTTP method.
            route: Template of the route. Not the URL, because URLs can contain user ids and search words.
            status: Status code of the response.
            seconds: Latency.
        """
        label = method if method in _METHODS else "other"
        self._seconds.labels(label, route or "none", str(status)).observe(seconds)

    def text(self) -> bytes:
        """Returns all metrics in the Prometheus text format.

        Call this method in a worker thread, because it reads the store.
        """
        return generate_latest(self._registry)


class _StoreCollector(Collector):
    """Collects numbers from the engine and the store, and caches them for some seconds."""

    def __init__(self, engine: Callable[[], MemoryEngine], clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._cached: list[Metric] = []
        self._cached_at: float | None = None

    def describe(self) -> Iterable[Metric]:
        """Returns an empty list, so that the registration of the collector does not read the store."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Returns all numbers. If the store can't be read, returns only ``memoryos_store_up`` with the value 0."""
        with self._lock:
            now = self._clock()
            if self._cached_at is None or now - self._cached_at > CACHE_SECONDS:
                try:
                    self._cached = [
                        _gauge("store_up", "Whether the store can be read.", 1),
                        *_store_metrics(self._engine()),
                    ]
                except MemoryOSError:
                    self._cached = [_gauge("store_up", "Whether the store can be read.", 0)]
                self._cached_at = now
            return tuple(self._cached)


def _store_metrics(engine: MemoryEngine) -> Iterable[Metric]:
    backlog = engine.store.totals.backlog(vector_model(engine.embedder.name))
    sets = engine.working_sets
    yield _gauge("scopes", "Scopes (user and assistant) with at least one page.", backlog.scopes)
    yield _gauge("scopes_failing", "Scopes whose last analyst call failed.", backlog.failing_scopes)
    yield _gauge("scopes_open", "Scopes with a working set in memory.", sets.count)
    yield _gauge("working_set_bytes", "Estimated bytes of the working sets.", sets.nbytes)
    yield _gauge("pages_due", "Pages that are due to be read.", backlog.due_pages)
    yield _gauge("pages_without_vector", "Pages that are not yet embedded.", backlog.pages_without_vector)
    spent = engine.store.totals.spent(engine.clock().astimezone(timezone.utc).date())
    calls: list[tuple[Sequence[str], int]] = []
    tokens: list[tuple[Sequence[str], int]] = []
    for each in spent:
        calls.append(((each.purpose, each.model, "done"), each.calls - each.failed_calls))
        calls.append(((each.purpose, each.model, "failed"), each.failed_calls))
        tokens.append(((each.purpose, each.model, "read"), each.prompt_tokens))
        tokens.append(((each.purpose, each.model, "written"), each.completion_tokens))
    yield _gauges("llm_calls_today", "Calls of models since midnight (UTC).", ("purpose", "model", "outcome"), calls)
    yield _gauges("llm_tokens_today", "Tokens since midnight (UTC).", ("purpose", "model", "direction"), tokens)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"memoryos_{name}", documentation, value=value)


def _gauges(
    name: str, documentation: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], int]]
) -> Metric:
    family = GaugeMetricFamily(f"memoryos_{name}", documentation, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family
