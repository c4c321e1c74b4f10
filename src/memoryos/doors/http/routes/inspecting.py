"""Routes of the inspector alone: the days of a memory, and the state of its background work."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import Query, Request
from pydantic import Field

from memoryos.doors import shapes
from memoryos.doors.http.audit import audit
from memoryos.doors.http.callers import AnyCaller, ScopedMemory
from memoryos.doors.http.routes.common import MAX_SEQ, USER, Limit, part, router
from memoryos.doors.http.serving import TheServing
from memoryos.model import Scope
from memoryos.storage.scopes import ScopeState
from memoryos.storage.store import Store

__all__ = ["routes"]

routes = router("inspector")


class Day(shapes.Shape):
    """A day on which something was said."""

    day: date = Field(description="In UTC.")
    pages: int


class Days(shapes.Shape):
    """Every day on which something was said, oldest first."""

    days: list[Day]


class DayPages(shapes.Shape):
    """A part of the pages of one day, in the order of the log."""

    pages: list[shapes.Page]
    next_after_seq: int | None = Field(description="`after_seq` of the next part; null when there is none.")


class Work(shapes.Shape):
    """The state of the background work on one memory."""

    now: shapes.Time = Field(description="The server's time; the times here are to be compared with it.")
    background: bool = Field(description="Whether a worker does what is due by itself.")
    working: bool = Field(description="Whether a living worker holds this memory now.")
    waiting: int = Field(description="Memories of this server that wait for its worker.")
    last_page_at: shapes.Time | None = Field(description="When the newest page was added.")
    failures: int = Field(description="Failures of the analyst in a row.")
    retry_at: shapes.Time | None = Field(description="Before this time the worker leaves it alone.")
    last_error: str | None = Field(description="What the analyst said last, while it fails.")


@routes.get(f"{USER}/days")
def list_days(memory: ScopedMemory, request: Request, caller: AnyCaller) -> Days:
    """Lists the days on which something was said, with how many pages each has."""
    days = memory.days()
    audit(request, caller, "read", memory, count=len(days))
    return Days(days=[Day(day=day, pages=count) for day, count in days])


@routes.get(f"{USER}/days/{{day}}/pages")
def list_pages_of_day(
    memory: ScopedMemory,
    day: date,
    request: Request,
    caller: AnyCaller,
    *,
    limit: Limit = 50,
    after_seq: Annotated[int, Query(ge=0, le=MAX_SEQ, description="Only pages behind this one.")] = 0,
) -> DayPages:
    """Lists the pages of one day (UTC) in the order of the log."""
    pages, last = part(memory.pages_of_day(day, limit + 1, after_seq=after_seq), limit)
    audit(request, caller, "read", memory, count=len(pages))
    return DayPages(
        pages=[shapes.Page.model_validate(page) for page in pages],
        next_after_seq=None if last is None else last.seq,
    )


@routes.get(f"{USER}/work")
def get_work(memory: ScopedMemory, serving: TheServing) -> Work:
    """Returns whether a worker is at it, and what it met: failures, the last error, when it tries again."""
    engine = serving.engine()
    now = engine.clock()
    state, is_held = _state_of(engine.store, memory.scope, now)
    return Work(
        now=now,
        background=engine.config.background,
        working=is_held,
        waiting=engine.worker.waiting(),
        last_page_at=None if state is None else state.touched_at,
        failures=0 if state is None else state.attempts,
        retry_at=None if state is None else state.retry_at,
        last_error=None if state is None else state.last_error,
    )


def _state_of(store: Store, scope: Scope, now: datetime) -> tuple[ScopeState | None, bool]:
    """Returns how far a memory's scope is, and whether a living worker holds an unexpired lease on it."""
    scope_id = store.scopes.find(scope)
    if scope_id is None:
        return None, False
    with store.snapshot(scope_id):
        state, lease = store.scopes.state(scope_id), store.scopes.lease(scope_id)
    is_held = lease is not None and lease.until >= now and store.presence.is_present(scope_id, lease.owner)
    return state, is_held
