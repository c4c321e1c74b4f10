"""Crash tests: ``python -m benchmarks.crash --kills 500`` kills writer processes and then checks their databases."""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.crash.checking import Findings, Promised, check, check_forgotten
from benchmarks.crash.marks import read_marks
from benchmarks.crash.writer import DATABASE, NOBODY, Plan

ROOT = Path(__file__).parents[2]
KILLS_A_STORE = 10
POINTS_AT_ONCE = 4
LONGEST_LIFE_SECONDS = 0.3
TIMEOUT_SECONDS = 60.0
KILLED = -9
WRITERS = ("ann", "bob", "eve")
SMALL: dict[str, Any] = {
    "background": False,
    "short_term_capacity": 1,
    "consolidation_batch": 2,
    "mid_term_capacity": 2,
    "mid_term_heat_threshold": 0.5,
    "long_term_knowledge_capacity": 2,
}
"""Small limits, so that a few pages pass through every tier and are evicted at its end."""
BEGINNING = ("add", "messages", "flush", "add")
WORK = ("add", "messages", "recall", "flush", "answer", "add", "add", "flush", "rebuild", "reopen", "add", "flush")
"""``BEGINNING`` prepares the store; ``WORK`` is executed with fail points."""


@dataclass
class Report:
    """The figures and problems of a run of the crash tests."""

    kills: int = 0
    fail_points: int = 0
    writes_refused: Counter[str] = field(default_factory=Counter)
    logs_torn: int = 0
    torn_pages_lost: int = 0
    places: Counter[str] = field(default_factory=Counter)
    forgotten: int = 0
    acknowledged: int = 0
    found: int = 0
    unacknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    corrupt_stores: int = 0
    leases_left: int = 0
    copies_left: int = 0
    slowest_check_seconds: float = 0.0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def take(self, name: str, findings: Findings) -> None:
        """Adds the findings of one check."""
        self.problems += [f"{name}: {each}" for each in findings.problems]
        self.unacknowledged += findings.unacknowledged
        self.lost += findings.lost
        self.doubled += findings.doubled
        self.corrupt_stores += findings.is_corrupt
        self.leases_left += findings.leases_left
        self.copies_left += findings.copies_left
        self.slowest_check_seconds = max(self.slowest_check_seconds, findings.seconds)

    def close_store(self, promised: Promised, findings: Findings) -> None:
        """Adds the numbers of pages of a database that is finished."""
        self.acknowledged += promised.acknowledged
        self.found += findings.found


class Running:
    """A running writer process."""

    def __init__(self, plan: Plan, pid: int, trace: Path) -> None:
        self.plan = plan
        self._pid = pid
        self._trace = trace

    def output_lines(self) -> list[str]:
        """Returns the complete lines that the process has printed so far."""
        return self._trace.with_suffix(".said").read_text(encoding="utf-8").split("\n")[:-1]

    def kill(self) -> tuple[str, str]:
        """Kills the process and waits for its exit. Returns the last step of its foreground and worker thread."""
        if not self._ended.exists():
            os.kill(self._pid, 9)
        self.wait()
        return self.doing()

    def doing(self) -> tuple[str, str]:
        """Returns the last step of the foreground thread and of the worker thread of the process."""
        return read_marks(self._trace.with_suffix(".marks"))

    def wait(self) -> int:
        """Waits for the exit of the process. Returns its exit code, as defined by ``subprocess``."""
        self._wait_for(self._ended.exists)
        return int(self._ended.read_text())

    def wait_for_more(self, word: str, count: int) -> bool:
        """Waits for ``count`` output lines that start with a word. Returns False if the process exits before that."""
        self._wait_for(lambda: self._count(word) >= count or self._ended.exists())
        return self._count(word) >= count

    def errors(self) -> str:
        """Returns the last 2,000 characters of the process's error output."""
        return self._trace.with_suffix(".errors").read_text(encoding="utf-8")[-2000:]

    @property
    def _ended(self) -> Path:
        return self._trace.with_suffix(".ended")

    def _count(self, word: str) -> int:
        file = self._trace.with_suffix(".said")
        return sum(line.startswith(f"{word} ") or line == word for line in self.output_lines()) if file.exists() else 0

    def _wait_for(self, is_done: Any) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not is_done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"writer {self._pid} did not respond in time: {self.doing()} {self.errors()}")
            time.sleep(0.001)


