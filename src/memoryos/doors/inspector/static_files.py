"""Serves the inspector (a web page) and its scripts and styles, which are files of the Python package."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from memoryos.doors.inspector.setup_route import setup_routes

if TYPE_CHECKING:
    from importlib.abc import Traversable

    from starlette.requests import Request
    from starlette.routing import BaseRoute

__all__ = ["inspector_routes"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Content Security Policy: the page may contact only its own server, and it may not run inline scripts.

The directives for Trusted Types prevent the page from inserting text as HTML.
"""
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


def inspector_routes() -> list[BaseRoute]:
    """Returns the routes of the inspector: the page at ``/``, its files under ``/inspector/``, and ``/v1/setup``.

    The page and its files require no key, because they contain no stored data.
    """
    return [
        Route("/", _page, include_in_schema=False),
        Route("/inspector/{path:path}", _file, include_in_schema=False),
        *setup_routes.routes,
    ]


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the inspector, with its content, media type and ETag."""

    body: bytes
    kind: str
    tag: str


async def _page(request: Request) -> Response:
    return _file_response(request, _files()["index.html"])


async def _file(request: Request) -> Response:
    found = _files().get(request.path_params["path"])
    if found is None:
        raise HTTPException(404)
    return _file_response(request, found)


def _file_response(request: Request, file: _File) -> Response:
    """Returns a file, or the status 304 if the browser's cached copy is up to date."""
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY,
        "ETag": file.tag,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    cached_tags = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if file.tag in cached_tags:
        return Response(None, 304, headers)
    return Response(file.body, headers=headers | {"Content-Type": file.kind})


@cache
def _files() -> dict[str, _File]:
    """Returns all files of the inspector by path. The result is cached, because the files never change."""
    return dict(_read(resources.files("memoryos.doors.inspector") / "static", ""))


def _read(folder: Traversable, path: str) -> list[tuple[str, _File]]:
    found: list[tuple[str, _File]] = []
    for each in folder.iterdir():
        name = f"{path}{each.name}"
        if each.is_dir():
            found += _read(each, f"{name}/")
        else:
            body = each.read_bytes()
            kind = KINDS.get(f".{each.name.rpartition('.')[2]}", "text/plain; charset=utf-8")
            found.append((name, _File(body, kind, f'"{hashlib.sha256(body).hexdigest()[:32]}"')))
    return found
