"""``memoryos worker``: a process that only consolidates, beside any number of servers on the same database."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING

import click

from memoryos.engine import MemoryEngine
from memoryos.errors import StoreError
from memoryos.updating.scope_poller import ScopePoller

if TYPE_CHECKING:
    from memoryos.doors.session import Session

__all__ = ["worker"]

_log = logging.getLogger(__name__)


@click.command()
@click.option(
    "--poll-seconds", type=click.FloatRange(0.05, 3600), default=2.0, show_default=True, help="Pause between two looks."
)
@click.pass_obj
def worker(session: Session, poll_seconds: float) -> None:
    """Embed and consolidate what is due in any scope, until told to end (SIGTERM, Ctrl-C)."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    with MemoryEngine(session.config()) as engine:
        poller = ScopePoller(
            engine.store,
            engine.worker,
            engine.config,
            model=engine.embedder.name,
            redoes=engine.updater.has_fallback,
            clock=engine.clock,
        )
        poller.poll()
        click.echo("the worker looks for due scopes")
        while not told.is_set():
            try:
                poller.run(told, poll_seconds)
            except StoreError as error:
                _log.warning("the store can't be read: %s; trying again", error)
                told.wait(poll_seconds)
