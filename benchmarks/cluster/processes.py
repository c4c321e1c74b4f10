"""Server and worker processes that the benchmark kills and restarts."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

START_SECONDS = 60.0


class Server:
    """A process of ``memoryos serve`` with its own port, or of ``memoryos worker`` without a port."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path, *, has_port: bool) -> None:
        self.port = _free_port() if has_port else 0
        self._command = [sys.executable, "-m", "memoryos", *command]
        if has_port:
            self._command += ["--port", str(self.port), "--no-keys"]
        self._environment = os.environ | environment
        self._log = log
        self._lock = threading.Lock()
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment)  # noqa: S603

    def kill(self) -> None:
        """Kills the process with SIGKILL and restarts it."""
        with self._lock:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = self._started()

    def end(self) -> None:
        """Terminates the process with SIGTERM and waits for its exit."""
        self.process.terminate()
        self.process.wait()

    def wait_until_it_listens(self) -> None:
        """Waits until the server accepts connections."""
        deadline = time.monotonic() + START_SECONDS
        while self.port and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.process.poll() is not None:
                raise RuntimeError(f"{self._command} ended: {self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
