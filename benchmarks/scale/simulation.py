"""A simulation of servers in their busiest hour, event by event, with measured costs."""

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
"""Pages of the working set whose load was measured."""


@dataclass(frozen=True)
class Busy:
    """What users do.

    Attributes:
        sessions_a_second: How many begin to talk.
        pages_a_session: Exchanges of a session, spread over it.
        recalls_a_page: Recalls of an exchange.
        pages_held: Pages that each memory holds.
        users: How many there are.
    """

    session_seconds: ClassVar[float] = 300.0

    sessions_a_second: float
    pages_a_session: int
    recalls_a_page: float
    pages_held: int
    users: int


class _Machine:
    """Some cores, an LRU of working sets, and two queues: whoever waits for an answer goes first."""

    def __init__(self, cores: int, memory_bytes: float) -> None:
        self.free = cores
        self.memory_bytes = memory_bytes
        self.front: deque[tuple[float, float]] = deque()
        self.back: deque[tuple[float, float]] = deque()
        self.held: OrderedDict[int, float] = OrderedDict()
        self.busy_ms = 0.0

    def touch(self, user: int, size: float) -> bool:
        """Returns whether the working set was there; now it is."""
        is_warm = user in self.held
        self.held[user] = size
        self.held.move_to_end(user)
        while len(self.held) * size > self.memory_bytes:
            self.held.popitem(last=False)
        return is_warm


class _Hour:
    """What happens on the machines, in the order of time."""

    def __init__(self, busy: Busy, costs: Costs, servers: list[_Machine]) -> None:
        self.waited: list[float] = []
        self.recalls = 0
        self.cold = 0
        self._busy = busy
        self._costs = costs
        self._servers = servers
        self._chooser = random.Random(SEED)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()

    def play(self) -> None:
        """Plays until the end."""
        self._push(0.0, self._session)
        while self._events:
            at, _, happens = heapq.heappop(self._events)
            if at > WARM_UP_SECONDS + SECONDS:
                return
            happens(at)

    def _push(self, at: float, happens: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at, next(self._order), happens))

    def _session(self, at: float) -> None:
        user = self._chooser.randrange(self._busy.users)
        for _ in range(self._busy.pages_a_session):
            self._push(at + self._chooser.uniform(0, self._busy.session_seconds), partial(self._exchange, user))
        self._push(at + self._chooser.expovariate(self._busy.sessions_a_second), self._session)

    def _exchange(self, user: int, at: float) -> None:
        machine = self._servers[user % len(self._servers)]
        held = self._busy.pages_held
        for _ in range(round(self._busy.recalls_a_page)):
            is_warm = machine.touch(user, held * self._costs.working_bytes)
            if at > WARM_UP_SECONDS:
                self.recalls += 1
                self.cold += not is_warm
            load = 0.0 if is_warm else self._costs.load_ms / LOADED_PAGES * held
            machine.front.append((at, self._chooser.expovariate(1) * self._costs.recall_ms + load))
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


def simulate(busy: Busy, costs: Costs, *, machines: int, cores: int, memory_bytes: float) -> dict[str, Any]:
    """Plays five minutes to warm up and ten that count.

    Returns:
        Utilisation, latencies in ms, the share of cold recalls, what waits in the background at the end.
    """
    servers = [_Machine(cores, memory_bytes) for _ in range(machines)]
    hour = _Hour(busy, costs, servers)
    hour.play()
    waited = sorted(hour.waited)
    return {
        "simulated_utilisation": round(sum(each.busy_ms for each in servers) / 1000 / SECONDS / machines / cores, 3),
        "foreground_p50_ms": round(waited[len(waited) // 2], 1),
        "foreground_p99_ms": round(waited[int(len(waited) * 0.99)], 1),
        "cold_share": round(hour.cold / max(1, hour.recalls), 3),
        "background_waiting": sum(len(each.back) for each in servers),
        "requests": len(waited),
    }
