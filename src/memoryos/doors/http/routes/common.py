"""What the routes share: parameters, and how they are declared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, TypeVar

from fastapi import APIRouter, Header, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.convertors import register_url_convertor

from memoryos.doors.http.bodies import IdConvertor
from memoryos.doors.http.problems import RESPONSES

__all__ = ["MAX_SEQ", "USER", "Body", "Id", "IdempotencyKey", "Limit", "Text", "part", "router"]

register_url_convertor("id", IdConvertor())
USER = "/v1/users/{user_id:id}"
"""Path of one user; the scope's assistant stands in the query."""
MAX_SEQ = 2**63 - 1
_Each = TypeVar("_Each")
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
    """What a route takes; a field that it does not know is an error."""

    model_config = ConfigDict(extra="forbid")


def part(found: Sequence[_Each], limit: int) -> tuple[Sequence[_Each], _Each | None]:
    """Returns at most ``limit`` of what was found, and the last of these if there was more."""
    return found[:limit], found[limit - 1] if len(found) > limit else None


def router(tag: str) -> APIRouter:
    """Returns a router whose routes are listed under a tag and document every problem; their names are their ids."""
    return APIRouter(tags=[tag], responses=RESPONSES, generate_unique_id_function=lambda route: route.name)
