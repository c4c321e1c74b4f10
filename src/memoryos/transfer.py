"""Pages as JSON lines, one exchange a line: what ``export`` writes and ``import_pages`` reads.

::

    {"at": "2023-05-08T13:56:00+00:00", "user_text": "…", "assistant_text": "…", "meta_data": {"user_name": "…"}}

``timestamp``, ``user_input`` and ``agent_response``, the names of ``add_memory``'s arguments, are understood as well.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from memoryos.errors import InputError
from memoryos.inputs import read_draft

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from memoryos.model import Page, PageDraft

__all__ = ["read_pages", "write_pages"]

_NAMES = {"user_input": "user_text", "agent_response": "assistant_text", "timestamp": "at"}
_KNOWN = frozenset({"at", "user_text", "assistant_text", "meta_data", "page_id", "seq"})


def write_pages(file: Path, pages: Iterable[Page]) -> int:
    """Writes pages to a new file, one line each; returns how many.

    Raises:
        InputError: If the file exists, or can't be written.
    """
    count = 0
    try:
        with file.open("x", encoding="utf-8") as lines:
            for page in pages:
                lines.write(json.dumps(_body(page), ensure_ascii=False) + "\n")
                count += 1
    except FileExistsError as error:
        raise InputError("path", f"{file} exists; it was left as it is") from error
    except OSError as error:
        raise InputError("path", f"{file} can't be written: {error.strerror}") from error
    return count


def read_pages(file: Path, *, now: datetime) -> list[PageDraft]:
    """Reads every line of a file as an exchange; empty lines are passed over.

    Raises:
        InputError: If the file can't be read, or a line is no exchange; the message says which line.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("path", f"{file} can't be read: {error}") from error
    drafts = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                drafts.append(_draft(json.loads(line), now))
            except (json.JSONDecodeError, InputError) as error:
                raise InputError("path", f"{file}, line {number}: {error}") from error
    return drafts


def _body(page: Page) -> dict[str, Any]:
    return {
        "page_id": page.page_id,
        "seq": page.seq,
        "at": page.at.isoformat(),
        "user_text": page.user_text,
        "assistant_text": page.assistant_text,
        "meta_data": dict(page.metadata),
    }


def _draft(body: Any, now: datetime) -> PageDraft:
    if not isinstance(body, dict):
        raise InputError("line", "is no JSON object")
    fields = {_NAMES.get(str(name), str(name)): value for name, value in body.items()}
    unknown = sorted(set(fields) - _KNOWN)
    if unknown:
        raise InputError(unknown[0], "is no field of a page")
    return read_draft(
        fields.get("user_text", ""),
        fields.get("assistant_text", ""),
        fields.get("at"),
        fields.get("meta_data"),
        now=now,
    )
