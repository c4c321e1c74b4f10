"""Routes that only the inspector uses: pages by day, and the state of background processing."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import Query
from pydantic import Field

from memoryos.doors import shapes
from memoryos.doors.http.authentication import Audit, ScopedMemory
from memoryos.doors.http.routes.route_base import MAX_SEQ, USER, Limit, cut_to_limit, router
from memoryos.doors.http.server_state import CurrentServer
from memoryos.model import Scope
from memoryos.storage.scopes import ScopeState
from memoryos.storage.store import Store

__all__ = ["routes"]

routes = router("inspector")


class Day(shapes.Shape):
    """A day with at least one page, and the number of its pages."""

    day: date = Field(description="Day of the sender.")
    pages: int


class Days(shapes.Shape):
    """All days with at least one page, oldest first."""

    days: list[Day]


class DayPages(shapes.Shape):
    """One part of the paginated list of a day's pages, in the order in which they were stored."""

    pages: list[shapes.Page]
    next_after_seq: int | None = Field(description="`after_seq` of the next request; null at the end.")


class Work(shapes.Shape):
    """The state of the background processing of one memory."""

    now: shapes.Time = Field(description="The server's time, for comparison with the other times.")
    background: bool = Field(description="Whether a background worker is enabled.")
    working: bool = Field(description="Whether a worker processes this memory now.")
    waiting: int = Field(description="Number of memories in the queue of this server's worker.")
    last_page_at: shapes.Time | None = Field(description="Time at which the newest page was stored.")
    failures: int = Field(description="Number of consecutive failures of the analyst.")
    retry_at: shapes.Time | None = Field(description="Time of the worker's next attempt.")
    last_error: str | None = Field(description="Last error of the analyst, until it succeeds again.")


@routes.get(f"{USER}/days")
def list_days(memory: ScopedMemory, audit: Audit) -> Days:
    """Lists all days with at least one page, oldest first, with the number of pages of each day."""
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
    """Lists the pages of one day (of the sender) in the order in which they were stored."""
    pages, last = cut_to_limit(memory.pages_of_day(day, limit + 1, after_seq=after_seq), limit)
    audit.record("read", memory, count=len(pages))
    return DayPages(
        pages=[shapes.Page.model_validate(page) for page in pages],
        next_after_seq=None if last is None else last.seq,
    )


@routes.get(f"{USER}/work")
def get_work(memory: ScopedMemory, server: CurrentServer) -> Work:
    """Returns the state of the background processing of a memory, with the last error and the next attempt."""
    engine = server.engine()
    now = engine.clock()
    state, is_leased = _state_of(engine.store, memory.scope, now)
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


def _state_of(store: Store, scope: Scope, now: datetime) -> tuple[ScopeState | None, bool]:
    """Returns the stored state of a memory, and whether a running worker has a valid lease for the memory."""
    scope_id = store.scopes.find(scope)
    if scope_id is None:
        return None, False
    with store.snapshot(scope_id):
        state, lease = store.scopes.state(scope_id), store.scopes.lease(scope_id)
    is_leased = lease is not None and lease.until >= now and store.liveness.is_alive(scope_id, lease.owner)
    return state, is_leased
