"""Starts the attacked server: ``memoryos serve`` with keys on loopback, on a copy of a prepared store."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.micro.dialogue import exchanges
from memoryos import Config, MemoryEngine

__all__ = ["ATTACKER", "VICTIM", "Keys", "Server", "prepare_store", "started"]

VICTIM = "victim"
ATTACKER = "attacker"
VICTIM_PAGES = 600
STOP_SECONDS = 10.0
NO_ENDPOINT = "http://127.0.0.1:9/v1"
"""Upstream address of the proxy; no server listens there, so that no request leaves the machine."""


@dataclass(frozen=True, slots=True)
class Keys:
    """API keys of the two users.

    Attributes:
        victim: Key of the user whose recalls are measured.
        attacker: Key of the user who attacks.
    """

    victim: str
    attacker: str


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        port: Port on 127.0.0.1.
        process: The server's process.
    """

    port: int
    process: subprocess.Popen[str]

    def peak_megabytes(self) -> int | None:
        """Returns the peak memory use of the process in megabytes, or None if the process has ended."""
        if self.process.poll() is not None:
            return None
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def prepare_store(folder: Path) -> Keys:
    """Fills a new database with the pages of the user whose recalls are measured, and creates both API keys."""
    with MemoryEngine(Config(data_storage_path=folder, background=False)) as engine:
        memory = engine.memory(VICTIM)
        for user, assistant, at in exchanges(VICTIM_PAGES):
            memory.add_memory(user, assistant, at)
        memory.flush(3_600)
        now = engine.clock()
        return Keys(*(engine.store.keys.create(user_id, now).text for user_id in (VICTIM, ATTACKER)))


@contextlib.contextmanager
def started(store: Path, folder: Path) -> Iterator[Server]:
    """Starts a server on a copy of the database in a new folder. Stops it and deletes the copy at the end.

    Raises:
        RuntimeError: If the server doesn't start.
    """
    shutil.copytree(store, folder)
    command = [sys.executable, "-m", "memoryos", "--data", str(folder), "serve", "--keys", "--port", "0"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MEMORYOS_", "OPENAI_"))}
    variables["OPENAI_BASE_URL"] = NO_ENDPOINT
    process = subprocess.Popen(  # noqa: S603  (our own command)
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().rpartition(":")[2].strip()
        if not address.isdecimal():
            raise RuntimeError("the server did not start; run `memoryos serve` to see why")
        yield Server(int(address), process)
    finally:
        _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
