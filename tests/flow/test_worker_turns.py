"""Turns of the worker: a backlog of one user delays another user by a bounded number of steps."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from memoryos.engine import MemoryEngine
from memoryos.inputs import read_draft
from memoryos.testing import HashEmbedder
from memoryos.updating import worker as worker_module
from memoryos.updating.schedule import Schedule
from memoryos.updating.worker import NICENESS, TURN_STEPS, Worker
from tests.conftest import EngineMaker
from tests.waiting import cpu_seconds, wait_until


@pytest.mark.kinds("sqlite")
@pytest.mark.parametrize("idle", [False, True])
def test_backlog_of_one_user_delays_others_by_one_turn(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch, idle: bool
) -> None:
    monkeypatch.setattr(worker_module, "TURN_SECONDS", 1e9)
    engine = make_engine(short_term_capacity=0, consolidation_batch=3)
    now = engine.clock()
    ids = {user: engine.memory(user)._handle.open() for user in ("flood", "other")}
    for user, count in (("flood", 5_000), ("other", 3)):
        drafts = [read_draft(f"I bake bread {n}.", "", None, None, now=now) for n in range(count)]
        engine.store.log.append(ids[user], drafts, now)
    worker = Worker(engine.updater, engine.store, engine.config, engine.modules.maintenance, clock=engine.clock)
    monkeypatch.setattr(worker, "_start", lambda: None)
    served: list[str] = []
    worker.wake_all([ids["flood"], ids["other"]], idle=idle)
    while ids["other"] not in served or due(engine, ids["other"]):
        with worker._changed:
            scope_id, everything = worker._next()
        monkeypatch.setattr(worker, "_wait_for_quiet", lambda scope_id=scope_id: served.append(scope_id))
        worker._drain(scope_id, everything=everything)
        assert len(served) <= 5 * TURN_STEPS
    assert served[: TURN_STEPS + 1] == [ids["flood"]] * TURN_STEPS + [ids["other"]]
    assert due(engine, ids["flood"])
    with worker._changed:
        assert worker._next() == (ids["flood"], idle is not False), "the scope is queued again"


def due(engine: MemoryEngine, scope_id: str) -> int:
    return engine.store.log.count_due(scope_id)


def test_turn_ends_at_its_time_limit(make_engine: EngineMaker) -> None:
    engine = make_engine(short_term_capacity=0, consolidation_batch=1)
    memory = engine.memory("ann")
    for number in range(5):
        memory.add_memory(f"I bake bread {number}.")

    def turn(max_seconds: float) -> bool:
        return engine.updater.drain_turn(
            memory._handle.open(), everything=True, lease_timeout_seconds=1, before_step=lambda: None, max_steps=1_000,
            max_seconds=max_seconds,
        )  # fmt: skip

    assert not turn(-1)
    assert turn(1e9)


def test_queue_operations_do_not_depend_on_the_queue_length() -> None:
    def fill_and_empty(count: int) -> None:
        schedule = Schedule()
        for number in range(count):
            schedule.move(f"scope {number}", 0.0)
        assert [schedule.take() for _ in range(count)] == [f"scope {number}" for number in range(count)]

    # n log n would be about 22 times as long, quadratic time 256 times.
    assert cpu_seconds(lambda: fill_and_empty(64_000)) < 80 * cpu_seconds(lambda: fill_and_empty(4_000))


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["add", "move", "take"]), st.integers(0, 9))))
def test_schedule_returns_the_earliest_due_scope(steps: list[tuple[str, str, int]]) -> None:
    schedule, known = Schedule(), dict[str, float]()
    for scope_id, action, at in steps:
        if action == "take":
            assert schedule.next_at() == min(known.values(), default=None)
            if known:
                taken = schedule.take()
                assert known.pop(taken) <= min(known.values(), default=10)
            continue
        if action == "move" or scope_id not in known:
            known[scope_id] = at
        (schedule.add if action == "add" else schedule.move)(scope_id, at)
        assert len(schedule) == len(known)


def test_repeated_rescheduling_keeps_the_heap_small() -> None:
    schedule = Schedule()
    for number in range(10_000):
        schedule.move("busy", number)
    assert len(schedule._heap) == 1
    assert schedule.next_at() == 9_999


@pytest.mark.kinds("sqlite")
def test_worker_has_lower_priority_than_requests(make_engine: EngineMaker) -> None:
    class Recording(HashEmbedder):
        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            seen[threading.current_thread().name] = niceness()
            return super().embed(texts)

    seen: dict[str, int] = {}
    memory = make_engine(embedder=Recording(), background=True).memory("ann")
    memory.add_memory("I bake bread.")
    wait_until(lambda: "memoryos-worker" in seen)
    assert seen["memoryos-worker"] == niceness() + (NICENESS if sys.platform == "linux" else 0)


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
