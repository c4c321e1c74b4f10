"""Detects the format of a file, zip archive or folder to import, and reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memoryos.errors import InputError
from memoryos.importing.archives import is_archive, read_text
from memoryos.importing.chat_exports import NAME, is_chat_export, read_chat_export
from memoryos.importing.message_lists import is_message_list, read_message_list
from memoryos.importing.published import (
    is_published_folder,
    is_published_memory,
    read_published,
    read_published_file,
)
from memoryos.importing.salvage import read_documents
from memoryos.importing.sources import Source
from memoryos.importing.spool import DraftSpool
from memoryos.transfer import read_pages

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

__all__ = ["read_source"]

_SIDES = ("user_text", "assistant_text", "user_input", "agent_response")
_KNOWN = (
    "an export of MemoryOS, or pages as JSON lines; a data folder of the published MemoryOS (users/, assistants/); "
    "a data export of ChatGPT or Claude.ai (the zip file, its folder or conversations.json); "
    'messages such as {"role": "user", "content": "…"}, as JSON or JSON lines'
)


def read_source(path: Path, now: datetime) -> list[Source]:
    """Reads a file, zip archive or folder of any supported format.

    Args:
        path: The file, archive or folder.
        now: Time of pages whose time the file does not contain, in the time zone of times without one.

    Returns:
        One source for each user and assistant in the file.

    Raises:
        InputError: If the file can't be read, or its format is not supported. The message lists the supported formats.
    """
    if path.is_dir():
        return _read_folder(path, now)
    if not path.is_file():
        raise InputError("path", f"{path} does not exist or is neither a file nor a folder; check the path")
    return read_chat_export(path, now) if is_archive(path) else _read_file(path, now)


def _read_folder(folder: Path, now: datetime) -> list[Source]:
    if is_published_folder(folder):
        return read_published(folder, now)
    try:
        exported = any(NAME.search(each.name) for each in folder.iterdir())
    except OSError as error:
        raise InputError("path", f"{folder} can't be read ({error.strerror}); check the folder") from error
    if exported:
        return read_chat_export(folder, now)
    raise _unknown(folder)


def _read_file(file: Path, now: datetime) -> list[Source]:
    if is_chat_export(file):
        return read_chat_export(file, now)
    read = _reader_of([each.value for each in read_documents(read_text(file))])
    if read is None:
        raise _unknown(file)
    return read(file, now)


def _reader_of(values: list[Any]) -> Callable[[Path, datetime], list[Source]] | None:
    if _is_own_page(values[0]):
        return _read_own_pages
    if is_published_memory(values[0]):
        return read_published_file
    return read_message_list if any(is_message_list(each) for each in values) else None


def _read_own_pages(file: Path, now: datetime) -> list[Source]:
    try:
        drafts = DraftSpool()
        for draft in read_pages(file, now=now):
            drafts.append(draft)
    except (RecursionError, ValueError) as error:
        raise InputError(
            "path", f"{file} contains a line that can't be read ({type(error).__name__}); repair or remove the line"
        ) from error
    return [Source(None, None, drafts, ())]


def _is_own_page(value: Any) -> bool:
    return isinstance(value, dict) and any(name in value for name in _SIDES)


def _unknown(path: Path) -> InputError:
    return InputError("path", f"the format of {path} is not supported; supported formats are: {_KNOWN}")