class Starter:
    """Starts writers quickly: it forks them from a process that has loaded all modules."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "traces"
        self._started = 0
        self._folder.mkdir()
        self._folder.chmod(0o777)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.crash.writer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )

    def start(self, plan: Plan) -> Running:
        """Starts a writer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the starter has no pipes")
        self._started += 1
        trace = self._folder / str(self._started)
        order = {"plan": asdict(plan), "trace": str(trace)}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return Running(plan, int(self._process.stdout.readline()), trace)

    def __enter__(self) -> Starter:  # noqa: PYI034
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


def kill_at_random(starter: Starter, folder: Path, kills: int, seed: int, report: Report) -> None:
    """Kills writers at random moments, up to ten times per database."""
    done = 0
    while done < kills:
        chooser = random.Random(f"{seed}/{done}")
        wanted = min(KILLS_A_STORE, kills - done)
        _kill_on_one_store(starter, folder / f"random-{done}", wanted, chooser, report)
        done += wanted


def _kill_on_one_store(starter: Starter, folder: Path, kills: int, chooser: random.Random, report: Report) -> None:
    plan = Plan(
        str(folder),
        analyst=chooser.choice(("local", "scripted", "unreliable")),
        settings=SMALL
        | {
            "background": chooser.random() < 0.6,  # noqa: PLR2004  (a little more than half)
            "short_term_capacity": chooser.randint(1, 3),
            "consolidation_batch": chooser.randint(1, 4),
            "mid_term_capacity": chooser.choice((1, 3, 50)),
            "long_term_knowledge_capacity": chooser.choice((1, 3, 50)),
        },
    )
    promised, findings = Promised(), Findings()
    is_shared = chooser.random() < 0.3  # noqa: PLR2004  (a third)
    left = kills
    while left:
        names = WRITERS[: min(left, chooser.randint(2, 3) if is_shared else 1)]
        plans = [
            replace(
                plan,
                writer=name,
                first=promised.next_number(name),
                seed=chooser.getrandbits(32),
                quiet_seconds=chooser.choice((0.0, 0.01, 0.05)),
            )
            for name in names
        ]
        for running in _kill_in_turn([starter.start(each) for each in plans], chooser, report):
            report.problems += [
                f"{folder.name}: {each}" for each in promised.process_lines(running.plan.writer, running.output_lines())
            ]
        left -= len(names)
        findings = check(plan, promised, drain=not left or chooser.random() < 0.5)  # noqa: PLR2004  (every other time)
        report.take(folder.name, findings)
    report.close_store(promised, findings)
    _tidy(folder, findings)


def _kill_in_turn(writers: list[Running], chooser: random.Random, report: Report) -> list[Running]:
    """Kills the writers of one database one after another. The remaining writers must not be blocked."""
    if chooser.random() < 0.9:  # noqa: PLR2004  (else while they open the store)
        for each in writers:
            each.wait_for_more("open", 1)
    alive = list(writers)
    while alive:
        time.sleep(chooser.uniform(0, LONGEST_LIFE_SECONDS))
        victim = alive.pop()
        doing = victim.kill()
        ended = victim.wait()
        if ended != KILLED:
            report.problems.append(
                f"a writer exited unexpectedly ({ended}): {victim.output_lines()[-1:]} {victim.errors()}"
            )
        report.kills += 1
        report.places[_place(doing)] += 1
        said = [each.output_lines().copy() for each in alive]
        for survivor, lines in zip(alive, said, strict=True):
            count = sum(line.startswith("added ") for line in lines)
            if not survivor.wait_for_more("added", count + 2):
                report.problems.append(
                    f"a writer exited unexpectedly: {survivor.output_lines()[-1:]} {survivor.errors()}"
                )
    return writers


