"""Routes for forgetting: they delete pages and facts permanently with all derived data, or preview the deletion."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import FailFast, Field

from memoryos.doors import shapes
from memoryos.doors.http.authentication import Audit, ScopedMemory
from memoryos.doors.http.routes.route_base import USER, Body, Id, router
from memoryos.doors.http.server_state import CurrentServer
from memoryos.inputs import read_scope

__all__ = ["routes"]

routes = router("forgetting")

DryRun = Annotated[bool, Query(description="Whether only to preview what would be deleted.")]


class Forgetting(Body):
    """Selects the pages and facts to forget: by ids, by time, or all. A query can only be used for a preview."""

    page_ids: Annotated[list[Id], FailFast()] = Field(default=[], max_length=10_000)
    knowledge_ids: Annotated[list[Id], FailFast()] = Field(default=[], max_length=10_000)
    before: str | None = Field(default=None, description="All pages before this time, ISO 8601.")
    query_preview: str | None = Field(
        default=None, description="Previews the deletion of all pages that match this query. Deletes nothing."
    )
    everything: bool = False
    dry_run: bool = Field(default=True, description="Whether only to preview what would be deleted.")
    erase: bool | None = Field(
        default=None,
        description="Whether to wait until the deleted bytes are erased. By default, large databases are erased later.",
    )


class Gone(shapes.Forgotten):
    """Report of what was deleted from the memory of a user and one assistant."""

    assistant_id: str


class UserGone(shapes.Shape):
    """Report of what was deleted from all memories of a user, with one entry for each assistant."""

    memories: list[Gone]


@routes.post(f"{USER}/forget")
def forget(memory: ScopedMemory, body: Forgetting, audit: Audit) -> shapes.Forgotten:
    """Deletes pages and facts permanently, with everything derived from them, or previews the deletion."""
    receipt = memory.forget(**body.model_dump())
    audit.record("read" if receipt.dry_run else "forget", memory, count=len(receipt.page_ids))
    return shapes.Forgotten.model_validate(receipt)


@routes.delete(f"{USER}/pages/{{page_id:id}}")
def delete_page(memory: ScopedMemory, page_id: str, audit: Audit, *, dry_run: DryRun = False) -> shapes.Forgotten:
    """Deletes one page permanently, with everything derived from it."""
    receipt = memory.forget(page_ids=[page_id], dry_run=dry_run, erase=None)
    audit.record("read" if dry_run else "forget", memory, count=1)
    return shapes.Forgotten.model_validate(receipt)


@routes.delete(USER)
def delete_user(
    user_id: str,
    server: CurrentServer,
    audit: Audit,
    *,
    assistant_id: Annotated[str | None, Query(description="Only the memory with this assistant; default: all.")] = None,
    dry_run: DryRun = False,
) -> UserGone:
    """Deletes all memories of a user permanently. For a user without memories, the list of deletions is empty."""
    audit.caller.require_access(user_id)
    engine = server.engine()
    read_scope(user_id, assistant_id or engine.config.assistant_id)
    receipts = []
    for scope in engine.scopes():
        if scope.user_id == user_id and assistant_id in {None, scope.assistant_id}:
            memory = engine.memory(user_id, scope.assistant_id)
            receipt = memory.forget(everything=True, dry_run=dry_run, erase=None)
            audit.record("read" if dry_run else "forget", memory, count=len(receipt.page_ids))
            receipt_shape = shapes.Forgotten.model_validate(receipt)
            receipts.append(Gone(**dict(receipt_shape), assistant_id=scope.assistant_id))
    return UserGone(memories=receipts)
