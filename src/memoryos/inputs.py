"""Validates the arguments of public methods and converts them to the types of ``memoryos.model``."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dateutil import parser

from memoryos.errors import InputError
from memoryos.model import PageDraft, Scope
from memoryos.time_zones import NO_ZONE, utc_offset_minutes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "TokenCounter",
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


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Calls the caller's function that counts the tokens of a text, and validates its result.

    Attributes:
        function: Returns the number of tokens of a text.
    """

    function: Callable[[str], float]

    def __call__(self, text: str) -> float:
        """Returns the number of tokens of a text.

        Raises:
            InputError: If the caller's function does not return a finite number of at least 0.
        """
        count = self.function(text)
        if not isinstance(count, (int, float)) or not 0 <= count < math.inf:
            raise InputError("count_tokens", f"the function returned {count!r}; it must return a number of at least 0")
        return count


def read_scope(user_id: str, assistant_id: str) -> Scope:
    """Validates a user id and an assistant id, and returns them as a ``Scope``.

    An id is any text of 1 to 1,000 characters. It is never used as a file path.

    Raises:
        InputError: If an id is empty, too long, not text, or contains a NUL character or a lone surrogate.
    """
    for field, value in (("user_id", user_id), ("assistant_id", assistant_id)):
        _check_text(field, value, MAX_ID_CHARACTERS)
        if not value.strip():
            raise InputError(field, "is empty; pass an id")
    return Scope(user_id, assistant_id)


def read_draft(
    user_input: str,
    agent_response: str,
    timestamp: datetime | str | None,
    meta_data: Mapping[str, Any] | None,
    *,
    now: datetime,
) -> PageDraft:
    """Validates one exchange of user and assistant, and returns it as a ``PageDraft``.

    One of the two texts may be empty, but not both.

    Args:
        user_input: The text of the user.
        agent_response: The text of the assistant.
        timestamp: Time of the exchange; None: ``now``.
        meta_data: JSON-compatible values.
        now: The current time, in the time zone of times that are given without one.

    Raises:
        InputError: If a text is not a string, is too long, or contains a NUL character or a lone surrogate; if both
            texts are empty; if the timestamp can't be parsed; or if the metadata is not JSON-compatible.
    """
    _check_text("user_input", user_input, MAX_TEXT_CHARACTERS)
    _check_text("agent_response", agent_response, MAX_TEXT_CHARACTERS)
    if not user_input.strip() and not agent_response.strip():
        raise InputError("user_input", "is empty, and agent_response is empty too; pass text in at least one of them")
    metadata = _read_metadata(meta_data)
    sent_at = now if timestamp is None else read_time("timestamp", timestamp, zone=now.tzinfo)
    return PageDraft(
        at=sent_at.astimezone(timezone.utc),
        user_text=user_input,
        assistant_text=agent_response,
        user_name=_read_name(metadata, "user_name"),
        assistant_name=_read_name(metadata, "assistant_name"),
        metadata=metadata,
        utc_offset_minutes=utc_offset_minutes(sent_at),
    )


def read_messages(messages: Iterable[Mapping[str, Any]], *, now: datetime) -> list[PageDraft]:
    """Converts a list of OpenAI chat messages to pages: a user message and the assistant message after it are one page.

    A user message without an answer is a page with an empty assistant text. An answer without a user message is a page
    with an empty user text. System, developer and tool messages, images and tool calls are skipped. The time of a page
    is the ``timestamp`` of its first message.

    Args:
        messages: The messages, oldest first.
        now: The current time, in the time zone of times that are given without one.

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
    """Validates a text that must not be empty, such as a query, and returns it unchanged.

    Raises:
        InputError: If the text is not a string, is empty or too long, or contains a NUL character or a lone surrogate.
    """
    _check_text(field, query, MAX_TEXT_CHARACTERS)
    if not query.strip():
        raise InputError(field, "is empty; pass a text")
    return query


def read_count(field: str, value: int | None) -> int | None:
    """Validates a maximum number, e.g. of pages or tokens, and returns it. None is valid and means "not given".

    Raises:
        InputError: If the number is not an integer, or is less than 1.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(field, f"must be a whole number of at least 1, not {value!r}")
    return value


def read_idempotency_key(key: str) -> str:
    """Validates an idempotency key, which is any text of 1 to 1,000 characters, and returns it unchanged.

    Raises:
        InputError: If the key is not a string, is empty or too long, or contains a NUL character or a lone surrogate.
    """
    _check_text("idempotency_key", key, MAX_ID_CHARACTERS)
    if not key.strip():
        raise InputError("idempotency_key", "is empty; pass a key or omit the argument")
    return key


def read_time(field: str, value: datetime | str, *, zone: tzinfo | None = None) -> datetime:
    """Converts a datetime or a text in ISO 8601 format to an aware time, and keeps its UTC offset.

    Args:
        field: Name of the argument, for error messages.
        value: The datetime or text.
        zone: Time zone of a value without one; default: ``NO_ZONE``, which is UTC.

    Raises:
        InputError: If the value can't be parsed as a time, or its offset is not smaller than 24 hours.
    """
    if isinstance(value, str):
        value = _parse(field, value)
    if not isinstance(value, datetime):
        raise InputError(field, f"must be a datetime or ISO 8601 text, not {type(value).__name__}")
    try:
        moment = value.replace(tzinfo=zone or NO_ZONE) if value.utcoffset() is None else value
        moment.astimezone(timezone.utc)
    except OverflowError as error:
        raise InputError(field, "is outside the years 1 to 9999 in UTC; pass another time") from error
    except (TypeError, ValueError) as error:
        raise InputError(field, f"has no valid UTC offset ({error}); pass an offset of less than 24 hours") from error
    return moment


def _parse(field: str, text: str) -> datetime:
    try:
        return parser.isoparse(text.strip())
    except (ValueError, OverflowError) as error:
        raise InputError(
            field, f"{text[:40]!r} is not a time in ISO 8601 format; write it like 2023-05-08T13:56:00+00:00"
        ) from error


def _check_text(field: str, value: object, limit: int) -> None:
    if not isinstance(value, str):
        raise InputError(field, f"must be text (str), not {type(value).__name__}")
    if len(value) > limit:
        raise InputError(field, f"has {len(value):,} characters; shorten it to at most {limit:,}")
    found = _UNSTORABLE.search(value)
    if found:
        what = "a NUL character" if found.group() == "\0" else "a lone surrogate"
        raise InputError(field, f"contains {what} at character {found.start()}; remove it, e.g. with str.replace")


def _read_metadata(meta_data: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if meta_data is None:
        return MappingProxyType({})
    try:
        text = json.dumps(dict(meta_data), allow_nan=False)
        copy: dict[str, Any] = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError("meta_data", f"can't be converted to a JSON object ({error}); use JSON types only") from error
    if len(text) > MAX_TEXT_CHARACTERS:
        raise InputError(
            "meta_data", f"has {len(text):,} characters as JSON; shorten it to at most {MAX_TEXT_CHARACTERS:,}"
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
                raise InputError(field, f"has lists or objects nested more than {MAX_DEPTH} levels deep; flatten them")
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
        raise InputError(field, "must be a mapping with the members `role` and `content`") from error
    if role not in {"user", "assistant"}:
        return role, "", None
    if content is None:
        return role, "", None
    if isinstance(content, (list, tuple)):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "\n".join(part for part in parts if isinstance(part, str))
    _check_text(f"{field}.content", content, MAX_TEXT_CHARACTERS)
    return role, content, message.get("timestamp")
