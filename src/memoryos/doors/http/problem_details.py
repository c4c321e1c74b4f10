"""Every error that the server answers with: a problem of RFC 9457, with nothing of what was remembered in it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from memoryos import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from starlette.requests import Request

__all__ = [
    "MEDIA_TYPE",
    "RESPONSES",
    "Fault",
    "Problem",
    "error_response",
    "install_problems",
    "problem_of",
    "problem_response",
]

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
LONGEST_DETAIL = 500
MOST_FAULTS = 20
"""Most errors of one request that a response lists."""


class Fault(BaseModel):
    """What is wrong with one part of a request."""

    field: str = Field(description="Where it stands, as body.query.")
    message: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="Names the kind of error; a URN that never changes.")
    title: str
    status: int
    detail: str = Field(default="", description="What the caller can do about it.")
    errors: list[Fault] = Field(default=[], description="What is wrong with the request: the first 20 errors.")


_KINDS: tuple[tuple[type[errors.MemoryOSError], int, str, str], ...] = (
    (errors.ConfigError, 400, "config", ""),
    (errors.InputError, 422, "input", ""),
    (errors.NotFoundError, 404, "not-found", ""),
    (errors.QuotaExceededError, 507, "quota", ""),
    (errors.StoreConflictError, 409, "conflict", "Something else changed it first; nothing was written. Try again."),
    (errors.StoreUnavailableError, 503, "store-unavailable", "The database can't be used now; try again."),
    (errors.StoreError, 503, "store", "The database can't be used; see the log of the server."),
    (errors.BudgetExceededError, 503, "budget", "The tokens of the day are used up; consolidation goes on tomorrow."),
    (errors.AnalystUnavailableError, 503, "analyst-unavailable", "The model can't be reached now; nothing is lost."),
    (errors.AnalystError, 502, "analyst", "The model's reply can't be used; nothing was remembered of it."),
    (errors.EmbeddingError, 502, "embedding", "The embedder failed; what is stored stays stored."),
    (errors.MemoryOSError, 500, "error", "See the log of the server."),
)
_RENAMED = {413: "Content Too Large", 422: "Unprocessable Content"}
_TITLES = {each.value: each.phrase for each in HTTPStatus} | _RENAMED
"""By status, in whatever release of Python: some knows two of them by an older name."""
_DOCUMENTED = {
    400: "The request, or a setting that it needs, can't be used.",
    401: "A key is needed, or it is not valid.",
    403: "The key opens another user's memory.",
    404: "It is not there.",
    405: "The route knows other methods.",
    409: "Something else changed it first; nothing was written.",
    408: "The body did not arrive in time.",
    413: "The body is too large, or its JSON has too many values.",
    422: "Something in the request can't be used; `errors` says what.",
    429: "Too many requests; `Retry-After` says when to come again.",
    500: "An error of the server.",
    502: "The model's reply can't be used.",
    503: "The database or the model can't be used now; `Retry-After` says when to try again.",
    507: "The memory would hold more than its quota; forget pages, or raise the quota.",
}
_REFERENCE = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text} | _REFERENCE for status, text in _DOCUMENTED.items()
}
"""What every route may answer instead of what was asked for, for its documentation."""


def problem_of(error: errors.MemoryOSError) -> Problem:
    """Returns what is told about an error: for whom the caller is not to blame only its kind."""
    status, name, detail = next((status, name, text) for kind, status, name, text in _KINDS if isinstance(error, kind))
    faults = []
    if isinstance(error, errors.InputError):
        faults.append(Fault(field=error.field, message=str(error).removeprefix(f"{error.field}: ")[:LONGEST_DETAIL]))
    return _problem(status, name, detail or str(error)[:LONGEST_DETAIL], faults)


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Returns the response of a problem."""
    body = json.dumps(problem.model_dump(exclude_defaults=True) | {"detail": problem.detail})
    return Response(body, problem.status, headers, MEDIA_TYPE)


def install_problems(app: FastAPI) -> None:
    """Lets the server answer with a problem whatever is raised."""
    app.add_exception_handler(errors.MemoryOSError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_error)
    app.add_exception_handler(TimeoutError, _on_timeout)
    app.add_exception_handler(Exception, _on_bug)


def error_response(error: errors.MemoryOSError | HTTPException) -> Response:
    """Returns the response of an error: a problem, with the headers that say when to come again or what is missing."""
    if isinstance(error, HTTPException):
        name = _TITLES.get(error.status_code, f"Status {error.status_code}").lower().replace(" ", "-")
        return problem_response(_problem(error.status_code, name, str(error.detail)), error.headers)
    problem = problem_of(error)
    seconds = getattr(error, "retry_after_seconds", None) or RETRY_SECONDS
    retry = {"Retry-After": str(max(1, round(seconds)))} if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return problem_response(problem, retry)


async def _on_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, (errors.MemoryOSError, HTTPException)):
        raise error
    return error_response(error)


async def _on_invalid(_: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    faults = [
        Fault(field=".".join(map(str, each["loc"]))[:LONGEST_DETAIL], message=each["msg"][:LONGEST_DETAIL])
        for each in found[:MOST_FAULTS]
    ]
    detail = "The request can't be read; `errors` says what is wrong."
    if len(found) > MOST_FAULTS:
        detail += f" It lists the first {MOST_FAULTS} errors."
    return problem_response(_problem(422, "input", detail, faults))


async def _on_timeout(_: Request, __: Exception) -> Response:
    problem = _problem(503, "timeout", "The time was over first; what is left stays due. Try again.")
    return problem_response(problem, {"Retry-After": str(RETRY_SECONDS)})


async def _on_bug(_: Request, __: Exception) -> Response:
    return problem_response(_problem(500, "bug", "An error of the server; its log says more."))


def _problem(status: int, name: str, detail: str, faults: list[Fault] | None = None) -> Problem:
    title = _TITLES.get(status, f"Status {status}")
    return Problem(type=f"urn:memoryos:{name}", title=title, status=status, detail=detail, errors=faults or [])
