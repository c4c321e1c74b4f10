"""Routes for the inspector only: the days of a memory and the state of its background work."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import Query
from pydantic import Field

from memoryos.doors import shapes
from memoryos.doors.http.authentication import Audit, ScopedMemory
from memoryos.doors.http.routes.route_base import MAX_SEQ, USER, Limit, cut_to_limit, router
from memoryos.memory import Memoryos
from memoryos.storage.scopes import ScopeState

__all__ = ["routes"]

routes = router("inspector")


class Day(shapes.Shape):
    """A day with pages."""

    day: date = Field(description="In UTC.")
    pages: int


class Days(shapes.Shape):
    """All days with pages, oldest first."""

    days: list[Day]


class DayPages(shapes.Shape):
    """Some pages of one day, in log order."""

    pages: list[shapes.Page]
    next_after_seq: int | None = Field(description="`after_seq` of the next request; null at the end.")


class Work(shapes.Shape):
    """The state of the background work on one memory."""

    now: shapes.Time = Field(description="The server's time, for comparison with the other times.")
    background: bool = Field(description="Whether a background worker is enabled.")
    working: bool = Field(description="Whether a live worker has a lease on this memory.")
    waiting: int = Field(description="Memories of this server in the worker's queue.")
    last_page_at: shapes.Time | None = Field(description="When the newest page was added.")
    failures: int = Field(description="Consecutive failures of the analyst.")
    retry_at: shapes.Time | None = Field(description="Time of the worker's next attempt.")
    last_error: str | None = Field(description="Last error of the analyst, until it succeeds again.")


@routes.get(f"{USER}/days")
def list_days(memory: ScopedMemory, audit: Audit) -> Days:
    """Lists the days with pages, oldest first, with the number of pages."""
    days = memory.days()
    audit.record("read", memory, count=len(days))
    return Days(days=[Day(day=day, pages=count) for day, count in days])


@routes.get(f"{USER}/days/{{day}}/pages")
def list_pages_of_day(
    memory: ScopedMemory,
    day: date,
    audit: Audit,
    *,
    limit: Limit = 50,
    after_seq: Annotated[int, Query(ge=0, le=MAX_SEQ, description="Only pages after this one.")] = 0,
) -> DayPages:
    """Lists the pages of one day (UTC) in log order."""
    pages, last = cut_to_limit(memory.pages_of_day(day, limit + 1, after_seq=after_seq), limit)
    audit.record("read", memory, count=len(pages))
    return DayPages(
        pages=[shapes.Page.model_validate(page) for page in pages],
        next_after_seq=None if last is None else last.seq,
    )


@routes.get(f"{USER}/work")
def get_work(memory: ScopedMemory) -> Work:
    """Returns whether a worker processes the memory, its failures, the last error, and the next attempt."""
    engine = memory.engine
    now = engine.clock()
    state, is_leased = _state_of(memory, now)
    return Work(
        now=now,
        background=engine.config.background,
        working=is_leased,
        waiting=engine.worker.waiting(),
        last_page_at=None if state is None else state.touched_at,
        failures=0 if state is None else state.attempts,
        retry_at=None if state is None else state.retry_at,
        last_error=None if state is None else state.last_error,
    )


def _state_of(memory: Memoryos, now: datetime) -> tuple[ScopeState | None, bool]:
    """Returns the state of a memory's scope, and whether a live worker has an unexpired lease on it."""
    store = memory.engine.store
    scope_id = store.scopes.find(memory.scope)
    if scope_id is None:
        return None, False
    with store.snapshot(scope_id):
        state, lease = store.scopes.state(scope_id), store.scopes.lease(scope_id)
    is_leased = lease is not None and lease.until >= now and store.liveness.is_alive(scope_id, lease.owner)
    return state, is_leased
