"""Examples of the documents: reads the blocks of a page, and runs them in order as a reader would who copies them.

Blocks of a page share a folder; those in Python share their names too. A comment in front of a block says what is special::

    <!-- not run: why -->     it needs a network, a key or another program
    <!-- in the background -->     a server: it runs until the page ends; what follows waits until it answers
    <!-- prints -->     a ``text`` block: exactly what the block in front of it prints
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ADDRESS = "127.0.0.1:8078"
SECONDS = 120
_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]+?) -->\n+)?```(?P<language>[a-z-]+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_DRIVER = """
import json, sys
names = {"__name__": "__main__"}
for line in sys.stdin:
    try:
        exec(compile(json.loads(line), "<block>", "exec"), names)
    except BaseException:
        import traceback
        traceback.print_exc()
        print("\\0failed", flush=True)
        sys.exit(1)
    print("\\0done", flush=True)
"""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; ``mark`` is what the comment in front of it says."""

    line: int
    language: str
    text: str
    mark: str

    @property
    def is_example(self) -> bool:
        return self.language in {"python", "sh"}

    @property
    def is_run(self) -> bool:
        return self.is_example and not self.mark.startswith("not run: ")


def read_blocks(file: Path) -> list[Block]:
    """Returns the blocks of a document, in order."""
    text = file.read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, each.start("language")) + 1, each["language"], each["text"], each["mark"] or "")
        for each in _BLOCK.finditer(text)
    ]


class Reader:
    """Somebody who copies the blocks of a page, in a folder of their own, with no settings and no key.

    Args:
        folder: Where they work.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / ".errors"
        self._python: subprocess.Popen[str] | None = None
        self._servers: list[subprocess.Popen[bytes]] = []
        kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        self._environment: Mapping[str, str] = kept | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONUNBUFFERED": "1",
        }

    def run(self, block: Block) -> str:
        """Runs a block; returns what it printed."""
        text = block.text.replace(ADDRESS, f"127.0.0.1:{self._port}") if ADDRESS in block.text else block.text
        if block.mark == "in the background":
            return self._serve(text)
        return self._in_python(text, block) if block.language == "python" else self.shell(text, block.line)

    def shell(self, text: str, line: int = 0) -> str:
        """Runs lines of a shell, as far as the first that fails; returns what they printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=self.folder, env=self._environment, capture_output=True,
            text=True, check=False, timeout=SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, f"line {line}: {done.stdout}{done.stderr}"
        return done.stdout

    def close(self) -> None:
        """Ends what still runs."""
        if self._python is not None:
            assert self._python.stdin is not None
            assert self._python.stdout is not None
            self._python.stdin.close()
            self._python.wait(SECONDS)
            self._python.stdout.close()
        for each in self._servers:
            os.killpg(each.pid, signal.SIGTERM)
            each.wait(SECONDS)

    @cached_property
    def _port(self) -> int:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            return int(listening.getsockname()[1])

    def _faults(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def _in_python(self, text: str, block: Block) -> str:
        if self._python is None:
            with self._log.open("w", encoding="utf-8") as log:
                self._python = subprocess.Popen(
                    [sys.executable, "-c", _DRIVER], cwd=self.folder, env=self._environment,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                )  # fmt: skip
        assert self._python.stdin is not None
        assert self._python.stdout is not None
        self._python.stdin.write(json.dumps(text) + "\n")
        self._python.stdin.flush()
        said: list[str] = []
        for line in self._python.stdout:
            if line.startswith("\0"):
                assert line == "\0done\n", f"line {block.line}: {self._faults()}"
                return "".join(said)
            said.append(line)
        raise AssertionError(f"line {block.line}: python ended: {self._faults()}")

    def _serve(self, text: str) -> str:
        server = subprocess.Popen(
            ["bash", "-c", f"exec {text}"], cwd=self.folder, start_new_session=True,
            env={**self._environment, "MEMORYOS_SERVER_PORT": str(self._port)},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._servers.append(server)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and server.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=SECONDS):
                    return ""
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise AssertionError(f"the server did not start: {text}")


@contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    """Yields a reader; ends what they started."""
    reader = Reader(folder)
    try:
        yield reader
    finally:
        reader.close()


def follow(file: Path, folder: Path) -> int:
    """Runs the blocks of a document in order and holds what they print to what it says; returns how many ran."""
    count, printed = 0, ""
    with reading(folder) as reader:
        for block in read_blocks(file):
            if block.is_run:
                count, printed = count + 1, reader.run(block)
            elif block.mark == "prints":
                assert printed.strip() == block.text.strip(), f"{file.name}, line {block.line}: it prints {printed}"
    return count
