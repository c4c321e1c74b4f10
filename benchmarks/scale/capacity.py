"""Estimates how many machines a number of users needs, from measured costs: ``python -m benchmarks.scale.capacity``.

A model multiplies the rates of requests in the busiest hour by the costs, for cores that are 60% busy. A simulation of
ten minutes on these machines checks the model. In it, sessions start at random, each machine has an LRU cache of working
sets (searchable copies of memories), and background work runs when no request waits.
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
from benchmarks.scale.simulation import Load, simulate

USERS = (10**4, 10**6, 10**8)
PAGES_A_DAY = 10
RECALLS_A_DAY = 10
BUSIEST_HOUR = 0.12
"""Share of the day's requests in the busiest hour."""
DAYS_KEPT = 365
PAGES_A_SESSION = 10
CORES = 16
MEMORY_BYTES = 64e9
SHARE_FOR_WORKING_SETS = 0.5
DISK_BYTES = 8e12
COMMITS_A_SECOND = 2_000
"""Durable commits per second of one disk or one PostgreSQL server, without group commit."""
UTILISATION = 0.6
SIMULATED_MACHINES = 4


@dataclass(frozen=True)
class Need:
    """The resources that a number of users needs in the busiest hour.

    Attributes:
        users: Number of users.
        pages_a_second: Pages added per second.
        recalls_a_second: Recalls per second.
        cores: Busy cores, foreground and background.
        machines_by_cores: Machines of 16 cores at 60% utilisation.
        machines_by_memory: Machines whose memory holds the working sets of all active users.
        machines_by_disk: Machines whose disks hold the pages of one year.
        databases_by_commits: PostgreSQL nodes or disks, without group commit.
        breaks_first: Resource that requires the largest number.
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
        """Number of machines for recalls and consolidation, without the machines of the databases."""
        return max(self.machines_by_cores, self.machines_by_memory)


def need(users: int, costs: Costs) -> Need:
    """Returns the resources that a number of users needs."""
    pages = users * PAGES_A_DAY * BUSIEST_HOUR / 3600
    recalls = users * RECALLS_A_DAY * BUSIEST_HOUR / 3600
    sessions = pages / PAGES_A_SESSION
    held = DAYS_KEPT * PAGES_A_DAY
    load_ms = costs.load_ms / 50 * held
    cores = (pages * costs.page_ms + recalls * costs.recall_ms + sessions * load_ms) / 1000
    talking = sessions * Load.session_seconds
    by = {
        "cores": math.ceil(cores / CORES / UTILISATION),
        "memory": math.ceil(talking * held * costs.working_bytes / (MEMORY_BYTES * SHARE_FOR_WORKING_SETS)),
        "disk": math.ceil(users * held * costs.disk_bytes / DISK_BYTES),
        "commits": math.ceil(pages * costs.commits / COMMITS_A_SECOND),
    }
    first = max(by, key=by.__getitem__)
    return Need(users, pages, recalls, cores, by["cores"], by["memory"], by["disk"], by["commits"], first)


def main() -> None:
    """Measures the costs, and prints the results of the model and of the simulation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--costs", type=Path, help="JSON file with costs of an earlier run (default: measure them).")
    parser.add_argument("--json", type=Path, help="JSON file for costs, model and simulation.")
    arguments = parser.parse_args()
    if arguments.costs:
        costs = Costs(**json.loads(arguments.costs.read_text(encoding="utf-8"))["costs"])
    else:
        with tempfile.TemporaryDirectory() as folder:
            costs = measure_costs(Path(folder))
    needs = [need(users, costs) for users in USERS]
    figures: dict[str, Any] = {
        "costs": asdict(costs),
        "model": [asdict(each) | {"machines": each.machines} for each in needs],
    }
    print(json.dumps(figures, indent=2))
    figures["simulation"] = _simulate(needs[1], costs)
    print(json.dumps(figures["simulation"], indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _simulate(asked: Need, costs: Costs) -> dict[str, Any]:
    """Simulates a few of the machines, with their share of the users, in the busiest hour."""
    share = SIMULATED_MACHINES / asked.machines
    busy = Load(
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
