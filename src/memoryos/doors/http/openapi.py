"""The OpenAPI document of the HTTP server. Clients need a key to read it if keys are required."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memoryos.doors.http.authentication import AnyCaller
from memoryos.doors.http.problem_details import Problem

if TYPE_CHECKING:
    from collections.abc import Collection

    from fastapi import FastAPI

__all__ = ["add_openapi"]

_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer mos_…`"},
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The key, in a header of its own.",
    },
}


def add_openapi(app: FastAPI, open_paths: Collection[str]) -> None:
    """Describes error responses and API keys in the OpenAPI document, and serves the document at ``/openapi.json``.

    Args:
        app: The application with all its routes.
        open_paths: Paths of routes that require no key.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(generate(), open_paths)
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]

    @app.get("/openapi.json", include_in_schema=False)
    async def get_openapi(caller: AnyCaller) -> dict[str, Any]:  # noqa: ARG001  (the annotation requires a key)
        return openapi()


def _complete(document: dict[str, Any], open_paths: Collection[str]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs")
    schemas["Problem"] = problem
    document["components"]["securitySchemes"] = _KEYS
    document["security"] = [{name: []} for name in _KEYS] + [{}]
    for path in open_paths:
        for operation in document["paths"].get(path, {}).values():
            operation["security"] = []
