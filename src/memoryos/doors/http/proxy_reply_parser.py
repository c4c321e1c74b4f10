"""Parses the reply of the LLM endpoint while it is forwarded: collects the answer's text and detects its end."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from memoryos.models.openai import mended
from memoryos.models.thinking import strip_thinking

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ReplyParser", "parser_for"]

MAX_ANSWER = 1_000_000
"""Maximum length in characters of an answer that is stored. Longer answers are only forwarded."""
MAX_DOCUMENT = 16 << 20
"""Maximum size in bytes of a JSON reply or single event that is parsed. Larger ones are only forwarded."""
_NO_ANSWER = frozenset(
    {"tool_calls", "function_call", "content_filter", "abort", "error", "insufficient_system_resource"}
)
"""Finish reasons after which no answer is stored: the model calls tools, or the LLM endpoint stopped the answer."""
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE_END = re.compile(rb"\r\n|\n|\r")


class ReplyParser(Protocol):
    """Parses a successful reply of the LLM endpoint piece by piece, while the reply is forwarded."""

    @property
    def ends_at_last_byte(self) -> bool:
        """Whether the reply is complete only at its last byte. The exchange is then stored before this byte is sent."""

    @property
    def is_done(self) -> bool:
        """Whether the parser has found a mark for the end of the reply, for example ``[DONE]``."""

    def feed(self, piece: bytes) -> None:
        """Parses the next piece of the reply."""

    def answer(self) -> str | None:
        """Returns the text of the answer; None if the answer is incomplete or should not be stored."""


def parser_for(status: int, headers: Mapping[str, str]) -> ReplyParser | None:
    """Returns a parser for a reply; None if the reply is an error or has an unknown encoding."""
    if status != 200:  # noqa: PLR2004
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    inner: ReplyParser = _StreamParser() if kind == "text/event-stream" else _DocumentParser()
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding in {"gzip", "x-gzip", "deflate"}:
        return _InflatingParser(inner)
    return inner if coding in {"", "identity"} else None


@dataclass(slots=True)
class _AnswerText:
    """Collects the text and the finish reason of the first choice in a chat completion."""

    pieces: list[str] = field(default_factory=list)
    length: int = 0
    finish: str | None = None
    calls_tools: bool = False
    has_failed: bool = False

    def add(self, reply: Any, part: str) -> None:
        """Adds the text of a completion or of a chunk of a stream. Missing fields are ignored.

        Args:
            reply: The parsed completion or chunk.
            part: "message" for a completion, "delta" for a chunk.
        """
        if not isinstance(reply, dict) or reply.get("error"):
            self.has_failed = True
            return
        choices = reply.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index", 0) == 0:
                self._add_choice(choice, choice.get(part))

    def _add_choice(self, choice: Mapping[str, Any], content: Any) -> None:
        if isinstance(content, dict):
            text = content.get("content")
            if isinstance(text, str):
                self.length += len(text)
                self.has_failed = self.has_failed or self.length > MAX_ANSWER
                self.pieces += [] if self.has_failed else [text]
            self.calls_tools = self.calls_tools or bool(content.get("tool_calls") or content.get("function_call"))
        finish = choice.get("finish_reason")
        self.finish = finish if isinstance(finish, str) else self.finish

    def answer(self, *, is_done: bool) -> str | None:
        is_complete = is_done or self.finish is not None
        if not is_complete or self.has_failed or self.calls_tools or self.finish in _NO_ANSWER:
            return None
        return strip_thinking(mended("".join(self.pieces))) or None


class _StreamParser:
    """Parses a reply of server-sent events. Only the answer's text and the current event are kept in memory."""

    ends_at_last_byte = False

    def __init__(self) -> None:
        self.is_done = False
        self._text = _AnswerText()
        self._incomplete = bytearray()

    def feed(self, piece: bytes) -> None:
        if self._text.has_failed:
            return
        searched = max(0, len(self._incomplete) - 3)
        self._incomplete += piece
        start = 0
        while (end := _EVENT_END.search(self._incomplete, max(start, searched))) is not None:
            self._read(bytes(self._incomplete[start : end.start()]))
            start = end.end()
        del self._incomplete[:start]
        if len(self._incomplete) > MAX_DOCUMENT:
            self._text.has_failed = True
            self._incomplete.clear()

    def answer(self) -> str | None:
        return self._text.answer(is_done=self.is_done)

    def _read(self, event: bytes) -> None:
        lines = (line.partition(b":") for line in _LINE_END.split(event))
        data = b"\n".join(value.removeprefix(b" ") for name, _, value in lines if name == b"data")
        if data.strip() == b"[DONE]":
            self.is_done = True
        elif data:
            self._text.add(_parsed(data), "delta")


class _DocumentParser:
    """Parses a reply that is one JSON document."""

    ends_at_last_byte = True
    is_done = False

    def __init__(self) -> None:
        self._document = bytearray()
        self._is_too_long = False

    def feed(self, piece: bytes) -> None:
        self._is_too_long = self._is_too_long or len(self._document) + len(piece) > MAX_DOCUMENT
        if self._is_too_long:
            self._document.clear()
        else:
            self._document += piece

    def answer(self) -> str | None:
        text_parts = _AnswerText()
        text_parts.add(_parsed(bytes(self._document)), "message")
        return text_parts.answer(is_done=False)


class _InflatingParser:
    """Decompresses a compressed reply for another parser. The forwarded bytes stay compressed."""

    def __init__(self, inner: ReplyParser) -> None:
        self._inner = inner
        self._inflate = zlib.decompressobj(wbits=47)
        self._is_broken = False

    @property
    def ends_at_last_byte(self) -> bool:
        return self._inner.ends_at_last_byte

    @property
    def is_done(self) -> bool:
        return self._inner.is_done

    def feed(self, piece: bytes) -> None:
        if self._is_broken:
            return
        try:
            plain = self._inflate.decompress(piece, MAX_DOCUMENT)
        except zlib.error:
            self._is_broken = True
            return
        self._is_broken = bool(self._inflate.unconsumed_tail)
        self._inner.feed(plain)

    def answer(self) -> str | None:
        return None if self._is_broken else self._inner.answer()


def _parsed(data: bytes) -> Any:
    """Returns the parsed JSON; None if the data is not valid JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