def _place(doing: tuple[str, str]) -> str:
    """Returns the interrupted step for the report: the worker's step, or else the call of the foreground thread."""
    foreground, worker = doing
    for name, marks in (("worker: ", worker), ("", foreground)):
        steps = [each for each in marks.split("/") if each not in {"", "pause"}]
        if steps:
            *outer, inner = [each for each in steps if each != "commit"] or ["bookkeeping"]
            of_rebuild = "rebuild: " if "rebuild" in outer else ""
            return f"{name}{of_rebuild}{inner}{', committing' if 'commit' in steps else ''}"
    return "idle"


def kill_at_fail_points(
    starter: Starter,
    folder: Path,
    report: Report,
    *,
    analyst: str = "scripted",
    work: tuple[str, ...] = WORK,
    every: dict[str, int],
) -> None:
    """Kills a small run at its n-th statement, and before and after its n-th commit, for every n.

    Args:
        starter: Starts the writers.
        folder: Folder for the stores.
        report: Receives the findings.
        analyst: Analyst of the writers.
        work: Actions on a store that already contains a few pages.
        every: Step of n by kind of fail point: 1 tries all, 2 every second one.
    """
    begun = folder / f"begun-{analyst}"
    for name, actions, template in (("opening", ("add", "flush"), None), ("working", work, begun)):
        plan = Plan(str(folder / f"{name}-{analyst}"), analyst=analyst, settings=SMALL, actions=actions)
        before = Promised()
        if template is not None:
            _run(starter, replace(plan, folder=str(template), actions=BEGINNING), before, report)
        points = [
            replace(plan, folder=f"{plan.folder}-{kind.replace(' ', '-')}-{number}", kill=kind, kill_at=number)
            for kind, count in _counts(starter, plan, template, before, report).items()
            for number in range(1, count + 1, every[kind])
        ]
        for start in range(0, len(points), POINTS_AT_ONCE):
            _kill_at(starter, points[start : start + POINTS_AT_ONCE], template, before, report)


def kill_while_forgetting(starter: Starter, folder: Path, report: Report, *, every: dict[str, int]) -> None:
    """Kills a writer during forgetting and erasure, at its n-th statement, and before and after its n-th commit.

    Args:
        starter: Starts the writers.
        folder: Folder for the stores.
        report: Receives the findings.
        every: Step of n by kind of fail point: 1 tries all, 2 every second one.
    """
    begun, before = folder / "begun-forgetting", Promised()
    plan = Plan(str(folder / "forgetting"), analyst="scripted", settings=SMALL, actions=("forget",))
    _run(
        starter, replace(plan, folder=str(begun), actions=(*["add"] * 8, "messages", "flush", "answer")), before, report
    )
    for kind, count in _counts(starter, plan, begun, before, report).items():
        for number in range(1, count + 1, every[kind]):
            name = f"{plan.folder}-{kind.replace(' ', '-')}-{number}"
            killed, _ = _copy(replace(plan, folder=name, kill=kind, kill_at=number), begun, before)
            running = starter.start(killed)
            if running.wait() == KILLED:
                report.fail_points += 1
                report.places[_place(running.doing())] += 1
            said = [line.split()[1:] for line in running.output_lines() if line.startswith("forgetting ")]
            findings = check_forgotten(killed, map(int, said[0] if said else ()))
            report.forgotten += findings.is_forgotten
            report.take(Path(name).name, findings)
            _tidy(Path(name), findings)


