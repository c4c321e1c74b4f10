"""Routes for maintenance of one memory: statistics, LLM costs, processing of waiting pages, and rebuild."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from anyio.to_thread import run_sync
from fastapi import Query

from memoryos.doors import shapes
from memoryos.doors.http.authentication import Audit, ScopedMemory
from memoryos.doors.http.routes.route_base import USER, router
from memoryos.doors.http.server_state import CurrentServer

__all__ = ["routes"]

routes = router("upkeep")


class Costs(shapes.Shape):
    """LLM calls and tokens, oldest first; one entry for each day, purpose and model."""

    costs: list[shapes.Cost]


@routes.get(f"{USER}/stats")
def get_stats(memory: ScopedMemory) -> shapes.Stats:
    """Returns the numbers of pages, segments, facts and traits, the amount of due work, and the last error."""
    return shapes.Stats.model_validate(memory.get_memory_stats())


@routes.get(f"{USER}/costs")
def get_costs(memory: ScopedMemory) -> Costs:
    """Returns the number of LLM calls and tokens for each day, purpose and model."""
    return Costs(costs=[shapes.Cost.model_validate(each) for each in memory.costs()])


@routes.post(f"{USER}/flush")
async def flush(
    memory: ScopedMemory,
    server: CurrentServer,
    timeout_seconds: Annotated[float, Query(gt=0, le=3_600, description="Unfinished work is done later.")] = 60,
) -> shapes.Stats:
    """Processes all waiting pages now (assigns them to segments and derives facts), and returns the statistics."""

    def flush_and_count() -> shapes.Stats:
        memory.flush(timeout_seconds)
        return shapes.Stats.model_validate(memory.get_memory_stats())

    return await run_sync(flush_and_count, limiter=server.long_work)


@routes.post(f"{USER}/rebuild")
async def rebuild(
    memory: ScopedMemory,
    server: CurrentServer,
    audit: Audit,
    *,
    analyst: Annotated[
        Literal["llm", "local"] | None, Query(description="The analyst; default: the server's setting.")
    ] = None,
    dry_run: Annotated[bool, Query(description="Whether only to preview the changes.")] = False,
) -> shapes.Rebuilt:
    """Derives all segments, facts and the profile again from the stored pages. The old facts stay in the history."""
    rebuilt = await run_sync(partial(memory.rebuild, analyst, dry_run=dry_run), limiter=server.long_work)
    audit.record("read" if dry_run else "rebuild", memory, count=1)
    return shapes.Rebuilt.model_validate(rebuilt)
