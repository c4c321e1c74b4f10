"""Reads lists of messages in the format of chat APIs.

A message is ``{"role", "content"[, "timestamp" or "created_at"]}``. A file contains one of these:

* a JSON array of messages, which is one conversation;
* an object with the member ``messages``, which is such an array;
* an array of such arrays or objects;
* JSON lines of any of these. Consecutive lines with single messages are one conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memoryos.errors import InputError
from memoryos.importing.archives import read_text
from memoryos.importing.salvage import PartialObject, read_documents
from memoryos.importing.sources import DAMAGED, Message, Source, SourceBuilder, label

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from memoryos.model import Side

__all__ = ["is_message_list", "read_message_list"]

_SIDES: dict[str, Side] = {"user": "user", "assistant": "assistant"}

Placed = tuple[str, Any]


def is_message_list(value: Any) -> bool:
    """Returns whether a JSON value is a message or contains a list of messages."""
    return _is_message(value) or any(_is_message(body) for _, members in _lists("", value) for _, body in members)


def read_message_list(file: Path, now: datetime) -> list[Source]:
    """Reads a file with one or more lists of messages.

    Returns:
        One source, with the pages of all conversations.

    Raises:
        InputError: If the file can't be read or contains no message.
    """
    builder = SourceBuilder(now)
    documents = read_documents(read_text(file))
    if not any(is_message_list(each.value) for each in documents):
        raise InputError(
            "path", f'{file} contains no messages; a message must have the form {{"role": "user", "content": "…"}}'
        )
    lines: list[Placed] = []
    for document in documents:
        place = ", ".join(filter(None, (file.name, document.place)))
        if document.damage:
            builder.note(place, f"{document.damage}; the part before it was read")
        if _is_message(document.value):
            lines.append((place, document.value))
        elif document.value is not None:
            _add(builder, lines, None)
            lines = []
            for name, members in _lists(place, document.value):
                _add(builder, members, name)
    _add(builder, lines, None)
    return [builder.source()]


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and "role" in value


def _lists(place: str, value: Any) -> Iterator[tuple[str | None, list[Placed]]]:
    """Yields the conversations in a JSON value: the title of each, and its messages with their places in the file."""
    if isinstance(value, list) and not any(_is_message(each) for each in value):
        conversations = [(f"{place}, list {number}", each) for number, each in enumerate(value, 1)]
    else:
        conversations = [(place, value)]
    for where, body in conversations:
        members, title = body, None
        if isinstance(body, dict):
            members, title = body.get("messages"), label(body.get("title"), body.get("id"))
        if isinstance(members, list):
            yield title, [(f"{where}, message {number}", each) for number, each in enumerate(members, 1)]
        else:
            yield None, [(where, body)]


def _add(builder: SourceBuilder, members: list[Placed], title: str | None) -> None:
    messages = [_message(builder, place, body) for place, body in members]
    builder.add_messages([each for each in messages if each is not None], title)


def _message(builder: SourceBuilder, place: str, body: Any) -> Message | None:
    if isinstance(body, PartialObject) or not _is_message(body):
        builder.note(
            place,
            DAMAGED if isinstance(body, PartialObject) else "is not a message; it was skipped",
        )
        return None
    role = body["role"]
    if not isinstance(role, str):
        builder.note(place, "the role of the message is not text; the message was skipped")
        return None
    text = _text(body.get("content"))
    if text is None:
        builder.note(place, "the content is neither text nor a list of parts; the message was skipped")
    if text is None or role not in _SIDES:
        return None
    written = body.get("timestamp") or body.get("created_at")
    at = builder.time_of(written)
    if written and at is None:
        builder.note(place, "the time of the message can't be read; the time of an adjacent message was used")
    return Message(_SIDES[role], text, at, place)


def _text(content: Any) -> str | None:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        return None
    parts = [part.get("text") if isinstance(part, dict) else part for part in content]
    return "\n".join(part for part in parts if isinstance(part, str))
