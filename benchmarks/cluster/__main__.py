"""Kills servers and workers that share one database, one every ten seconds: ``python -m benchmarks.cluster``.

Writers send exchanges with idempotency keys to any server. If it does not acknowledge an exchange, they retry on another
server. At the end, every acknowledged exchange must be stored exactly once, and no page may be due.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import tempfile
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.postgres import DURABLE, running_server

from benchmarks.cluster.processes import Server
from memoryos import Config, MemoryEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS = 40
WRITERS = 6
PAUSE_SECONDS = 0.1
TIMEOUT_SECONDS = 120.0
SETTINGS = {"MEMORYOS_IDLE_SECONDS": "1", "MEMORYOS_CONSOLIDATION_BATCH": "5", "MEMORYOS_LEASE_SECONDS": "15"}


class Writer(threading.Thread):
    """Sends exchanges until it is stopped, and records the acknowledged exchanges."""

    def __init__(self, number: int, ports: list[int], stop: threading.Event) -> None:
        super().__init__(name=f"writer-{number}")
        self.acknowledged: dict[str, list[str]] = {}
        self.repeats = 0
        self.latencies: list[float] = []
        self._ports = ports
        self._stopped = stop
        self._chooser = random.Random(number)

    def run(self) -> None:
        """Sends exchanges, and repeats each one until a server acknowledges it."""
        number = 0
        while not self._stopped.is_set():
            user = f"user-{self._chooser.randrange(USERS)}"
            mark = f"{self.name}-{number}"
            number += 1
            self._send(user, mark)
            time.sleep(PAUSE_SECONDS)

    def _send(self, user: str, mark: str) -> None:
        body = json.dumps({"user_input": f"The code of my locker is {mark}.", "agent_response": "Noted."}).encode()
        headers = {"content-type": "application/json", "idempotency-key": str(uuid.uuid4())}
        started = time.monotonic()
        while time.monotonic() - started < TIMEOUT_SECONDS:
            port = self._chooser.choice(self._ports)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
                connection.request("POST", f"/v1/users/{user}/pages", body, headers)
                if connection.getresponse().status == http.HTTPStatus.CREATED:
                    self.acknowledged.setdefault(user, []).append(mark)
                    self.latencies.append(time.monotonic() - started)
                    return
            self.repeats += 1
            time.sleep(0.05)


def main() -> None:
    """Runs the processes, kills them in turn, and checks the stored pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", help="URL of an empty PostgreSQL database (default: a temporary server).")
    parser.add_argument("--sqlite", action="store_true", help="Use one shared SQLite file instead of PostgreSQL.")
    parser.add_argument("--servers", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--kill-every", type=float, default=10.0)
    parser.add_argument("--json", type=Path, help="JSON file for the figures.")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url = arguments.database_url or f"sqlite:///{folder}/memoryos.db"
        if not (arguments.database_url or arguments.sqlite):
            url = stack.enter_context(running_server(DURABLE)).empty_database()
        figures = _run(Path(folder), url, arguments)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _run(folder: Path, url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    environment = SETTINGS | {"MEMORYOS_DATABASE_URL": url, "MEMORYOS_DATA_STORAGE_PATH": str(folder)}
    stop = threading.Event()
    with _processes(folder, environment, arguments.servers, arguments.workers) as processes:
        ports = [each.port for each in processes if each.port]
        writers = [Writer(number, ports, stop) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        kills = _kill_in_turn(processes, arguments.seconds, arguments.kill_every)
        stop.set()
        for writer in writers:
            writer.join()
    acknowledged = Counter[str]()
    marks: dict[str, list[str]] = {}
    for writer in writers:
        for user, said in writer.acknowledged.items():
            marks.setdefault(user, []).extend(said)
            acknowledged[user] += len(said)
    latencies = sorted(latency for writer in writers for latency in writer.latencies)
    return _checked(url, marks) | {
        "kills": kills,
        "acknowledged": acknowledged.total(),
        "sent_again": sum(writer.repeats for writer in writers),
        "add_p50_ms": round(latencies[len(latencies) // 2] * 1000, 1),
        "add_p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 1),
        "add_worst_seconds": round(latencies[-1], 1),
    }


@contextlib.contextmanager
def _processes(folder: Path, environment: dict[str, str], servers: int, workers: int) -> Iterator[list[Server]]:
    started: list[Server] = []
    try:
        for number in range(servers):
            started.append(Server(["serve"], environment, folder / f"server-{number}.log", has_port=True))
            started[-1].wait_until_it_listens()
        started += [
            Server(["worker"], environment, folder / f"worker-{number}.log", has_port=False)
            for number in range(workers)
        ]
        yield started
    finally:
        for each in started:
            each.end()


def _kill_in_turn(processes: list[Server], seconds: float, every: float) -> int:
    chooser = random.Random(1)
    kills = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() + every < deadline:
        time.sleep(every)
        chooser.choice(processes).kill()
        kills += 1
    time.sleep(max(0.0, deadline - time.monotonic()))
    return kills


def _checked(url: str, marks: dict[str, list[str]]) -> dict[str, Any]:
    """Consolidates all due pages. Returns the numbers of lost, duplicate, due and wrong pages."""
    lost = doubled = found = due = 0
    with MemoryEngine(Config(database_url=url, background=False)) as engine:
        for user, said in marks.items():
            memory = engine.memory(user)
            memory.flush()
            texts = Counter(page.user_text for page in memory.pages())
            found += texts.total()
            lost += sum(texts[f"The code of my locker is {mark}."] == 0 for mark in said)
            doubled += sum(count - 1 for count in texts.values())
            due += memory.get_memory_stats()["pages_due"]
        faults = engine.store.verify()
    return {"found": found, "lost": lost, "doubled": doubled, "due": due, "faults": faults}


if __name__ == "__main__":
    main()
