"""Routes about the whole server: liveness and readiness checks, the list of users, and statistics."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import Query, Response
from pydantic import Field

from memoryos.doors import shapes
from memoryos.doors.http.authentication import AdminCaller, Audit
from memoryos.doors.http.routes.route_base import MAX_SEQ, Limit, router
from memoryos.doors.http.server_state import CurrentServer, ServerState
from memoryos.errors import MemoryOSError
from memoryos.language.passages import vector_model

__all__ = ["open_routes", "routes"]

routes = router("server")
open_routes = router("health")
"""Routes without a key, for process managers and monitoring."""

_UNREADY: dict[int | str, dict[str, Any]] = {503: {"description": "The store or the embedder is not available."}}


class Alive(shapes.Shape):
    """The response of a running server to a liveness check."""

    status: Literal["ok"] = "ok"


class Ready(shapes.Shape):
    """Shows whether the server can process requests."""

    status: Literal["ready", "not ready"]
    store: Literal["ok", "unavailable"] = Field(description="Whether the database can be read.")
    embedder: Literal["ok", "unavailable"] = Field(description="Whether a test text could be embedded.")
    backlog: int | None = Field(description="Number of memories in the worker's queue; null if unknown.")


class User(shapes.Shape):
    """The user and the assistant of one memory."""

    user_id: str
    assistant_id: str


class UserList(shapes.Shape):
    """One part of the paginated list of users, oldest first."""

    users: list[User]
    next_offset: int | None = Field(description="`offset` of the next request; null at the end.")


class ServerStats(shapes.Shape):
    """Statistics of the whole server."""

    memories: int
    memories_failing: int = Field(description="Number of memories whose last analyst call failed.")
    backlog: int = Field(description="Number of memories in the background worker's queue.")
    pages_due: int = Field(description="Pages that are due to be read.")
    pages_without_vector: int
    embedder: str
    analyst: str
    has_llm: bool
    keys: bool = Field(description="Whether every request requires a key.")


@open_routes.get("/healthz")
async def get_health() -> Alive:
    """Returns 200 while the server process is running (liveness check). The database and models are not checked."""
    return Alive()


@open_routes.get("/readyz", responses=_UNREADY)
async def get_readiness(server: CurrentServer, response: Response) -> Ready:
    """Checks whether the server can process requests (readiness check). If it can't, the status is 503.

    The check reads from the store and embeds a test text.
    """
    ready = await run_sync(_check, server)
    if ready.status != "ready":
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return ready


@routes.get("/v1/users")
def list_users(
    server: CurrentServer,
    audit: Audit,
    *,
    limit: Limit = 100,
    offset: Annotated[int, Query(ge=0, le=MAX_SEQ, description="`next_offset` of the previous response.")] = 0,
) -> UserList:
    """Lists users with their assistants, oldest first. Callers who are not administrators get only their own user."""
    scopes = [scope for scope in server.engine().scopes() if audit.caller.may_use(scope.user_id)]
    shown = scopes[offset : offset + limit]
    audit.record("list", count=len(shown))
    end = offset + len(shown)
    return UserList(
        users=[User.model_validate(scope) for scope in shown], next_offset=end if end < len(scopes) else None
    )


@routes.get("/v1/stats")
def get_server_stats(server: CurrentServer, caller: AdminCaller) -> ServerStats:
    """Returns statistics of the whole server. Only administrators may call this route."""
    engine = server.engine()
    due = engine.store.totals.backlog(vector_model(engine.embedder.name))
    return ServerStats(
        memories=due.scopes,
        memories_failing=due.failing_scopes,
        backlog=engine.worker.waiting(),
        pages_due=due.due_pages,
        pages_without_vector=due.pages_without_vector,
        embedder=engine.embedder.name,
        analyst=engine.analyst.origin.analyst,
        has_llm=engine.config.has_llm,
        keys=caller.key_id is not None,
    )


def _check(server: ServerState) -> Ready:
    store = embedder = False
    backlog = None
    try:
        engine = server.engine()
        engine.memory(engine.config.user_id, engine.config.assistant_id).revision()
        store, backlog = True, engine.worker.waiting()
        embedder = len(engine.embedder.embed(["ready"])) == 1
    except MemoryOSError:
        pass
    return Ready(
        status="ready" if store and embedder else "not ready",
        store="ok" if store else "unavailable",
        embedder="ok" if embedder else "unavailable",
        backlog=backlog,
    )
