"""Measures the start-up time of the MCP server: from process start to initialization, list of tools and first recall.

Usage: python -m benchmarks.micro.handshake [--runs 10]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.micro.dialogue import exchanges
from memoryos import Config, MemoryEngine

PAGES = 20
STEPS = ("initialize answered", "tools listed", "first retrieve_memory", "ended, stdin closed")
BOUND_SECONDS = 1.0
"""Bound for the handshake on an idle machine."""
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "handshake", "version": "1"}}


def main() -> None:
    """Starts the server several times and prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder))
        runs = [_run(folder) for _ in range(arguments.runs)]
    print(f"{'process start →':<28}{'median':>14}{'minimum':>10}{'maximum':>10}{'processor':>12}")
    for step in STEPS:
        walls, busy = [run[step][0] for run in runs], [run[step][1] for run in runs]
        print(
            f"{step:<28}{statistics.median(walls):>12.2f} s{min(walls):>8.2f} s{max(walls):>8.2f} s"
            f"{statistics.median(busy):>10.2f} s"
        )
    listed = statistics.median(run["tools listed"][0] for run in runs)
    print(f"bound for the handshake: {BOUND_SECONDS:g} s{'' if listed <= BOUND_SECONDS else '  OVER'}")


def _fill(folder: Path) -> None:
    said = exchanges(PAGES)
    with MemoryEngine(Config(data_storage_path=folder, background=False)) as engine:
        memory = engine.memory(engine.config.user_id, engine.config.assistant_id)
        for user, assistant, at in said:
            memory.add_memory(user, assistant, at)
        memory.flush()


def _run(folder: str) -> dict[str, tuple[float, float]]:
    """Starts the server once. Returns the time since the start and the processor time of each step, in seconds."""
    command = [sys.executable, "-m", "memoryos", "mcp", "--data", folder]
    started = time.perf_counter()
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
    done: dict[str, tuple[float, float]] = {}

    def ask(step: str, method: str, params: dict[str, Any]) -> None:
        assert server.stdin is not None
        assert server.stdout is not None
        message = {"jsonrpc": "2.0", "id": step, "method": method, "params": params}
        server.stdin.write(json.dumps(message).encode() + b"\n")
        server.stdin.flush()
        answer = json.loads(server.stdout.readline())
        assert answer["id"] == step
        assert not answer["result"].get("isError")
        done[step] = time.perf_counter() - started, _processor_seconds(server.pid)

    ask(STEPS[0], "initialize", HELLO)
    ask(STEPS[1], "tools/list", {})
    query = {"query": "What did I say about the violin?"}
    ask(STEPS[2], "tools/call", {"name": "retrieve_memory", "arguments": query})
    before = os.times()
    server.communicate()
    after = os.times()
    busy = sum(after[2:4]) - sum(before[2:4])
    done[STEPS[3]] = time.perf_counter() - started, busy
    return done


def _processor_seconds(process: int) -> float:
    ticks = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