def _counts(starter: Starter, plan: Plan, template: Path | None, before: Promised, report: Report) -> dict[str, int]:
    """Returns the number of fail points of a run by kind. A fail point is a moment at which a writer can be killed."""
    plan, promised = _copy(plan, template, before)
    said = _run(starter, replace(plan, kill="statement"), promised, report)
    shutil.rmtree(plan.folder)
    _, statements, commits = said[-1].split()
    return {"statement": int(statements), "before commit": int(commits), "after commit": int(commits)}


def _kill_at(starter: Starter, plans: list[Plan], template: Path | None, before: Promised, report: Report) -> None:
    """Starts writers in parallel, each of which kills itself at its fail point, and checks their databases."""
    copies = [_copy(plan, template, before) for plan in plans]
    for running, promised in [(starter.start(plan), promised) for plan, promised in copies]:
        ended = running.wait()
        name = Path(running.plan.folder).name
        if ended not in {0, KILLED}:
            report.problems.append(f"{name}: the writer failed: {running.errors()}")
        report.problems += [
            f"{name}: {each}" for each in promised.process_lines(running.plan.writer, running.output_lines())
        ]
        if ended == KILLED:
            report.fail_points += 1
            report.places[_place(running.doing())] += 1
        findings = check(running.plan, promised, drain=True)
        report.take(name, findings)
        report.close_store(promised, findings)
        _tidy(Path(running.plan.folder), findings)


def _copy(plan: Plan, template: Path | None, before: Promised) -> tuple[Plan, Promised]:
    """Copies a database. Returns the plan for a writer of the copy, and the pages that the copy must contain."""
    if template is not None:
        shutil.copytree(template, plan.folder)
    promised = copy.deepcopy(before)
    return replace(plan, first=promised.next_number(plan.writer)), promised


def _run(starter: Starter, plan: Plan, promised: Promised, report: Report) -> list[str]:
    """Runs a writer until it exits."""
    running = starter.start(plan)
    try:
        ended = running.wait()
    except TimeoutError as error:
        report.problems.append(f"{plan.folder}: {error}")
        running.kill()
        ended = 0
    said = running.output_lines()
    report.problems += [f"{plan.folder}: {each}" for each in promised.process_lines(plan.writer, said)]
    if ended != 0:
        report.problems.append(f"{plan.folder}: the writer exited with {ended}: {running.errors()}")
    return said


FULL_DISKS: dict[str, tuple[str, ...]] = {
    "adding": (*["add"] * 4, "limit", *["add", "messages", "answer"] * 6, "recall", "unlimit", "add", "flush"),
    "draining": (*["add"] * 10, "limit", "flush", "flush", "recall", "rebuild", "unlimit", "flush", "rebuild", "add"),
    "reopening": (*["add"] * 10, "limit", "flush", "reopen", "add", "unlimit", "reopen", "add", "flush"),
    "worker": (*["add"] * 6, "limit", *["add", "pause"] * 6, "unlimit", "add", "settle", "flush"),
}
"""Actions between "limit" and "unlimit", while no file can grow."""
PROTECTED = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}.lock", ".")


def fill_disks(starter: Starter, folder: Path, report: Report, rooms: range) -> None:
    """Simulates a full disk while writers add, consolidate and open. Tries each number of free bytes."""
    for name, actions in FULL_DISKS.items():
        for room in rooms:
            settings = SMALL | ({"background": True, "reading_delay_seconds": 0.3} if name == "worker" else {})
            plan = Plan(
                str(folder / f"full-{name}-{room}"),
                analyst="scripted",
                settings=settings,
                actions=actions,
                room_bytes=room,
            )
            _run_refused(starter, plan, f"full disk, {name}", report)
    for room in rooms:
        plan = Plan(
            str(folder / f"full-opening-{room}"), settings=SMALL, actions=("add", "flush"), limit_bytes=room + 1
        )
        _run_refused(starter, plan, "full disk, opening", report)


