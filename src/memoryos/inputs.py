"""The border: what callers hand over becomes a value of the model, or a typed error that says what to do."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dateutil import parser

from memoryos.errors import InputError
from memoryos.model import PageDraft, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "read_count",
    "read_draft",
    "read_idempotency_key",
    "read_messages",
    "read_query",
    "read_scope",
    "read_time",
]

MAX_TEXT_CHARACTERS = 4_000_000
MAX_ID_CHARACTERS = 1_000
MAX_DEPTH = 100
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def read_scope(user_id: str, assistant_id: str) -> Scope:
    """Returns the scope of two ids. They are data, never paths: any text of 1 to 1,000 characters will do.

    Raises:
        InputError: If an id is empty, too long, no text, or has a NUL or a lone surrogate.
    """
    for field, value in (("user_id", user_id), ("assistant_id", assistant_id)):
        _check_text(field, value, MAX_ID_CHARACTERS)
        if not value.strip():
            raise InputError(field, "is empty")
    return Scope(user_id, assistant_id)


def read_draft(
    user_input: str,
    agent_response: str,
    timestamp: datetime | str | None,
    meta_data: Mapping[str, Any] | None,
    *,
    now: datetime,
) -> PageDraft:
    """Returns the exchange as the log takes it. One side may be empty, not both.

    Raises:
        InputError: If a text is no string, too long, has a NUL or a lone surrogate, both are empty, the timestamp
            can't be read, or the metadata is not JSON-compatible.
    """
    _check_text("user_input", user_input, MAX_TEXT_CHARACTERS)
    _check_text("agent_response", agent_response, MAX_TEXT_CHARACTERS)
    if not user_input.strip() and not agent_response.strip():
        raise InputError("user_input", "both sides are empty; there is nothing to remember")
    metadata = _read_metadata(meta_data)
    return PageDraft(
        at=now if timestamp is None else read_time("timestamp", timestamp),
        user_text=user_input,
        assistant_text=agent_response,
        user_name=_read_name(metadata, "user_name"),
        assistant_name=_read_name(metadata, "assistant_name"),
        metadata=metadata,
    )


def read_messages(messages: Iterable[Mapping[str, Any]], *, now: datetime) -> list[PageDraft]:
    """Returns an OpenAI message list as exchanges: a user message and the assistant message behind it are one page.

    A message without a partner is a page with one side. Only text is remembered: system, developer and tool messages,
    images and tool calls are passed over. A message may carry ``timestamp``; a page takes its first message's.

    Raises:
        InputError: If an entry is no message, or its text can't be remembered.
    """
    drafts: list[PageDraft] = []
    asked: tuple[str, Any] | None = None
    for index, message in enumerate(messages):
        role, text, time = _read_message(f"messages[{index}]", message)
        if not text.strip():
            continue
        if asked is not None and role == "assistant":
            drafts.append(read_draft(asked[0], text, asked[1] or time, None, now=now))
            asked = None
            continue
        if asked is not None:
            drafts.append(read_draft(asked[0], "", asked[1], None, now=now))
            asked = None
        if role == "user":
            asked = (text, time)
        else:
            drafts.append(read_draft("", text, time, None, now=now))
    if asked is not None:
        drafts.append(read_draft(asked[0], "", asked[1], None, now=now))
    return drafts


def read_query(query: str, *, field: str = "query") -> str:
    """Returns the query, or another text that has to say something, checked.

    Raises:
        InputError: If it is no string, empty, too long, or has a NUL or a lone surrogate.
    """
    _check_text(field, query, MAX_TEXT_CHARACTERS)
    if not query.strip():
        raise InputError(field, "is empty")
    return query


def read_count(field: str, value: int | None) -> int | None:
    """Returns a number of pages or tokens, None if none was given.

    Raises:
        InputError: If it is no whole number, or less than 1.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(field, "must be a whole number of at least 1")
    return value


def read_idempotency_key(key: str) -> str:
    """Returns the key by which a caller knows a request again, checked: any text of 1 to 1,000 characters.

    Raises:
        InputError: If it is no string, empty, too long, or has a NUL or a lone surrogate.
    """
    _check_text("idempotency_key", key, MAX_ID_CHARACTERS)
    if not key.strip():
        raise InputError("idempotency_key", "is empty")
    return key


def read_time(field: str, value: datetime | str) -> datetime:
    """Returns an aware UTC time of a datetime or of ISO 8601 text; one without a zone is read as UTC.

    Raises:
        InputError: If it can't be read as a time.
    """
    if isinstance(value, str):
        value = _parse(field, value)
    if not isinstance(value, datetime):
        raise InputError(field, f"must be a datetime or ISO 8601 text, not {type(value).__name__}")
    if value.tzinfo is None:
        return value.replace(tzinfo=timezone.utc)
    try:
        return value.astimezone(timezone.utc)
    except OverflowError as error:
        raise InputError(field, "lies outside the years 1 to 9999") from error


def _parse(field: str, text: str) -> datetime:
    try:
        return parser.isoparse(text.strip())
    except (ValueError, OverflowError) as error:
        raise InputError(field, f"{text[:40]!r} is no ISO 8601 time, as 2023-05-08T13:56:00+00:00") from error


def _check_text(field: str, value: object, limit: int) -> None:
    if not isinstance(value, str):
        raise InputError(field, f"must be text (str), not {type(value).__name__}")
    if len(value) > limit:
        raise InputError(field, f"has {len(value):,} characters; at most {limit:,} are allowed")
    found = _UNSTORABLE.search(value)
    if found:
        what = "a NUL character" if found.group() == "\0" else "a lone surrogate"
        raise InputError(field, f"has {what} at position {found.start()}; remove it, as with str.replace")


def _read_metadata(meta_data: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if meta_data is None:
        return MappingProxyType({})
    try:
        text = json.dumps(dict(meta_data), allow_nan=False)
        copy: dict[str, Any] = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError("meta_data", f"must be a JSON-compatible mapping: {error}") from error
    if len(text) > MAX_TEXT_CHARACTERS:
        raise InputError(
            "meta_data", f"has {len(text):,} characters as JSON; at most {MAX_TEXT_CHARACTERS:,} are allowed"
        )
    _check_values("meta_data", copy)
    return MappingProxyType(copy)


def _check_values(field: str, value: Any) -> None:
    inside: list[tuple[Any, int]] = [(value, 1)]
    for each, depth in inside:
        if isinstance(each, str):
            _check_text(field, each, MAX_TEXT_CHARACTERS)
        elif isinstance(each, (dict, list)):
            if depth > MAX_DEPTH:
                raise InputError(field, f"has lists or objects in one another, more than {MAX_DEPTH} deep")
            parts = [*each, *each.values()] if isinstance(each, dict) else each
            inside += [(part, depth + 1) for part in parts]


def _read_name(metadata: Mapping[str, Any], key: str) -> str | None:
    name = metadata.get(key)
    if name is None:
        return None
    _check_text(f"meta_data[{key!r}]", name, MAX_ID_CHARACTERS)
    return str(name).strip() or None


def _read_message(field: str, message: Mapping[str, Any]) -> tuple[str, str, Any]:
    try:
        role, content = str(message["role"]), message.get("content")
    except (TypeError, KeyError, AttributeError, IndexError) as error:
        raise InputError(field, "must be a mapping with role and content") from error
    if role not in {"user", "assistant"}:
        return role, "", None
    if content is None:
        return role, "", None
    if isinstance(content, (list, tuple)):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "\n".join(part for part in parts if isinstance(part, str))
    _check_text(f"{field}.content", content, MAX_TEXT_CHARACTERS)
    return role, content, message.get("timestamp")
