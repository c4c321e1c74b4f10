"""Forgetting: by ids, for good, with everything that was derived; a dry run says what would go."""

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

DryRun = Annotated[bool, Query(description="Only says what would go.")]


class Forgetting(Body):
    """What to forget: ids, or a time, or everything; or what a query finds, which is only ever shown."""

    page_ids: Annotated[list[Id], FailFast()] = Field(default=[], max_length=10_000)
    knowledge_ids: Annotated[list[Id], FailFast()] = Field(default=[], max_length=10_000)
    before: str | None = Field(default=None, description="Every page from before this time, ISO 8601.")
    query_preview: str | None = Field(
        default=None, description="Says what would go with the pages that this finds. Nothing is deleted by likeness."
    )
    everything: bool = False
    dry_run: bool = Field(default=True, description="Only says what would go. False forgets for good.")
    erase: bool | None = Field(
        default=None,
        description="Whether to wait until the bytes are erased. By default a large file is erased later.",
    )


class Gone(shapes.Forgotten):
    """The receipt of one memory of a user."""

    assistant_id: str


class UserGone(shapes.Shape):
    """The receipts of all memories of a user."""

    memories: list[Gone]


@routes.post(f"{USER}/forget")
def forget(memory: ScopedMemory, body: Forgetting, audit: Audit) -> shapes.Forgotten:
    """Forgets for good, or says what would go: pages, facts, and everything that was derived from them."""
    receipt = memory.forget(**body.model_dump())
    audit.record("read" if receipt.dry_run else "forget", memory, count=len(receipt.page_ids))
    return shapes.Forgotten.model_validate(receipt)


@routes.delete(f"{USER}/pages/{{page_id:id}}")
def delete_page(memory: ScopedMemory, page_id: str, audit: Audit, *, dry_run: DryRun = False) -> shapes.Forgotten:
    """Forgets one page for good, with everything that was derived from it."""
    receipt = memory.forget(page_ids=[page_id], dry_run=dry_run, erase=None)
    audit.record("read" if dry_run else "forget", memory, count=1)
    return shapes.Forgotten.model_validate(receipt)


@routes.delete(USER)
def delete_user(
    user_id: str,
    server: CurrentServer,
    audit: Audit,
    *,
    assistant_id: Annotated[str | None, Query(description="Only with this assistant; default: with all.")] = None,
    dry_run: DryRun = False,
) -> UserGone:
    """Forgets everything of a user for good, with every assistant. A user without memories has nothing to forget."""
    audit.caller.require_access(user_id)
    engine = server.engine()
    read_scope(user_id, assistant_id or engine.config.assistant_id)
    gone = []
    for scope in engine.scopes():
        if scope.user_id == user_id and assistant_id in {None, scope.assistant_id}:
            memory = engine.memory(user_id, scope.assistant_id)
            receipt = memory.forget(everything=True, dry_run=dry_run, erase=None)
            audit.record("read" if dry_run else "forget", memory, count=len(receipt.page_ids))
            told = shapes.Forgotten.model_validate(receipt)
            gone.append(Gone(**dict(told), assistant_id=scope.assistant_id))
    return UserGone(memories=gone)