def protect_files(starter: Starter, folder: Path, report: Report) -> None:
    """Makes the files of a database read-only, one after another, while a writer works."""
    for file in PROTECTED:
        protected = f"protect:{file}", "add", "recall", "flush", "reopen", "add", "recall"
        actions = ("add", "add", "flush", *protected, f"release:{file}", "reopen", "add", "flush")
        plan = Plan(str(folder / f"protected{file}"), settings=SMALL, actions=actions, unprivileged=True)
        Path(plan.folder).mkdir()
        if os.getuid() == 0:
            os.chown(plan.folder, NOBODY, NOBODY)
        _run_refused(starter, plan, f"read-only {'folder' if file == '.' else file}", report)


def _run_refused(starter: Starter, plan: Plan, name: str, report: Report) -> None:
    promised = Promised()
    for line in _run(starter, plan, promised, report):
        if line.startswith("refused "):
            _, action, error, reason = line.replace(f"{plan.folder}/", "").split(" ", 3)
            report.writes_refused[f"{name}: {action.partition(':')[0]}: {error}: {reason}"] += 1
    findings = check(replace(plan, unprivileged=False), promised, drain=True)
    report.take(Path(plan.folder).name, findings)
    report.close_store(promised, findings)
    _tidy(Path(plan.folder), findings)


def tear_logs(starter: Starter, folder: Path, count: int, seed: int, report: Report) -> None:
    """Kills a writer and damages its write-ahead log. Exactly the pages before the damage must be readable then.

    SQLite ignores everything from the first invalid frame on, so pages after the damage must be missing.
    """
    chooser = random.Random(seed)
    plan = Plan(str(folder / "torn"), analyst="scripted", settings=SMALL, actions=("add", "flush"))
    before = Promised()
    _run(starter, plan, before, report)
    actions = (*["add", "add", "messages", "flush", "answer"] * 6, *["pause"] * 1000)
    running = starter.start(replace(plan, actions=actions, first=before.next_number(plan.writer)))
    running.wait_for_more("added", actions.count("add") + actions.count("messages") + actions.count("answer"))
    running.kill()
    report.kills += 1
    promised = Promised(dict(before.pages), answers=set(before.answers))
    report.problems += promised.process_lines(plan.writer, running.output_lines())
    log = (Path(plan.folder) / f"{DATABASE}-wal").read_bytes()
    for number in range(count):
        torn = _torn(log, chooser, number)
        damaged = replace(plan, folder=str(folder / f"torn-{number}"))
        shutil.copytree(plan.folder, damaged.folder)
        (Path(damaged.folder) / f"{DATABASE}-wal").write_bytes(torn)
        if number % 2:
            (Path(damaged.folder) / f"{DATABASE}-shm").unlink()
        _check_torn(damaged, promised, _first_difference(log, torn), report)


def _torn(log: bytes, chooser: random.Random, number: int) -> bytes:
    """Returns a damaged write-ahead log: truncated, or partly replaced by random bytes or zeros."""
    place = chooser.choice((0, 17, 32, len(log) - 1, chooser.randrange(len(log)), chooser.randrange(len(log))))
    rest = len(log) - place
    hole = chooser.randbytes(min(rest, 100)) + log[place + 100 :]
    ends = (b"", chooser.randbytes(rest), hole, bytes(rest))
    return log[:place] + ends[number % len(ends)]


def _first_difference(one: bytes, other: bytes) -> int:
    return next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(other))


def _check_torn(plan: Plan, promised: Promised, damaged_from: int, report: Report) -> None:
    kept = {key: sum_ for key, sum_ in promised.pages.items() if promised.log_bytes.get(key, 0) <= damaged_from}
    rest = Promised(kept, [], set(promised.pages) - set(kept), promised.answers & set(kept))
    findings = check(plan, rest, drain=True)
    report.take(f"{Path(plan.folder).name}, damaged from byte {damaged_from}", findings)
    report.logs_torn += 1
    report.torn_pages_lost += len(promised.pages) - len(kept)
    _tidy(Path(plan.folder), findings)


