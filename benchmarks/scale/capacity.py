"""How many machines so many users need, from measured costs, checked by a simulation: ``python -m benchmarks.scale.capacity``.

The model is arithmetic: rates of the busiest hour times costs, with the cores kept busy for 60%. The simulation plays
ten minutes of that hour on the machines of the model, event by event: users come at random, talk for a while, and
leave; the working sets of a machine are an LRU of its memory; the background works when nothing else waits.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.scale.costs import Costs, measure_costs
from benchmarks.scale.simulation import Busy, simulate

USERS = (10**4, 10**6, 10**8)
PAGES_A_DAY = 10
RECALLS_A_DAY = 10
BUSIEST_HOUR = 0.12
"""Share of a day's work that falls into its busiest hour."""
DAYS_KEPT = 365
PAGES_A_SESSION = 10
CORES = 16
MEMORY_BYTES = 64e9
SHARE_FOR_WORKING_SETS = 0.5
DISK_BYTES = 8e12
COMMITS_A_SECOND = 2_000
"""Durable commits of one disk or one PostgreSQL; several threads share one."""
UTILISATION = 0.6
SIMULATED_MACHINES = 4


@dataclass(frozen=True)
class Need:
    """What so many users need in their busiest hour.

    Attributes:
        users: How many.
        pages_a_second: Written.
        recalls_a_second: Asked.
        cores: Busy ones, foreground and background.
        machines_by_cores: Of 16 cores at 60%.
        machines_by_memory: So that the working sets of all who talk at one time stay.
        machines_by_disk: So that a year of pages fits.
        databases_by_commits: PostgreSQL nodes or disks, without shared commits.
        breaks_first: Which of them asks for the most.
    """

    users: int
    pages_a_second: float
    recalls_a_second: float
    cores: float
    machines_by_cores: int
    machines_by_memory: int
    machines_by_disk: int
    databases_by_commits: int
    breaks_first: str

    @property
    def machines(self) -> int:
        """Machines that recall and consolidate; the disks are the databases'."""
        return max(self.machines_by_cores, self.machines_by_memory)


def need(users: int, costs: Costs) -> Need:
    """Returns what so many users need."""
    pages = users * PAGES_A_DAY * BUSIEST_HOUR / 3600
    recalls = users * RECALLS_A_DAY * BUSIEST_HOUR / 3600
    sessions = pages / PAGES_A_SESSION
    held = DAYS_KEPT * PAGES_A_DAY
    load_ms = costs.load_ms / 50 * held
    cores = (pages * costs.page_ms + recalls * costs.recall_ms + sessions * load_ms) / 1000
    talking = sessions * Busy.session_seconds
    by = {
        "cores": math.ceil(cores / CORES / UTILISATION),
        "memory": math.ceil(talking * held * costs.working_bytes / (MEMORY_BYTES * SHARE_FOR_WORKING_SETS)),
        "disk": math.ceil(users * held * costs.disk_bytes / DISK_BYTES),
        "commits": math.ceil(pages * costs.commits / COMMITS_A_SECOND),
    }
    first = max(by, key=by.__getitem__)
    return Need(users, pages, recalls, cores, by["cores"], by["memory"], by["disk"], by["commits"], first)


def main() -> None:
    """Measures the costs, prints the model and what the simulation says about it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--costs", type=Path, help="Costs that were measured before, as JSON; default: measured now.")
    parser.add_argument("--json", type=Path, help="Where costs, model and simulation are written.")
    arguments = parser.parse_args()
    if arguments.costs:
        costs = Costs(**json.loads(arguments.costs.read_text(encoding="utf-8"))["costs"])
    else:
        with tempfile.TemporaryDirectory() as folder:
            costs = measure_costs(Path(folder))
    needs = [need(users, costs) for users in USERS]
    told: dict[str, Any] = {
        "costs": asdict(costs),
        "model": [asdict(each) | {"machines": each.machines} for each in needs],
    }
    print(json.dumps(told, indent=2))
    told["simulation"] = _checked(needs[1], costs)
    print(json.dumps(told["simulation"], indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _checked(asked: Need, costs: Costs) -> dict[str, Any]:
    """Plays the share of some machines of a million users' busiest hour."""
    share = SIMULATED_MACHINES / asked.machines
    busy = Busy(
        sessions_a_second=asked.pages_a_second * share / PAGES_A_SESSION,
        pages_a_session=PAGES_A_SESSION,
        recalls_a_page=RECALLS_A_DAY / PAGES_A_DAY,
        pages_held=DAYS_KEPT * PAGES_A_DAY,
        users=round(asked.users * share),
    )
    memory = MEMORY_BYTES * SHARE_FOR_WORKING_SETS
    played = simulate(busy, costs, machines=SIMULATED_MACHINES, cores=CORES, memory_bytes=memory)
    return {"predicted_utilisation": round(asked.cores * share / SIMULATED_MACHINES / CORES, 3)} | played


if __name__ == "__main__":
    main()
