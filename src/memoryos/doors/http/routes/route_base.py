"""Parameters, validation and a router function that all modules of routes share."""

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

from memoryos.doors.http.problem_details import MAX_FAULTS, RESPONSES
from memoryos.doors.http.request_middleware import IdConvertor

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MAX_SEQ", "USER", "Body", "Id", "IdempotencyKey", "Limit", "Text", "cut_to_limit", "router"]

register_url_convertor("id", IdConvertor())
USER = "/v1/users/{user_id:id}"
"""URL path of one user. The query parameter ``assistant_id`` selects the assistant."""
MAX_SEQ = 2**63 - 1
_Entry = TypeVar("_Entry")
_MAX_ERRORS = 1_000
"""Maximum number of validation errors of a body that are reported. For more errors, only their number is reported."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def _check(text: str) -> str:
    if _UNSTORABLE.search(text):
        raise ValueError("must not contain a NUL character or a lone surrogate")
    return text


Text = Annotated[str, AfterValidator(_check)]
"""A text that databases and models accept: it contains no NUL characters and no lone surrogates."""
Id = Annotated[str, AfterValidator(_check), Field(min_length=1, max_length=100)]
"""An id of a page, fact or segment, from an earlier response."""
Limit = Annotated[int, Query(ge=1, le=500, description="Maximum number of entries.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Key of this request. If the request is repeated with the same key, nothing is stored again and "
        "the response is the same.",
    ),
]


class Body(BaseModel):
    """Base class of request bodies. An unknown field is an error.

    The number of reported errors is limited, because creating many error objects would block the event loop.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _bound_errors(cls, value: Any, validate: Callable[[Any], Self]) -> Self:
        try:
            return validate(_with_few_unknown(value, cls.model_fields.keys()) if isinstance(value, dict) else value)
        except ValidationError as error:
            if error.error_count() <= _MAX_ERRORS:
                raise
            count = error.error_count()
            raise PydanticCustomError("too_many_errors", "Has {count} errors", {"count": count}) from None


def _with_few_unknown(given: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Returns all known fields and at most ``MAX_FAULTS + 1`` unknown ones.

    A response lists ``MAX_FAULTS`` errors. The additional field shows that there are more.
    """
    if len(given) <= len(known) + MAX_FAULTS + 1:
        return given
    unknown = islice((name for name in given if name not in known), MAX_FAULTS + 1)
    return {name: given[name] for name in (*(name for name in known if name in given), *unknown)}


def cut_to_limit(found: Sequence[_Entry], limit: int) -> tuple[Sequence[_Entry], _Entry | None]:
    """Returns the first ``limit`` entries of a list, and the last of these entries.

    If the list has no further entries, the second value is None. Otherwise, the next request continues after it.
    """
    return found[:limit], found[limit - 1] if len(found) > limit else None


def router(tag: str) -> APIRouter:
    """Returns a router for routes with the same tag in the OpenAPI document.

    The operation id of each route is the name of its function. Each route documents the error responses in
    ``RESPONSES``.
    """
    return APIRouter(tags=[tag], responses=RESPONSES, generate_unique_id_function=lambda route: route.name)
