"""What the routes share: parameters, and how they are declared."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Query
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError
from starlette.convertors import register_url_convertor

from memoryos.doors.http.problem_details import MOST_FAULTS, RESPONSES
from memoryos.doors.http.request_middleware import IdConvertor

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MAX_SEQ", "USER", "Body", "Id", "IdempotencyKey", "Limit", "Text", "part", "router"]

register_url_convertor("id", IdConvertor())
USER = "/v1/users/{user_id:id}"
"""Path of one user; the scope's assistant stands in the query."""
MAX_SEQ = 2**63 - 1
_Each = TypeVar("_Each")
_MOST_ERRORS = 1_000
"""Of a body with more errors only their number is told."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def _check(text: str) -> str:
    if _UNSTORABLE.search(text):
        raise ValueError("has a NUL character or a lone surrogate")
    return text


Text = Annotated[str, AfterValidator(_check)]
"""A text that databases and models can take."""
Id = Annotated[str, AfterValidator(_check), Field(min_length=1, max_length=100)]
"""An id that the server gave out."""
Limit = Annotated[int, Query(ge=1, le=500, description="Entries at most.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A name for this request: sent again with it, it is answered as the first time and nothing is "
        "stored twice.",
    ),
]


class Body(BaseModel):
    """What a route takes; a field that it does not know is an error.

    The number of errors is bounded, since pydantic makes each into objects, which would hold up all other requests.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _bound_errors(cls, value: Any, validate: Callable[[Any], Self]) -> Self:
        try:
            return validate(_with_few_unknown(value, cls.model_fields.keys()) if isinstance(value, dict) else value)
        except ValidationError as error:
            if error.error_count() <= _MOST_ERRORS:
                raise
            count = error.error_count()
            raise PydanticCustomError("too_many_errors", "Has {count} errors", {"count": count}) from None


def _with_few_unknown(given: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Returns the known fields with the first unknown ones, one more than a response lists."""
    if len(given) <= len(known) + MOST_FAULTS + 1:
        return given
    unknown = islice((name for name in given if name not in known), MOST_FAULTS + 1)
    return {name: given[name] for name in (*(name for name in known if name in given), *unknown)}


def part(found: Sequence[_Each], limit: int) -> tuple[Sequence[_Each], _Each | None]:
    """Returns at most ``limit`` of what was found, and the last of these if there was more."""
    return found[:limit], found[limit - 1] if len(found) > limit else None


def router(tag: str) -> APIRouter:
    """Returns a router whose routes are listed under a tag and document every problem; their names are their ids."""
    return APIRouter(tags=[tag], responses=RESPONSES, generate_unique_id_function=lambda route: route.name)
