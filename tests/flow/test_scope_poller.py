"""The scope poller of the worker process: due scopes of all processes are queued, other scopes are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta

from memoryos.engine import MemoryEngine
from memoryos.language.passages import vector_model
from memoryos.storage.idempotency import RETENTION_DAYS
from memoryos.storage.lease import Lease
from memoryos.testing import FixedClock, ScriptedAnalyst
from memoryos.updating.scope_poller import ScopePoller
from tests.conftest import EngineMaker
from tests.waiting import wait_until

SETTINGS = {
    "short_term_capacity": 1,
    "consolidation_batch": 3,
    "mid_term_heat_threshold": 1.0,
    "reading_delay_seconds": 60,
}


def poller_of(engine: MemoryEngine, *, immediate: bool = False) -> ScopePoller:
    return ScopePoller(
        engine.store,
        engine.worker,
        engine.config,
        model=vector_model(engine.embedder.name),
        redoes=False,
        immediate=immediate,
        clock=engine.clock,
    )


def add(engine: MemoryEngine, user: str, count: int) -> None:
    for number in range(count):
        engine.memory(user).add_memory(f"I bake rye bread {number}.", "Nice.")


def due(engine: MemoryEngine) -> tuple[int, int]:
    found = engine.store.totals.backlog(vector_model(engine.embedder.name))
    return found.due_pages, found.pages_without_vector


def test_full_batches_are_due_at_once_and_incomplete_ones_when_idle(
    make_engine: EngineMaker, clock: FixedClock
) -> None:
    writer, worker = make_engine(**SETTINGS), make_engine(analyst=ScriptedAnalyst(), **SETTINGS)
    poller = poller_of(worker)
    assert poller.poll() == 0
    for user, count in (("ann", 7), ("tom", 2)):
        add(writer, user, count)
    assert poller.poll() == 2
    wait_until(lambda: due(worker) == (3, 0))
    assert poller.poll() <= 2, "scopes changed by the work are queued once more"
    wait_until(lambda: worker.worker.waiting() == 0)
    wait_until(lambda: poller.poll() == 0)
    assert due(worker) == (3, 0)
    clock.advance(seconds=61)
    wait_until(lambda: poller.poll() >= 0 and due(worker) == (0, 0))
    wait_until(lambda: poller.poll() == 0)


def test_an_analyst_that_reads_immediately_gets_incomplete_batches(make_engine: EngineMaker) -> None:
    writer, worker = make_engine(**SETTINGS), make_engine(**SETTINGS)
    add(writer, "tom", 1)
    assert poller_of(worker, immediate=True).poll() == 1
    wait_until(lambda: due(worker) == (0, 0))
    assert writer.memory("tom").knowledge()


def test_held_and_unchanged_scopes_are_skipped(make_engine: EngineMaker, clock: FixedClock) -> None:
    engine = make_engine(**SETTINGS)
    add(engine, "tom", 5)
    scope_id = str(engine.store.scopes.find(engine.memory("tom").scope))
    engine.store.scopes.record_failure(scope_id, "away", clock() + timedelta(seconds=30))
    assert poller_of(engine).poll() == 0
    clock.advance(seconds=31)
    lease = Lease(scope_id, "somebody of another kind", clock() + timedelta(minutes=5))
    assert engine.store.scopes.claim(lease, clock())
    assert poller_of(engine).poll() == 0
    clock.advance(minutes=6)
    assert poller_of(engine).poll() == 1
    wait_until(lambda: due(engine) == (0, 0))


def test_expired_notes_of_an_inactive_scope_are_deleted(make_engine: EngineMaker, clock: FixedClock) -> None:
    writer, engine = make_engine(**SETTINGS), make_engine(**SETTINGS)
    memory = writer.memory("tom")
    memory.add_memory("I bake rye bread.", idempotency_key="one")
    memory.flush()
    poller = poller_of(engine)
    assert poller.poll() == 0
    clock.advance(days=RETENTION_DAYS, seconds=1)
    assert poller.poll() == 1
    wait_until(lambda: not list(engine.store.due.find(poller._due(clock()), clock())))
    assert not writer.store.idempotency.delete_expired(str(writer.store.scopes.find(memory.scope)), clock())


def test_run_polls_until_its_event_is_set(make_engine: EngineMaker) -> None:
    engine = make_engine(**SETTINGS)
    told = threading.Event()
    thread = threading.Thread(target=poller_of(engine).run, args=(told, 0.02))
    thread.start()
    add(engine, "tom", 5)
    wait_until(lambda: due(engine)[1] == 0)
    told.set()
    thread.join(30)
    assert not thread.is_alive()


def test_worker_command_does_due_work_of_others_and_ends_on_signal(make_engine: EngineMaker, place: str) -> None:
    writer = make_engine(**SETTINGS)
    for user in ("ann", "tom"):
        add(writer, user, 4)
    environment = {
        **os.environ, "MEMORYOS_DATABASE_URL": place, "MEMORYOS_SHORT_TERM_CAPACITY": "1", "MEMORYOS_CONSOLIDATION_BATCH": "3",
    }  # fmt: skip
    command = [sys.executable, "-m", "memoryos", "worker", "--poll-seconds", "0.1"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "polling the store for new pages" in process.stdout.readline()
        wait_until(lambda: writer.store.totals.backlog("minilm").due_pages == 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert writer.store.verify() == []
