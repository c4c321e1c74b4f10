"""Measures the latency of requests that a client sends at regular intervals."""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.hostile.server import VICTIM, Keys

__all__ = ["Probe", "Samples", "probes", "watch"]

INTERVAL_SECONDS = 0.1
WARM_UP_REQUESTS = 30
TIMEOUT_SECONDS = 60.0
"""Timeout of a probe; a request that times out counts as failed, with this latency."""
QUERIES = ("What did my sister buy in Lisbon?", "Which trip am I planning?", "How much does pottery cost?")
FIRST_ERROR = 400


@dataclass
class Samples:
    """The latencies of one probe, which is a request that is sent at regular intervals.

    Attributes:
        seconds: Times from sending a request until its response was read, corrected for requests that were not sent.
        failed: Number of requests without a response or with an error status.
    """

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    def summary(self) -> dict[str, Any]:
        """Returns the count, p50, p99 and maximum in milliseconds, and the failures."""
        ordered = sorted(self.seconds)
        return {
            "samples": len(ordered),
            "p50_ms": round(statistics.median(ordered) * 1000, 2),
            "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 2),
            "worst_ms": round(ordered[-1] * 1000, 2),
            "failed": self.failed,
        }


@dataclass(frozen=True, slots=True)
class Probe:
    """A request whose latency is measured.

    Attributes:
        name: Its name in the report.
        method: HTTP method.
        path: Path on the server.
        headers: Headers to send.
        bodies: Bodies to send in turn; None for a request without a body.
    """

    name: str
    method: str
    path: str
    headers: dict[str, str]
    bodies: tuple[bytes | None, ...] = (None,)


def probes(keys: Keys) -> tuple[Probe, ...]:
    """Returns the two requests to measure: ``/healthz`` without a key, and a recall of the user whose latency is measured."""
    headers = {"Authorization": f"Bearer {keys.victim}", "Content-Type": "application/json"}
    bodies = tuple(json.dumps({"query": each, "max_pages": 5}).encode() for each in QUERIES)
    return (
        Probe("healthz", "GET", "/healthz", {}),
        Probe("recall", "POST", f"/v1/users/{VICTIM}/recall", headers, bodies),
    )


def watch(port: int, measured: tuple[Probe, ...], until: Callable[[], None]) -> dict[str, Samples]:
    """Sends every probe at its interval while ``until`` runs. Returns the latencies by the name of the probe."""
    for probe in measured:
        connection = _connect(port)
        for number in range(WARM_UP_REQUESTS):
            _is_answered(connection, probe, number)
        connection.close()
    ended = threading.Event()
    samples = {probe.name: Samples() for probe in measured}
    threads = [
        threading.Thread(target=_measure, args=(port, probe, samples[probe.name], ended), daemon=True)
        for probe in measured
    ]
    for thread in threads:
        thread.start()
    try:
        until()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    return samples


def _measure(port: int, probe: Probe, samples: Samples, ended: threading.Event) -> None:
    """Sends one request per interval, or after the previous response, and corrects for requests that were not sent.

    A server that freezes for ten seconds would otherwise yield one slow sample instead of a hundred. Therefore each latency
    above the interval adds the latencies of the requests that were not sent in that time (Tene's correction for
    coordinated omission).
    """
    connection = _connect(port)
    number = 0
    due = time.perf_counter()
    while not ended.wait(max(0.0, due - time.perf_counter())):
        sent = time.perf_counter()
        samples.failed += not _is_answered(connection, probe, number)
        waited = time.perf_counter() - sent
        due = sent + max(waited, INTERVAL_SECONDS)
        number += 1
        while waited > 0:
            samples.seconds.append(waited)
            waited -= INTERVAL_SECONDS
    connection.close()


def _connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)


def _is_answered(connection: http.client.HTTPConnection, probe: Probe, number: int) -> bool:
    """Sends one request and reads the response. The next request opens a broken connection again."""
    try:
        connection.request(probe.method, probe.path, probe.bodies[number % len(probe.bodies)], probe.headers)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return False
    return response.status < FIRST_ERROR
