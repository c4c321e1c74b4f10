"""Routes for export and import of one memory as a file."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from fastapi import Request
from starlette.responses import StreamingResponse

from memoryos.doors import shapes
from memoryos.doors.http.authentication import Audit, ScopedMemory
from memoryos.doors.http.routes.route_base import USER, router
from memoryos.doors.http.server_state import CurrentServer
from memoryos.errors import InputError
from memoryos.storage.scratch_dir import ScratchDir

__all__ = ["routes", "upload_routes"]

routes = router("transfer")
upload_routes = router("transfer")
"""Routes that stream the request body (a file of at most ``max_import_bytes``) to disk."""

JSON_LINES = "application/jsonl"
_FILE = {"schema": {"type": "string", "format": "binary"}}
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {"description": "JSON lines.", "content": {JSON_LINES: {"schema": {"type": "string"}}}}
}
_UPLOAD = {"requestBody": {"required": True, "content": {"application/octet-stream": _FILE}}}


@routes.get(f"{USER}/export", response_class=StreamingResponse, responses=_EXPORT)
def export_memory(memory: ScopedMemory, audit: Audit) -> StreamingResponse:
    """Returns a consistent snapshot of the memory as JSON lines. MemoryOS can import it on any server."""
    lines = _CompressedLines(memory.export_lines())
    audit.record("export", memory, count=lines.count)
    headers = {"Content-Disposition": 'attachment; filename="memory.jsonl"', "Cache-Control": "no-store"}
    return StreamingResponse(iter(lines), media_type=JSON_LINES, headers=headers)


@upload_routes.post(f"{USER}/import", openapi_extra=_UPLOAD)
async def import_memory(memory: ScopedMemory, server: CurrentServer, request: Request, audit: Audit) -> shapes.Loaded:
    """Imports the file in the request body into the memory.

    The file is an export of MemoryOS, ChatGPT or Claude, or a list of pages or messages. An export of ChatGPT or Claude
    may be a zip file.
    """
    async with _body_file(request, server.engine().store.scratch_dir) as file:
        try:
            loaded = await anyio.to_thread.run_sync(partial(memory.load, file), limiter=server.long_work)
        except InputError as error:
            raise InputError(error.field, _without_path(str(error), file).removeprefix(f"{error.field}: ")) from error
    audit.record("import", memory, count=loaded.pages)
    problems = [_without_path(each, file) for each in loaded.problems]
    return shapes.Loaded.model_validate(loaded).model_copy(update={"problems": problems})


class _CompressedLines:
    """The lines of an export, compressed in memory.

    The constructor reads all lines. The export's database transaction can therefore end before a slow client has
    received the lines.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        compressor = zlib.compressobj(1)
        self._parts: deque[bytes] = deque()
        self.count = 0
        for line in lines:
            self._parts.append(compressor.compress(line.encode()))
            self.count += 1
        self._parts.append(compressor.flush())

    def __iter__(self) -> Iterator[bytes]:
        decompressor = zlib.decompressobj()
        while self._parts:
            part = decompressor.decompress(self._parts.popleft())
            if part:
                yield part


@asynccontextmanager
async def _body_file(request: Request, scratch_dir: ScratchDir) -> AsyncIterator[Path]:
    """Yields a temporary file that contains the request body, and deletes it when the block ends.

    If the process crashes before that, the next start of the server deletes the file.
    """
    temporary = scratch_dir.temporary()
    folder = await anyio.to_thread.run_sync(temporary.__enter__)
    try:
        file = folder / "file"
        async with await anyio.open_file(file, "wb") as body:
            async for part in request.stream():
                await body.write(part)
        yield file
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(temporary.__exit__, None, None, None)


def _without_path(text: str, file: Path) -> str:
    return text.replace(str(file), "the file")
