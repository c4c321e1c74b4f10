"""The command ``memoryos worker``: a process that serves no requests and only processes the new pages of a store.

Several workers and servers can use the same database.
"""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING

import click

from memoryos.engine import MemoryEngine
from memoryos.errors import StoreError
from memoryos.language.passages import vector_model
from memoryos.optional_methods import reads_immediately
from memoryos.updating.scope_poller import ScopePoller

if TYPE_CHECKING:
    from memoryos.doors.session import Session

__all__ = ["worker"]

_log = logging.getLogger(__name__)


@click.command()
@click.option(
    "--poll-seconds", type=click.FloatRange(0.05, 3600), default=2.0, show_default=True, help="Poll interval (seconds)."
)
@click.pass_obj
def worker(session: Session, poll_seconds: float) -> None:
    """Process the new pages of all users until SIGTERM or Ctrl-C.

    The worker computes vectors of the pages, assigns the pages to segments, and updates facts and profiles.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with MemoryEngine(session.config()) as engine:
        poller = ScopePoller(
            engine.store,
            engine.worker,
            engine.config,
            model=vector_model(engine.embedder.name),
            redoes=engine.updater.has_fallback,
            immediate=reads_immediately(engine.analyst),
            clock=engine.clock,
        )
        poller.poll()
        click.echo(f"worker started; polling the store for new pages every {poll_seconds:g} s")
        while not stopping.is_set():
            try:
                poller.run(stopping, poll_seconds)
            except StoreError as error:
                _log.warning("can't read the store: %s; retrying in %g s", error, poll_seconds)
                stopping.wait(poll_seconds)
