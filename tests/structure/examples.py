"""Runs the code blocks of a document in order, as a reader would who copies them.

The blocks of a document share a folder; the Python blocks also share their variables. A comment before a block marks
special blocks::

    <!-- not run: reason -->     the block needs a network, a key or another program
    <!-- in the background -->     the block starts a server; it runs until the end of the document
    <!-- prints -->     the ``text`` block is the exact output of the previous block
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
    """A fenced code block; ``mark`` is the text of the comment before it."""

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
    """Returns the code blocks of a document, in order."""
    text = file.read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, each.start("language")) + 1, each["language"], each["text"], each["mark"] or "")
        for each in _BLOCK.finditer(text)
    ]


class BlockRunner:
    """Runs code blocks in one folder, with an environment without settings and keys.

    Args:
        folder: Working directory of the blocks.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / ".errors"
        self._python: subprocess.Popen[str] | None = None
        self._servers: list[subprocess.Popen[bytes]] = []
        inherited = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        self._environment: Mapping[str, str] = inherited | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONUNBUFFERED": "1",
        }

    def run(self, block: Block) -> str:
        """Runs a block and returns its output."""
        text = block.text.replace(ADDRESS, f"127.0.0.1:{self._port}") if ADDRESS in block.text else block.text
        if block.mark == "in the background":
            return self._serve(text)
        return self._in_python(text, block) if block.language == "python" else self.shell(text, block.line)

    def shell(self, text: str, line: int = 0) -> str:
        """Runs shell lines up to the first failure and returns their output; fails if a line fails."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=self.folder, env=self._environment, capture_output=True,
            text=True, check=False, timeout=SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, f"line {line}: {done.stdout}{done.stderr}"
        return done.stdout

    def close(self) -> None:
        """Ends the Python process and the servers."""
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

    def _errors(self) -> str:
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
        output: list[str] = []
        for line in self._python.stdout:
            if line.startswith("\0"):
                assert line == "\0done\n", f"line {block.line}: {self._errors()}"
                return "".join(output)
            output.append(line)
        raise AssertionError(f"line {block.line}: python ended: {self._errors()}")

    def _serve(self, text: str) -> str:
        server = subprocess.Popen(
            ["bash", "-c", f"exec {text}"], cwd=self.folder, start_new_session=True,
            env={**self._environment, "MEMORYOS_SERVER_PORT": str(self._port)},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._servers.append(server)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and server.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=SECONDS):
                    return ""
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise AssertionError(f"the server did not start: {text}")


@contextmanager
def block_runner(folder: Path) -> Iterator[BlockRunner]:
    """Yields a runner and closes it at the end."""
    runner = BlockRunner(folder)
    try:
        yield runner
    finally:
        runner.close()


def run_document(file: Path, folder: Path) -> int:
    """Runs the blocks of a document, compares their output with the ``prints`` blocks, and returns how many ran."""
    count, printed = 0, ""
    with block_runner(folder) as runner:
        for block in read_blocks(file):
            if block.is_run:
                count, printed = count + 1, runner.run(block)
            elif block.mark == "prints":
                assert printed.strip() == block.text.strip(), f"{file.name}, line {block.line}: it prints {printed}"
    return count
