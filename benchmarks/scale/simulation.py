"""Simulates servers in their busiest hour, event by event, with measured costs."""

from __future__ import annotations

import heapq
import random
from collections import OrderedDict, deque
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.scale.costs import Costs

SECONDS = 600.0
WARM_UP_SECONDS = 300.0
SEED = 5
LOADED_PAGES = 50
"""Number of pages of the working set whose loading time was measured."""


@dataclass(frozen=True)
class Load:
    """The requests of the simulated users.

    Attributes:
        sessions_a_second: New sessions per second.
        pages_a_session: Exchanges per session, at random times.
        recalls_a_page: Recalls per exchange.
        pages_held: Pages per memory.
        users: Number of users.
    """

    session_seconds: ClassVar[float] = 300.0

    sessions_a_second: float
    pages_a_session: int
    recalls_a_page: float
    pages_held: int
    users: int


class _Machine:
    """A simulated machine: cores, an LRU cache of working sets, a queue of requests and a queue of background work."""

    def __init__(self, cores: int, memory_bytes: float) -> None:
        self.free = cores
        self.memory_bytes = memory_bytes
        self.front: deque[tuple[float, float]] = deque()
        self.back: deque[tuple[float, float]] = deque()
        self.held: OrderedDict[int, float] = OrderedDict()
        self.busy_ms = 0.0

    def touch(self, user: int, size: float) -> bool:
        """Marks a working set as used. Returns whether it was in the cache."""
        is_warm = user in self.held
        self.held[user] = size
        self.held.move_to_end(user)
        while len(self.held) * size > self.memory_bytes:
            self.held.popitem(last=False)
        return is_warm


class _Simulation:
    """A simulation: the queue of events in order of time."""

    def __init__(self, load: Load, costs: Costs, servers: list[_Machine]) -> None:
        self.waited: list[float] = []
        self.recalls = 0
        self.cold = 0
        self._load = load
        self._costs = costs
        self._servers = servers
        self._chooser = random.Random(SEED)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()

    def run(self) -> None:
        """Processes events until the end of the simulated time."""
        self._push(0.0, self._session)
        while self._events:
            at, _, happens = heapq.heappop(self._events)
            if at > WARM_UP_SECONDS + SECONDS:
                return
            happens(at)

    def _push(self, at: float, happens: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at, next(self._order), happens))

    def _session(self, at: float) -> None:
        user = self._chooser.randrange(self._load.users)
        for _ in range(self._load.pages_a_session):
            self._push(at + self._chooser.uniform(0, self._load.session_seconds), partial(self._exchange, user))
        self._push(at + self._chooser.expovariate(self._load.sessions_a_second), self._session)

    def _exchange(self, user: int, at: float) -> None:
        machine = self._servers[user % len(self._servers)]
        held = self._load.pages_held
        for _ in range(round(self._load.recalls_a_page)):
            is_warm = machine.touch(user, held * self._costs.working_bytes)
            if at > WARM_UP_SECONDS:
                self.recalls += 1
                self.cold += not is_warm
            load_ms = 0.0 if is_warm else self._costs.load_ms / LOADED_PAGES * held
            machine.front.append((at, self._chooser.expovariate(1) * self._costs.recall_ms + load_ms))
        machine.front.append((at, self._costs.add_ms))
        machine.back.append((at, self._costs.embed_ms + self._costs.consolidate_ms))
        self._start(machine, at)

    def _start(self, machine: _Machine, at: float) -> None:
        while machine.free and (machine.front or machine.back):
            is_front = bool(machine.front)
            asked, service = (machine.front if is_front else machine.back).popleft()
            machine.free -= 1
            self._push(at + service / 1000, partial(self._done, machine, service))
            if is_front and at > WARM_UP_SECONDS:
                self.waited.append((at - asked) * 1000 + service)

    def _done(self, machine: _Machine, service: float, at: float) -> None:
        machine.free += 1
        machine.busy_ms += service if at > WARM_UP_SECONDS else 0.0
        self._start(machine, at)


def simulate(load: Load, costs: Costs, *, machines: int, cores: int, memory_bytes: float) -> dict[str, Any]:
    """Simulates five minutes of warm-up and ten minutes of measurement.

    Returns:
        Utilisation, latencies in ms, the share of cold recalls, and the length of the background queue at the end.
    """
    servers = [_Machine(cores, memory_bytes) for _ in range(machines)]
    simulation = _Simulation(load, costs, servers)
    simulation.run()
    waited = sorted(simulation.waited)
    return {
        "simulated_utilisation": round(sum(each.busy_ms for each in servers) / 1000 / SECONDS / machines / cores, 3),
        "foreground_p50_ms": round(waited[len(waited) // 2], 1),
        "foreground_p99_ms": round(waited[int(len(waited) * 0.99)], 1),
        "cold_share": round(simulation.cold / max(1, simulation.recalls), 3),
        "background_waiting": sum(len(each.back) for each in servers),
        "requests": len(waited),
    }
