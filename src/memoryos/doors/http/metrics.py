"""What Prometheus reads of a server: how long requests take, what is due, what models cost, what memory is used."""

from __future__ import annotations

import threading
import time
from datetime import timezone
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from memoryos.errors import MemoryOSError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client.core import Metric

    from memoryos.engine import MemoryEngine

__all__ = ["MEDIA_TYPE", "Metrics"]

MEDIA_TYPE = CONTENT_TYPE_LATEST
FRESH_SECONDS = 10.0
"""So long what was counted in the store is told again: the cost does not grow with the number of those who ask."""
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Metrics:
    """The metrics of one server, in a registry of its own.

    Args:
        engine: Returns the engine.
        clock: Returns seconds that never go back.
    """

    def __init__(self, engine: Callable[[], MemoryEngine], clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "memoryos_request_seconds",
            "Seconds from a request to the end of its answer; of streams of events to their begin.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_Counted(engine, clock))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Takes down one request.

        Args:
            method: Its method.
            route: Template of its route, never its address: an address may name users and what they look for.
            status: Status of the answer.
            seconds: How long it took.
        """
        named = method if method in _METHODS else "other"
        self._seconds.labels(named, route or "none", str(status)).observe(seconds)

    def text(self) -> bytes:
        """Returns all of them as Prometheus reads them; asks the store, so call it in a worker thread."""
        return generate_latest(self._registry)


class _Counted(Collector):
    """What is counted in the engine when somebody asks, and told again for some seconds."""

    def __init__(self, engine: Callable[[], MemoryEngine], clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._found: list[Metric] = []
        self._found_at: float | None = None

    def describe(self) -> Iterable[Metric]:
        """Returns nothing: the store is not asked before somebody wants to know."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Returns what was counted; only ``memoryos_store_up 0`` while the store can't be read."""
        with self._lock:
            now = self._clock()
            if self._found_at is None or now - self._found_at > FRESH_SECONDS:
                try:
                    self._found = [_gauge("store_up", "Whether the store can be read.", 1), *_counted(self._engine())]
                except MemoryOSError:
                    self._found = [_gauge("store_up", "Whether the store can be read.", 0)]
                self._found_at = now
            return tuple(self._found)


def _counted(engine: MemoryEngine) -> Iterable[Metric]:
    backlog = engine.store.totals.backlog(engine.config.short_term_capacity, engine.embedder.name)
    sets = engine.working_sets
    yield _gauge("scopes", "Users with an assistant that anything was remembered for.", backlog.scopes)
    yield _gauge("scopes_failing", "Scopes whose analyst failed last.", backlog.failing_scopes)
    yield _gauge("scopes_open", "Scopes whose working sets are in memory.", sets.count)
    yield _gauge("working_set_bytes", "Estimated bytes of the working sets.", sets.nbytes)
    yield _gauge("pages_due", "Pages that slid out of short-term memory and have no segment.", backlog.due_pages)
    yield _gauge("pages_without_vector", "Pages to be embedded.", backlog.pages_without_vector)
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


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(f"memoryos_{name}", says, value=value)


def _gauges(name: str, says: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], int]]) -> Metric:
    family = GaugeMetricFamily(f"memoryos_{name}", says, labels=labels)
    for labelled, value in values:
        family.add_metric(labelled, value)
    return family
