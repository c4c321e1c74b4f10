"""Error responses in the format "problem details" (RFC 9457). They never contain stored memory."""

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
MAX_DETAIL = 500
MAX_FAULTS = 20
"""Maximum number of errors that one response lists."""


class Fault(BaseModel):
    """An error in one part of a request."""

    field: str = Field(description="Path of the part, e.g. body.query.")
    message: str


class Problem(BaseModel):
    """The body of an error response, in the format of RFC 9457."""

    type: str = Field(description="URN of the error type; it never changes.")
    title: str
    status: int
    detail: str = Field(default="", description="What happened and what the caller can do.")
    errors: list[Fault] = Field(default=[], description="The first 20 errors of the request.")


_KINDS: tuple[tuple[type[errors.MemoryOSError], int, str, str], ...] = (
    (errors.ConfigError, 400, "config", ""),
    (errors.InputError, 422, "input", ""),
    (errors.NotFoundError, 404, "not-found", ""),
    (errors.QuotaExceededError, 507, "quota", ""),
    (
        errors.StoreConflictError,
        409,
        "conflict",
        "Another request changed the data first; nothing was written. Try again.",
    ),
    (errors.StoreUnavailableError, 503, "store-unavailable", "The database is not available now; try again."),
    (errors.StoreError, 503, "store", "The database failed; see the server's log."),
    (errors.BudgetExceededError, 503, "budget", "The daily token budget is used up; new pages are read tomorrow."),
    (
        errors.AnalystUnavailableError,
        503,
        "analyst-unavailable",
        "The model is not reachable now; no data is lost. Try again.",
    ),
    (errors.AnalystError, 502, "analyst", "The model's reply is not usable; it was not stored. Try again."),
    (errors.EmbeddingError, 502, "embedding", "The embedder failed; stored data is unchanged. See the server's log."),
    (errors.MemoryOSError, 500, "error", "The server failed to process the request; see the server's log."),
)
_RENAMED = {413: "Content Too Large", 422: "Unprocessable Content"}
_TITLES = {each.value: each.phrase for each in HTTPStatus} | _RENAMED
"""HTTP reason phrases by status code. Two phrases differ between Python versions; ``_RENAMED`` sets these two."""
_DOCUMENTED = {
    400: "The request or a required setting is not valid.",
    401: "A key is required, or the key is not valid.",
    403: "The key is for another user's memory.",
    404: "Not found.",
    405: "The route does not support this method.",
    409: "Another request changed the data first; nothing was written.",
    408: "The body did not arrive in time.",
    413: "The body is too large, or its JSON has too many values.",
    422: "The request is not valid; `errors` lists the reasons.",
    429: "Too many requests; `Retry-After` says when to try again.",
    500: "The server failed to process the request.",
    502: "The model's reply is not usable.",
    503: "The database or the model is not available now; `Retry-After` says when to try again.",
    507: "The memory would exceed its quota; forget pages, or raise the quota.",
}
_REFERENCE = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text} | _REFERENCE for status, text in _DOCUMENTED.items()
}
"""Descriptions of error responses for the OpenAPI document. They apply to every route."""


def problem_of(error: errors.MemoryOSError) -> Problem:
    """Converts an error to a ``Problem``. The error's message is included only if the caller caused the error."""
    status, name, detail = next((status, name, text) for kind, status, name, text in _KINDS if isinstance(error, kind))
    faults = []
    if isinstance(error, errors.InputError):
        faults.append(Fault(field=error.field, message=str(error).removeprefix(f"{error.field}: ")[:MAX_DETAIL]))
    return _problem(status, name, detail or str(error)[:MAX_DETAIL], faults)


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Converts a ``Problem`` to an HTTP response."""
    body = json.dumps(problem.model_dump(exclude_defaults=True) | {"detail": problem.detail})
    return Response(body, problem.status, headers, MEDIA_TYPE)


def install_problems(app: FastAPI) -> None:
    """Registers exception handlers that convert every exception to an error response."""
    app.add_exception_handler(errors.MemoryOSError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_error)
    app.add_exception_handler(TimeoutError, _on_timeout)
    app.add_exception_handler(Exception, _on_bug)


def error_response(error: errors.MemoryOSError | HTTPException) -> Response:
    """Converts an error to an HTTP response, with headers such as ``Retry-After`` or ``WWW-Authenticate``."""
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
    faults_found = error.errors() if isinstance(error, RequestValidationError) else []
    faults = [
        Fault(field=".".join(map(str, each["loc"]))[:MAX_DETAIL], message=each["msg"][:MAX_DETAIL])
        for each in faults_found[:MAX_FAULTS]
    ]
    detail = "The request is not valid; `errors` lists the reasons."
    if len(faults_found) > MAX_FAULTS:
        detail += f" Only the first {MAX_FAULTS} are listed."
    return problem_response(_problem(422, "input", detail, faults))


async def _on_timeout(_: Request, __: Exception) -> Response:
    problem = _problem(503, "timeout", "The operation timed out. Unfinished work is not lost; try again.")
    return problem_response(problem, {"Retry-After": str(RETRY_SECONDS)})


async def _on_bug(_: Request, __: Exception) -> Response:
    return problem_response(_problem(500, "bug", "An internal error occurred; see the server's log."))


def _problem(status: int, name: str, detail: str, faults: list[Fault] | None = None) -> Problem:
    title = _TITLES.get(status, f"Status {status}")
    return Problem(type=f"urn:memoryos:{name}", title=title, status=status, detail=detail, errors=faults or [])
