"""Routes that store, list and read pages (exchanges of a user message and an assistant's reply)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import FailFast, Field

from memoryos.doors import shapes
from memoryos.doors.http.authentication import Audit, ScopedMemory
from memoryos.doors.http.routes.route_base import MAX_SEQ, USER, Body, IdempotencyKey, Limit, cut_to_limit, router

__all__ = ["routes"]

routes = router("pages")


class NewPage(Body):
    """One exchange to store. Either text may be empty, but not both."""

    user_input: str = Field(default="", examples=["I moved to Utrecht last week."])
    agent_response: str = Field(default="", examples=["How do you like it there?"])
    timestamp: str | None = Field(
        default=None, description="Time of the exchange, ISO 8601; default: now.", examples=["2023-05-08"]
    )
    meta_data: dict[str, Any] | None = Field(
        default=None, description="Additional data to store; `user_name` and `assistant_name` set the speakers' names."
    )


class NewMessages(Body):
    """A list of messages in OpenAI's format. A user message and the next assistant message become one page."""

    messages: Annotated[list[dict[str, Any]], FailFast()] = Field(
        max_length=10_000, examples=[[{"role": "user", "content": "Hi!"}, {"role": "assistant", "content": "Hello!"}]]
    )


class Pages(shapes.Shape):
    """The pages that were stored."""

    pages: list[shapes.Page]


class PageList(Pages):
    """One part of the paginated list of a memory's pages, newest first."""

    next_before_seq: int | None = Field(description="`before_seq` of the next request; null at the end.")


@routes.post(f"{USER}/pages", status_code=201)
def add_page(memory: ScopedMemory, body: NewPage, audit: Audit, idempotency_key: IdempotencyKey = None) -> shapes.Page:
    """Stores one exchange as a page. The page is on disk and can be found when the response arrives."""
    page = memory.add_memory(
        body.user_input, body.agent_response, body.timestamp, body.meta_data, idempotency_key=idempotency_key
    )
    audit.record("write", memory, count=1)
    return shapes.Page.model_validate(page)


@routes.post(f"{USER}/messages", status_code=201)
def add_messages(
    memory: ScopedMemory, body: NewMessages, audit: Audit, idempotency_key: IdempotencyKey = None
) -> Pages:
    """Stores all exchanges of a list of messages. If an error occurs, nothing is stored.

    System and tool messages are ignored.
    """
    pages = memory.add_messages(body.messages, idempotency_key=idempotency_key)
    audit.record("write", memory, count=len(pages))
    return Pages(pages=[shapes.Page.model_validate(page) for page in pages])


@routes.get(f"{USER}/pages")
def list_pages(
    memory: ScopedMemory,
    audit: Audit,
    *,
    limit: Limit = 50,
    before_seq: Annotated[int | None, Query(ge=1, le=MAX_SEQ, description="Only pages before this one.")] = None,
    q: Annotated[
        str | None, Query(min_length=1, max_length=1_000, description="Only pages with this text, ignoring case.")
    ] = None,
) -> PageList:
    """Lists pages, newest first. With `q`, a response may contain fewer pages than `limit` even if more exist."""
    if q is None:
        pages, last = cut_to_limit(memory.newest_pages(limit + 1, before_seq=before_seq), limit)
        next_before_seq = None if last is None else last.seq
    else:
        pages, next_before_seq = memory.search_pages(q, limit, before_seq=before_seq)
    audit.record("read", memory, count=len(pages))
    return PageList(pages=[shapes.Page.model_validate(page) for page in pages], next_before_seq=next_before_seq)


@routes.get(f"{USER}/pages/{{page_id:id}}")
def get_page(memory: ScopedMemory, page_id: str, audit: Audit) -> shapes.Page:
    """Returns one page of a memory."""
    page = memory.page(page_id)
    audit.record("read", memory, count=1)
    return shapes.Page.model_validate(page)
