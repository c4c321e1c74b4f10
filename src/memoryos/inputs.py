"""Validates arguments of the public methods and converts them to value types."""

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
    """Returns the scope of two ids: any text of 1 to 1,000 characters, never used as a path.

    Raises:
        InputError: If an id is empty, too long, not text, or contains a NUL character or a lone surrogate.
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
    """Returns one exchange. One side may be empty, not both.

    Raises:
        InputError: If a text is not a string, too long, or contains a NUL character or a lone surrogate; if both texts
            are empty; if the timestamp can't be parsed; or if the metadata is not JSON-compatible.
    """
    _check_text("user_input", user_input, MAX_TEXT_CHARACTERS)
    _check_text("agent_response", agent_response, MAX_TEXT_CHARACTERS)
    if not user_input.strip() and not agent_response.strip():
        raise InputError("user_input", "is empty, and so is agent_response; one of them needs text")
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
    """Returns the exchanges of an OpenAI message list: a user message and the assistant message after it are one page.

    A user message without an answer, or an answer without a user message, is a page with one side. Skips system,
    developer and tool messages, images and tool calls. The ``timestamp`` of a page's first message is the page's time.

    Raises:
        InputError: If an entry is not a message or its text is not valid.
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
    """Returns a query, or another text that must not be empty, after validation.

    Raises:
        InputError: If it is not a string, empty, too long, or contains a NUL character or a lone surrogate.
    """
    _check_text(field, query, MAX_TEXT_CHARACTERS)
    if not query.strip():
        raise InputError(field, "is empty")
    return query


def read_count(field: str, value: int | None) -> int | None:
    """Returns a number of pages or tokens after validation; None stays None.

    Raises:
        InputError: If it is not a whole number or less than 1.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(field, "must be a whole number of at least 1")
    return value


def read_idempotency_key(key: str) -> str:
    """Returns an idempotency key after validation: any text of 1 to 1,000 characters.

    Raises:
        InputError: If it is not a string, empty, too long, or contains a NUL character or a lone surrogate.
    """
    _check_text("idempotency_key", key, MAX_ID_CHARACTERS)
    if not key.strip():
        raise InputError("idempotency_key", "is empty")
    return key


def read_time(field: str, value: datetime | str) -> datetime:
    """Returns a datetime, or ISO 8601 text, as an aware UTC time. A time without a time zone is UTC.

    Raises:
        InputError: If it can't be parsed as a time.
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
        raise InputError(field, "is outside the years 1 to 9999") from error


def _parse(field: str, text: str) -> datetime:
    try:
        return parser.isoparse(text.strip())
    except (ValueError, OverflowError) as error:
        raise InputError(
            field, f"{text[:40]!r} is not an ISO 8601 time; write it like 2023-05-08T13:56:00+00:00"
        ) from error


def _check_text(field: str, value: object, limit: int) -> None:
    if not isinstance(value, str):
        raise InputError(field, f"must be text (str), not {type(value).__name__}")
    if len(value) > limit:
        raise InputError(field, f"has {len(value):,} characters; at most {limit:,} are allowed")
    found = _UNSTORABLE.search(value)
    if found:
        what = "a NUL character" if found.group() == "\0" else "a lone surrogate"
        raise InputError(field, f"contains {what} at position {found.start()}; remove it, for example with str.replace")


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
                raise InputError(field, f"has lists or objects nested more than {MAX_DEPTH} deep; flatten them")
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
