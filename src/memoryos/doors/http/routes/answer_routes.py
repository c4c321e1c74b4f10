"""Answers from memory: whole, or piece by piece as they come."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any, TypedDict

from pydantic import Field
from starlette.responses import StreamingResponse

from memoryos.doors import shapes
from memoryos.doors.http.authentication import Audit, ScopedMemory
from memoryos.doors.http.event_stream import EVENT_STREAM, event, event_stream
from memoryos.doors.http.observability import span
from memoryos.doors.http.problem_details import problem_of
from memoryos.doors.http.routes.route_base import USER, Body, IdempotencyKey, Text, router
from memoryos.errors import MemoryOSError
from memoryos.generation.responder import Answer, AnswerStream

__all__ = ["routes"]

routes = router("answers")

_STREAMED = (
    "With `stream`: events `recall` (what was remembered), `piece` ({text}) as they come, then `done` (the whole "
    "answer) or `error` (a problem)."
)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": f"The answer. {_STREAMED}", "content": {EVENT_STREAM: {"schema": {"type": "string"}}}}
}


class Question(Body):
    """What to answer, and how."""

    query: str = Field(examples=["What do you remember about my job?"])
    relationship_with_user: Text = Field(default="friend", max_length=1_000, description="What the assistant is.")
    style_hint: Text = Field(default="", max_length=10_000, description="How to answer.")
    meta_data: dict[Text, Any] | None = Field(default=None, description="What is known of this conversation.")
    remember: bool = Field(default=True, description="Whether the exchange becomes a page.")
    stream: bool = Field(default=False, description="Server-sent events instead of one body.")
    with_recall: bool = Field(default=False, description="What was remembered for the question stands in the answer.")


class Answered(shapes.Shape):
    """An answer, with what it is based on."""

    answer: str
    source_page_ids: list[str] = Field(description="The pages that it is based on, best first.")
    origin: shapes.Origin | None = Field(description="Who answered; null when it was given before.")
    flagged_page_ids: list[str] = Field(description="Pages in its context that read like instructions to a model.")
    recall: shapes.ExplainedRecall | None = None


@routes.post(f"{USER}/answers", response_model=Answered, responses=_RESPONSES)
def answer(
    memory: ScopedMemory,
    body: Question,
    audit: Audit,
    idempotency_key: IdempotencyKey = None,
) -> Answered | StreamingResponse:
    """Answers from memory, by the LLM of the settings or by quoting, and remembers the exchange.

    A stream that its reader leaves before the end is not remembered. An `Idempotency-Key` needs `remember`.
    """
    asked = (body.query, body.relationship_with_user, body.style_hint, body.meta_data)
    wishes: _Wishes = {"remember": body.remember, "idempotency_key": idempotency_key}
    audit.record("answer", memory, count=1)
    if body.stream:
        with span("memoryos.answer.recall"):
            pieces = memory.get_response(*asked, stream=True, **wishes)
        return event_stream(_events(pieces))
    with span("memoryos.answer"):
        whole = memory.get_response(*asked, **wishes)
    return _told(whole, with_recall=body.with_recall)


class _Wishes(TypedDict):
    remember: bool
    idempotency_key: str | None


def _events(pieces: AnswerStream) -> Generator[bytes, None, None]:
    with closing(pieces):
        yield event("recall", shapes.ExplainedRecall.of(pieces.recall).as_json())
        try:
            for piece in pieces:
                yield event("piece", {"text": piece})
        except MemoryOSError as error:
            yield event("error", problem_of(error).model_dump())
            return
    if pieces.answer is None:
        raise TypeError("the stream ended without an answer")
    yield event("done", _told(pieces.answer, with_recall=False).as_json())


def _told(whole: Answer, *, with_recall: bool) -> Answered:
    return Answered(
        answer=str(whole),
        source_page_ids=list(whole.sources),
        origin=None if whole.origin is None else shapes.Origin.model_validate(whole.origin),
        flagged_page_ids=list(whole.flagged),
        recall=shapes.ExplainedRecall.of(whole.recall) if with_recall else None,
    )
