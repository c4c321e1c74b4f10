"""Export and import of one memory as a file."""

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
from memoryos.doors.http.audit import audit
from memoryos.doors.http.callers import AnyCaller, ScopedMemory
from memoryos.doors.http.routes.common import USER, router
from memoryos.doors.http.serving import TheServing
from memoryos.errors import InputError
from memoryos.storage.workplace import Workplace

__all__ = ["routes", "upload_routes"]

routes = router("transfer")
upload_routes = router("transfer")
"""Routes whose body is a file: it is read as a stream and may have ``max_import_bytes``."""

JSON_LINES = "application/jsonl"
_FILE = {"schema": {"type": "string", "format": "binary"}}
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {"description": "JSON lines.", "content": {JSON_LINES: {"schema": {"type": "string"}}}}
}
_UPLOAD = {"requestBody": {"required": True, "content": {"application/octet-stream": _FILE}}}


@routes.get(f"{USER}/export", response_class=StreamingResponse, responses=_EXPORT)
def export_memory(memory: ScopedMemory, request: Request, caller: AnyCaller) -> StreamingResponse:
    """Returns all that is remembered as JSON lines, all from one moment; the import of any MemoryOS reads them."""
    lines = _Packed(memory.export_lines())
    audit(request, caller, "export", memory, count=lines.count)
    headers = {"Content-Disposition": 'attachment; filename="memory.jsonl"', "Cache-Control": "no-store"}
    return StreamingResponse(iter(lines), media_type=JSON_LINES, headers=headers)


@upload_routes.post(f"{USER}/import", openapi_extra=_UPLOAD)
async def import_memory(
    memory: ScopedMemory, serving: TheServing, request: Request, caller: AnyCaller
) -> shapes.Loaded:
    """Reads a file, sent as the body: an export, ChatGPT's or Claude's (the zip too), pages or a message list."""
    async with _received(request, serving.engine().store.workplace) as file:
        try:
            loaded = await anyio.to_thread.run_sync(partial(memory.load, file), limiter=serving.long_work)
        except InputError as error:
            raise InputError(error.field, _without_place(str(error), file).removeprefix(f"{error.field}: ")) from error
    audit(request, caller, "import", memory, count=loaded.pages)
    problems = [_without_place(each, file) for each in loaded.problems]
    return shapes.Loaded.model_validate(loaded).model_copy(update={"problems": problems})


class _Packed:
    """Lines, read at once and kept compressed: a reader who takes their time holds no transaction open."""

    def __init__(self, lines: Iterable[str]) -> None:
        packer = zlib.compressobj(1)
        self._parts: deque[bytes] = deque()
        self.count = 0
        for line in lines:
            self._parts.append(packer.compress(line.encode()))
            self.count += 1
        self._parts.append(packer.flush())

    def __iter__(self) -> Iterator[bytes]:
        unpacker = zlib.decompressobj()
        while self._parts:
            part = unpacker.decompress(self._parts.popleft())
            if part:
                yield part


@asynccontextmanager
async def _received(request: Request, workplace: Workplace) -> AsyncIterator[Path]:
    """Yields a file with the body of a request, which is deleted at the end, or at the next start after a kill."""
    temporary = workplace.temporary()
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


def _without_place(text: str, file: Path) -> str:
    return text.replace(str(file), "the file")
