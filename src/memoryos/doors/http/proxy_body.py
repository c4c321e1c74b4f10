"""The body of a chat as the proxy reads it; one message is put in, and every other byte stays what it was."""

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

_SPACE = re.compile(r"[ \t\r\n]*")
_decoder = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Chat:
    """The body of one request for a completion.

    Attributes:
        raw: The body as it came.
        fields: What stands in it.
        messages: The messages that are objects, oldest first; none if ``messages`` is no list of objects.
    """

    raw: str = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    messages: Sequence[Mapping[str, Any]] = field(repr=False)

    @property
    def user(self) -> str | None:
        """The field ``user``; None if it is absent, null or empty.

        Raises:
            InputError: If it is no text.
        """
        user = self.fields.get("user")
        if user is not None and not isinstance(user, str):
            raise InputError("user", "must be text")
        return user or None

    @property
    def asked(self) -> str | None:
        """The text of the last user message, "" if it has none (an image); None if no user has spoken."""
        last = self._last_asked()
        return None if last is None else text_of(self.messages[last])

    def said(self) -> frozenset[tuple[str, str]]:
        """Returns role and text of every message, without the space around it."""
        return frozenset((str(each.get("role")), text_of(each).strip()) for each in self.messages)

    def digest(self) -> str:
        """Returns what tells this question from others: of every message up to the last one of the user.

        The calls of one tool loop share it, and so does a request that is sent again.
        """
        last = self._last_asked()
        asked = self.messages[: 0 if last is None else last + 1]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def with_memory(self, text: str) -> bytes:
        """Returns the body with a system message of that text behind the caller's own first ones.

        The rest stays byte for byte, numbers, spaces and fields given twice included.
        """
        message = json.dumps({"role": "system", "content": text}, ensure_ascii=False)
        leading = self._leading()
        place = _place_behind(self.raw, leading)
        inserted = f", {message}" if leading else f"{message}, "
        return f"{self.raw[:place]}{inserted}{self.raw[place:]}".encode()

    def _last_asked(self) -> int | None:
        return next((at for at in reversed(range(len(self.messages))) if self.messages[at].get("role") == "user"), None)

    def _leading(self) -> int:
        """Returns how many system and developer messages stand in front of the conversation."""
        roles = (each.get("role") for each in self.messages)
        return next((at for at, role in enumerate(roles) if role not in {"system", "developer"}), len(self.messages))


def read_chat(body: bytes) -> Chat:
    """Returns the body, read; what only the endpoint can judge is left to it.

    Raises:
        InputError: If it is no JSON object in UTF-8.
    """
    try:
        raw = body.decode()
        fields = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError("body", "is no JSON in UTF-8") from error
    if not isinstance(fields, dict):
        raise InputError("body", "must be a JSON object")
    messages = fields.get("messages")
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        messages = []
    return Chat(raw, fields, messages)


def text_of(message: Mapping[str, Any]) -> str:
    """Returns the text of a message, its text parts on lines of their own; "" if it has none."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [each.get("text") for each in content if isinstance(each, dict) and each.get("type") == "text"]
    return "\n".join(each for each in texts if isinstance(each, str))


def _place_behind(raw: str, leading: int) -> int:
    """Returns where a message goes into the list of a valid body: behind its first few, or in front of the first."""
    at = _past(raw, _messages_start(raw) + 1)
    for number in range(leading):
        if number:
            at = _past(raw, _past(raw, at) + 1)
        _, at = _decoder.raw_decode(raw, at)
    return at


def _messages_start(raw: str) -> int:
    """Returns where the value of ``messages`` begins; of several, the last counts, as for every JSON reader we know."""
    found = 0
    at = _past(raw, _past(raw, 0) + 1)
    while raw[at] != "}":
        name, at = _decoder.raw_decode(raw, at)
        value_at = _past(raw, _past(raw, at) + 1)
        if name == "messages":
            found = value_at
        _, at = _decoder.raw_decode(raw, value_at)
        at = _past(raw, at)
        if raw[at] == ",":
            at = _past(raw, at + 1)
    return found


def _past(raw: str, at: int) -> int:
    """Returns the place of the first character from here on that is no space."""
    found = _SPACE.match(raw, at)
    return found.end() if found else at