def delete_indexes(starter: Starter, folder: Path, report: Report) -> None:
    """Deletes the index of the write-ahead log after a kill, and during a run that is killed later."""
    for name, actions in (("killed", ()), ("running", (f"unlink:{DATABASE}-shm",))):
        plan = Plan(
            str(folder / f"index-{name}"),
            settings=SMALL,
            actions=(*["add"] * 5, "flush", *actions, *["add"] * 5, "flush", "answer", *["pause"] * 1000),
        )
        running = starter.start(plan)
        running.wait_for_more("added", 11)
        running.kill()
        report.kills += 1
        promised = Promised()
        report.problems += promised.process_lines(plan.writer, running.output_lines())
        (Path(plan.folder) / f"{DATABASE}-shm").unlink(missing_ok=True)
        findings = check(plan, promised, drain=True)
        report.take(Path(plan.folder).name, findings)
        report.close_store(promised, findings)


def _tidy(folder: Path, findings: Findings) -> None:
    """Deletes the databases in which no problem was found."""
    if not findings.problems:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def crash_test_environment(place: Path | None = None) -> Iterator[tuple[Starter, Path]]:
    """Yields a starter of writers and a world-readable temporary folder. Closes and deletes them at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="memoryos-crash-", dir=place)))
        folder.chmod(0o755)
        yield stack.enter_context(Starter(folder)), folder


def main() -> int:
    """Runs all crash tests. Returns 1 if a problem was found."""
    arguments = _arguments()
    report = Report()
    started = time.monotonic()
    with crash_test_environment(arguments.folder) as (starter, folder):
        kill_at_random(starter, folder, arguments.kills, arguments.seed, report)
        every = {"statement": arguments.every, "before commit": 1, "after commit": 1}
        for analyst in ("scripted", "local"):
            kill_at_fail_points(starter, folder, report, analyst=analyst, every=every)
        kill_while_forgetting(starter, folder, report, every=every)
        fill_disks(starter, folder, report, range(0, 60_000, 3_000))
        protect_files(starter, folder, report)
        tear_logs(starter, folder, arguments.tears, arguments.seed, report)
        delete_indexes(starter, folder, report)
    report.seconds = time.monotonic() - started
    if report.found != report.acknowledged + report.unacknowledged:
        report.problems.append("the number of stored pages differs from acknowledged + unacknowledged")
    _show(report)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        body = {"command": "python -m benchmarks.crash " + " ".join(sys.argv[1:])} | vars(report)
        arguments.out.write_text(json.dumps(body, indent=1), encoding="utf-8")
    return 1 if report.problems else 0


def _show(report: Report) -> None:
    rows = {name: value for name, value in vars(report).items() if isinstance(value, (int, float))}
    for name, value in rows.items():
        sys.stdout.write(f"{name.replace('_', ' '):<30}{round(value, 1):>9}\n")
    for title, counts in (("interrupted steps", report.places), ("writes refused", report.writes_refused)):
        sys.stdout.write(f"{title}\n")
        for name, count in counts.most_common():
            sys.stdout.write(f"{count:>7}  {name}\n")
    for each in report.problems:
        sys.stdout.write(f"PROBLEM  {each}\n")
    sys.stdout.write(f"{'no problems' if not report.problems else f'{len(report.problems)} problems'}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=500, help="number of kills at random moments, in addition to the fail points"
    )
    parser.add_argument("--every", type=int, default=1, help="test only every n-th statement as a fail point")
    parser.add_argument("--tears", type=int, default=100, help="number of damaged write-ahead logs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--folder", type=Path, default=None, help="folder for the stores (default: the system's temporary folder)"
    )
    parser.add_argument("--out", type=Path, default=None, help="JSON file for the report")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
