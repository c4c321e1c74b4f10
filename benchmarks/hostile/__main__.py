"""Measures the latency for other users while one user attacks ``memoryos serve``: ``python -m benchmarks.hostile``.

The server runs with keys on loopback, over a temporary store. Ten times a second each, two probes are sent:
``GET /healthz``, and a recall of a user with 600 pages. A server that freezes for ten seconds yields a hundred slow
samples instead of one: the latencies of requests that were not sent in that time are added.

* **Quiet**: an ordinary user adds and recalls, ten requests a second, from one process. Measured on a fresh server
  before and after the attacks, and the samples are merged. The process has the same priority as an attacker's, so that
  only the requests differ between both cases.
* **Attacks**, each on a fresh server: ``flood`` (250,000 pages in imports of 10,000, and 30 s of consolidation after
  them), ``texts`` (100 kB of dots, "</", Chinese, Vietnamese, combining marks …), ``bodies`` (JSON of a million levels,
  500,000 unknown names), ``zips`` (400 kB that unpack to 400 MB, or hold 20,000 files), ``slow`` (300 connections that
  are idle or send a byte every half second). An attack is one process with two connections at most and a lower
  priority (nice 10), with a valid key, under the server's default limits.

The benchmark passes if p99 of both probes is at most 5 times that of the quiet server, and no probe fails; otherwise the
exit status is 1. It takes at most ten minutes. ``--quick`` takes one minute with smaller attacks and has too few samples
for a result.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.hostile.attacks import ATTACKS
from benchmarks.hostile.probing import Samples, probes, watch
from benchmarks.hostile.server import Keys, Server, prepare_store, started

MOST_TIMES_QUIET = 5.0
SECONDS = 45.0
FLOOD_SECONDS = 240.0
QUICK_SECONDS = 5.0
QUICK_SCALE = 0.04
OVERTIME_SECONDS = 60.0
"""An attacking process is killed this long after its planned end."""
QUIET = "ordinary"


def main() -> None:
    """Measures, prints and writes the figures. Exits with 1 if an attack makes the measured requests too slow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="Run small attacks of five seconds each, as a trial.")
    parser.add_argument("--only", choices=[each for each in ATTACKS if each != QUIET], help="Run one attack.")
    parser.add_argument("--json", type=Path, help="JSON file for the figures.")
    arguments = parser.parse_args()
    attacks = [arguments.only] if arguments.only else [each for each in ATTACKS if each != QUIET]
    with tempfile.TemporaryDirectory() as folder:
        report = _Run(Path(folder), quick=arguments.quick).report(attacks)
    print(f"bound: p99 at most {MOST_TIMES_QUIET:g} × that of the quiet server")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.exit(0 if report["passed"] else 1)


class _Run:
    """One run of the benchmark.

    Args:
        folder: An empty folder for the stores.
        quick: Whether the attacks are small and short.
    """

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self._folder = folder
        self._quick = quick
        self._store = folder / "prepared"
        self._keys: Keys = prepare_store(self._store)

    def report(self, attacks: list[str]) -> dict[str, Any]:
        """Runs the attacks between two measurements without attack. Prints and returns the figures."""
        before, load = self._attacked(QUIET)
        rows = {name: self._attacked(name) for name in attacks}
        after, _ = self._attacked(QUIET)
        quiet = {
            name: Samples(each.seconds + after[name].seconds, each.failed + after[name].failed).summary()
            for name, each in before.items()
        }
        print(f"{'':10}{'probe':9}{'samples':>8}{'p50':>12}{'p99':>12}{'worst':>12}{'failed':>8}{'p99 ÷ quiet':>13}")
        for name, figures in quiet.items():
            _show("quiet", name, figures)
        judged = [_judged(name, samples, quiet, details) for name, (samples, details) in rows.items()]
        return {
            "quick": self._quick,
            "allowed_ratio": MOST_TIMES_QUIET,
            "quiet": quiet | {"load": load},
            "attacks": judged,
            "passed": all(each["passed"] for each in judged),
        }

    def _attacked(self, name: str) -> tuple[dict[str, Samples], dict[str, Any]]:
        """Runs one attack. Returns the measured latencies, and the figures that the attacker and the server report."""
        print(f"measuring: {name}", file=sys.stderr)
        details: dict[str, Any] = {}
        with started(self._store, self._folder / name) as server:
            samples = watch(server.port, probes(self._keys), lambda: details.update(self._attack(name, server)))
            details["server_peak_megabytes"] = server.peak_megabytes()
            details["server_alive"] = server.process.poll() is None
        return samples, details

    def _attack(self, name: str, server: Server) -> dict[str, Any]:
        """Runs the attacker's process until it ends, and returns its report."""
        seconds = QUICK_SECONDS if self._quick else FLOOD_SECONDS if name == "flood" else SECONDS
        scale = QUICK_SCALE if self._quick else 1.0
        command = [sys.executable, "-m", "benchmarks.hostile.attacks", name]
        command += ["--port", str(server.port), "--seconds", str(seconds), "--scale", str(scale)]
        try:
            done = subprocess.run(  # noqa: S603  (our own module)
                command, input=self._keys.attacker + "\n", capture_output=True, text=True, check=True,
                timeout=seconds + OVERTIME_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"answers": {}, "killed": True}
        told: dict[str, Any] = json.loads(done.stdout)
        return told


def _judged(
    name: str, samples: dict[str, Samples], quiet: dict[str, dict[str, Any]], details: dict[str, Any]
) -> dict[str, Any]:
    """Prints and returns the row of one attack: for each measured request the latency, its ratio and the verdict."""
    row: dict[str, Any] = {"attack": name, **details}
    for probe, each in samples.items():
        figures = each.summary()
        figures["ratio"] = round(figures["p99_ms"] / quiet[probe]["p99_ms"], 2)
        figures["passed"] = figures["ratio"] <= MOST_TIMES_QUIET and not figures["failed"]
        row[probe] = figures
        _show(name, probe, figures)
    row["passed"] = details["server_alive"] and all(row[probe]["passed"] for probe in samples)
    print(f"          {json.dumps(details)}")
    return row


def _show(name: str, probe: str, figures: dict[str, Any]) -> None:
    ratio = f"{figures['ratio']:>12.1f}  {'passed' if figures['passed'] else 'FAILED'}" if "ratio" in figures else ""
    times = "".join(f"{figures[each]:>9.1f} ms" for each in ("p50_ms", "p99_ms", "worst_ms"))
    print(f"{name:10}{probe:9}{figures['samples']:>8}{times}{figures['failed']:>8}{ratio}")


if __name__ == "__main__":
    main()
