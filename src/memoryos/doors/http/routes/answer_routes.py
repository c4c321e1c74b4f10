"""The route for answers from memory. An answer is sent as a whole or streamed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any, TypedDict

from pydantic import Field
from starlette.responses import StreamingResponse

from memoryos.doors import recall_shapes, shapes
from memoryos.doors.http.authentication import Audit, ScopedMemory
from memoryos.doors.http.event_stream import EVENT_STREAM, event, event_stream
from memoryos.doors.http.observability import span
from memoryos.doors.http.problem_details import problem_of
from memoryos.doors.http.routes.route_base import USER, Body, IdempotencyKey, Text, router
from memoryos.errors import MemoryOSError
from memoryos.generation.responder import Answer, AnswerStream

__all__ = ["routes"]

routes = router("answers")

_STREAM_HELP = (
    "With `stream`: events `recall` (the recalled memory), `piece` ({text}) for each part of the answer, then `done` "
    "(the complete answer) or `error` (a problem)."
)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": f"The answer. {_STREAM_HELP}", "content": {EVENT_STREAM: {"schema": {"type": "string"}}}}
}


class Question(Body):
    """A question for the memory, and options for the answer."""

    query: str = Field(examples=["What do you remember about my job?"])
    relationship_with_user: Text = Field(
        default="friend", max_length=1_000, description="The assistant's relationship with the user."
    )
    style_hint: Text = Field(default="", max_length=10_000, description="Style of the answer.")
    meta_data: dict[Text, Any] | None = Field(default=None, description="Data about the conversation, for the prompt.")
    remember: bool = Field(default=True, description="Whether to store the exchange as a page.")
    stream: bool = Field(default=False, description="Whether to stream the answer as server-sent events.")
    with_recall: bool = Field(default=False, description="Whether to include the recalled memory.")


class Answered(shapes.Shape):
    """An answer from memory, with the ids of its source pages."""

    answer: str
    source_page_ids: list[str] = Field(description="Ids of the pages on which the answer is based, best first.")
    origin: shapes.Origin | None = Field(description="Model and prompt of the answer; null for a repeated request.")
    flagged_page_ids: list[str] = Field(description="Pages in the context that look like instructions to a model.")
    recall: recall_shapes.ExplainedRecall | None = None


@routes.post(f"{USER}/answers", response_model=Answered, responses=_RESPONSES)
def answer(
    memory: ScopedMemory,
    body: Question,
    audit: Audit,
    idempotency_key: IdempotencyKey = None,
) -> Answered | StreamingResponse:
    """Answers a question from memory and stores the exchange.

    The configured LLM answers; without an LLM, the answer consists of quotations. If the client disconnects before the
    end of a streamed answer, nothing is stored. An `Idempotency-Key` is only allowed if `remember` is true.
    """
    question = (body.query, body.relationship_with_user, body.style_hint, body.meta_data)
    options: _Options = {"remember": body.remember, "idempotency_key": idempotency_key}
    audit.record("answer", memory, count=1)
    if body.stream:
        with span("memoryos.answer.recall"):
            stream = memory.get_response(*question, stream=True, **options)
        return event_stream(_events(stream))
    with span("memoryos.answer"):
        complete = memory.get_response(*question, **options)
    return _answered(complete, with_recall=body.with_recall)


class _Options(TypedDict):
    remember: bool
    idempotency_key: str | None


def _events(stream: AnswerStream) -> Generator[bytes, None, None]:
    with closing(stream):
        yield event("recall", recall_shapes.ExplainedRecall.of(stream.recall).as_json())
        try:
            for piece in stream:
                yield event("piece", {"text": piece})
        except MemoryOSError as error:
            yield event("error", problem_of(error).model_dump())
            return
    if stream.answer is None:
        raise TypeError("the answer stream ended without a final answer; please report this bug")
    yield event("done", _answered(stream.answer, with_recall=False).as_json())


def _answered(complete: Answer, *, with_recall: bool) -> Answered:
    return Answered(
        answer=str(complete),
        source_page_ids=list(complete.sources),
        origin=None if complete.origin is None else shapes.Origin.model_validate(complete.origin),
        flagged_page_ids=list(complete.flagged),
        recall=recall_shapes.ExplainedRecall.of(complete.recall) if with_recall else None,
    )
