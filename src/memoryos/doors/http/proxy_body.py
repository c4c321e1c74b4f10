"""The request body of a chat completion. The proxy inserts one message and leaves every other byte unchanged."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memoryos.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Chat", "read_chat"]

_WHITE_SPACE = re.compile(r"[ \t\r\n]*")
_decoder = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Chat:
    """The request body of a chat completion.

    Attributes:
        raw: The body as received.
        fields: The parsed members of the body.
        messages: The messages of the chat, oldest first; empty if the body's ``messages`` is not a list of objects.
    """

    raw: str = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    messages: Sequence[Mapping[str, Any]] = field(repr=False)

    @property
    def user(self) -> str | None:
        """The field ``user``; None if it is absent, null or empty.

        Raises:
            InputError: If the field is not text.
        """
        user = self.fields.get("user")
        if user is not None and not isinstance(user, str):
            raise InputError("user", "must be text")
        return user or None

    @property
    def question(self) -> str | None:
        """The text of the last user message; "" for a message without text (an image), None without a user message."""
        last = self._last_user_message()
        return None if last is None else text_of(self.messages[last])

    def texts(self) -> frozenset[tuple[str, str]]:
        """Returns the role and the text of every message. White space around the text is removed."""
        return frozenset((str(each.get("role")), text_of(each).strip()) for each in self.messages)

    def digest(self) -> str:
        """Returns a hash of all messages up to the last user message. The hash identifies the user's question.

        All requests of a tool loop (a model calls tools and reads their results) have the same hash. A repeated request
        has the same hash, too.
        """
        last = self._last_user_message()
        messages = self.messages[: 0 if last is None else last + 1]
        return hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()

    def with_memory(self, text: str) -> bytes:
        """Returns the body with an additional system message after the system messages at the start of the chat.

        All other bytes stay the same, including number formats, white space and duplicate fields.

        Args:
            text: Text of the additional message.
        """
        message = json.dumps({"role": "system", "content": text}, ensure_ascii=False)
        leading = self._count_leading()
        position = _insert_position(self.raw, leading)
        inserted = f", {message}" if leading else f"{message}, "
        return f"{self.raw[:position]}{inserted}{self.raw[position:]}".encode()

    def _last_user_message(self) -> int | None:
        return next((at for at in reversed(range(len(self.messages))) if self.messages[at].get("role") == "user"), None)

    def _count_leading(self) -> int:
        """Returns the number of system and developer messages at the start of the chat."""
        roles = (each.get("role") for each in self.messages)
        return next((at for at, role in enumerate(roles) if role not in {"system", "developer"}), len(self.messages))


def read_chat(body: bytes) -> Chat:
    """Parses a request body. Only the fields that the proxy uses are checked.

    Raises:
        InputError: If the body is not a JSON object in UTF-8.
    """
    try:
        raw = body.decode()
        fields = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError("body", "is not valid JSON in UTF-8") from error
    if not isinstance(fields, dict):
        raise InputError("body", "must be a JSON object")
    messages = fields.get("messages")
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        messages = []
    return Chat(raw, fields, messages)


def text_of(message: Mapping[str, Any]) -> str:
    """Returns the text of a message, with each text part on its own line; "" for a message without text."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [each.get("text") for each in content if isinstance(each, dict) and each.get("type") == "text"]
    return "\n".join(each for each in texts if isinstance(each, str))


def _insert_position(raw: str, leading: int) -> int:
    """Returns the index in the body at which a new message is to be inserted, after the first ``leading`` messages."""
    at = _skip_space(raw, _messages_start(raw) + 1)
    for number in range(leading):
        if number:
            at = _skip_space(raw, _skip_space(raw, at) + 1)
        _, at = _decoder.raw_decode(raw, at)
    return at


def _messages_start(raw: str) -> int:
    """Returns the index at which the value of the field ``messages`` begins.

    If the field occurs several times, the last one is used, as in JSON parsers.
    """
    found = 0
    at = _skip_space(raw, _skip_space(raw, 0) + 1)
    while raw[at] != "}":
        name, at = _decoder.raw_decode(raw, at)
        value_at = _skip_space(raw, _skip_space(raw, at) + 1)
        if name == "messages":
            found = value_at
        _, at = _decoder.raw_decode(raw, value_at)
        at = _skip_space(raw, at)
        if raw[at] == ",":
            at = _skip_space(raw, at + 1)
    return found


def _skip_space(raw: str, at: int) -> int:
    """Returns the index of the first character at or after ``at`` that is not white space."""
    found = _WHITE_SPACE.match(raw, at)
    return found.end() if found else at
