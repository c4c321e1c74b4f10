"""Load test of ``memoryos serve`` and of a minimal FastAPI server on loopback: ``python -m benchmarks.server``.

Each connection sends its next request when it has received a response. A request belongs to one of 1,000 users, chosen at
random. Server and load generator share the cores of the machine, so a server alone on a machine reaches higher rates.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.micro.dialogue import exchanges
from benchmarks.server.load import Ask, load
from memoryos import Config, MemoryEngine

USERS = 1_000
PAGES_A_USER = 6
WARM_UP_SECONDS = 5.0
LEAST_RECALLS_A_SECOND = 100
LEAST_ADDS_A_SECOND = 300
MOST_P99_TO_P50 = 10.0
ADDS_A_RECALL = 3
SEED = 11
FIRST_ERROR = 400


def main() -> None:
    """Fills a store, runs the load tests, and prints and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="Duration of each load.")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--json", type=Path, help="JSON file for the figures.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder))
        rows = _measure(folder, arguments.connections, arguments.seconds)
    _show(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _fill(folder: Path) -> None:
    said = list(exchanges(USERS * PAGES_A_USER))
    with MemoryEngine(Config(data_storage_path=folder, background=False)) as engine:
        for number in range(USERS):
            memory = engine.memory(f"user-{number}")
            memory.add_messages(
                [
                    {"role": role, "content": text, "timestamp": at.isoformat()}
                    for user, assistant, at in said[number::USERS]
                    for role, text in (("user", user), ("assistant", assistant))
                ]
            )
            memory.flush()


def _measure(folder: str, connections: int, seconds: float) -> list[dict[str, Any]]:
    rows = []
    with _started([sys.executable, "-m", "benchmarks.server.echo"], []) as (port, process):
        rows.append(_loaded("echo", _echoes(), port, process, connections, seconds))
    serve = [sys.executable, "-m", "memoryos", "--data", folder, "serve"]
    with _started(serve, ["--no-keys"]) as (port, process):
        load(port, _mixed(), connections=connections, seconds=WARM_UP_SECONDS)
        for name, asks in (
            ("recalls", _recalls()),
            ("adds", _adds()),
            ("both", _mixed()),
            ("recalls again", _recalls()),
        ):
            rows.append(_loaded(name, asks, port, process, connections, seconds))
        time.sleep(1)
        rows[-1]["resident_after_a_pause"] = _resident_bytes(process)
    return rows


def _echoes() -> Iterator[Ask]:
    for user, assistant, _ in itertools.cycle(list(exchanges(1000))):
        yield Ask("echo", "/echo", {"user_input": user, "agent_response": assistant})


def _recalls() -> Iterator[Ask]:
    chooser = random.Random(SEED)
    for user, _, _ in itertools.cycle(list(exchanges(USERS * PAGES_A_USER))):
        yield Ask("recall", f"/v1/users/user-{chooser.randrange(USERS)}/recall", {"query": user, "max_pages": 5})


def _adds() -> Iterator[Ask]:
    chooser = random.Random(SEED)
    for user, assistant, _ in itertools.cycle(list(exchanges(20_000, seed=3))):
        path = f"/v1/users/user-{chooser.randrange(USERS)}/pages"
        yield Ask("add", path, {"user_input": user, "agent_response": assistant})


def _mixed() -> Iterator[Ask]:
    recalls, adds = _recalls(), _adds()
    while True:
        yield next(recalls)
        for _ in range(ADDS_A_RECALL):
            yield next(adds)


@contextlib.contextmanager
def _started(command: list[str], options: list[str]) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603
        [*command, "--port", str(port), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command} did not start")
            time.sleep(0.05)
        yield port, process
    finally:
        process.terminate()
        process.wait()


def _loaded(
    name: str, asks: Iterator[Ask], port: int, process: subprocess.Popen[bytes], connections: int, seconds: float
) -> dict[str, Any]:
    """Runs one load test.

    Returns:
        Rates, latencies, the server's memory before and after the test, and its processor time per request.
    """
    row: dict[str, Any] = {"load": name, "resident_before": _resident_bytes(process)}
    busy = _processor_seconds(process)
    answers, took = load(port, asks, connections=connections, seconds=seconds)
    row["processor_ms"] = round((_processor_seconds(process) - busy) / len(answers) * 1000, 2)
    row |= {"seconds": round(took, 2), "resident": _resident_bytes(process)}
    for kind in sorted({each.kind for each in answers}):
        times = sorted(each.seconds for each in answers if each.kind == kind)
        row[kind] = {
            "a_second": round(len(times) / took, 1),
            "p50_ms": round(statistics.median(times) * 1000, 2),
            "p99_ms": round(times[int(len(times) * 0.99)] * 1000, 2),
            "worst_ms": round(times[-1] * 1000, 2),
            "errors": sum(each.status >= FIRST_ERROR for each in answers if each.kind == kind),
        }
    return row


def _processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Returns the processor time of all threads of the server, including the background worker."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_bytes(process: subprocess.Popen[bytes]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def _show(rows: list[dict[str, Any]]) -> None:
    print(
        f"{'load':<16}{'kind':<9}{'a second':>10}{'p50':>10}{'p99':>10}{'p99/p50':>9}{'errors':>8}{'resident':>10}{'processor':>14}"
    )
    for row in rows:
        for kind in ("echo", "recall", "add"):
            if (figures := row.get(kind)) is not None:
                ratio = figures["p99_ms"] / figures["p50_ms"]
                print(
                    f"{row['load']:<16}{kind:<9}{figures['a_second']:>10.0f}{figures['p50_ms']:>7.1f} ms"
                    f"{figures['p99_ms']:>7.1f} ms{ratio:>9.1f}{figures['errors']:>8}{row['resident'] / 1e6:>7.0f} MB"
                    f"{row['processor_ms']:>7.1f} ms each"
                )
    print(
        f"bounds: {LEAST_RECALLS_A_SECOND} recalls and {LEAST_ADDS_A_SECOND} adds a second, p99 ≤ {MOST_P99_TO_P50:g} × p50, no error"
    )


if __name__ == "__main__":
    main()
