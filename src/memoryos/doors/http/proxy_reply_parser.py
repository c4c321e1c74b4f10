"""An endpoint's reply as it passes by: its text is read along, and whether it came to its end."""

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

LONGEST_ANSWER = 1_000_000
"""Characters; a longer answer passes and is not remembered."""
LONGEST_DOCUMENT = 16 << 20
"""Bytes of a reply that is no stream, or of one event of a stream; likewise."""
_NO_ANSWER = frozenset(
    {"tool_calls", "function_call", "content_filter", "abort", "error", "insufficient_system_resource"}
)
"""Reasons to finish after which there is nothing to remember: tools are to be called, or the endpoint broke off."""
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE_END = re.compile(rb"\r\n|\n|\r")


class ReplyParser(Protocol):
    """Reads a reply of status 200 along as it passes."""

    @property
    def holds_last(self) -> bool:
        """Whether only the last byte tells that the reply is whole, so that it is passed on after it was remembered."""

    @property
    def is_done(self) -> bool:
        """Whether the reply said that nothing follows."""

    def feed(self, piece: bytes) -> None:
        """Reads the next piece."""

    def answer(self) -> str | None:
        """Returns the text if the answer came to its end and is one to remember, else None."""


def parser_for(status: int, headers: Mapping[str, str]) -> ReplyParser | None:
    """Returns what reads such a reply along, None if there is nothing to read in it."""
    if status != 200:  # noqa: PLR2004
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    inner: ReplyParser = _StreamReader() if kind == "text/event-stream" else _DocumentReader()
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding in {"gzip", "x-gzip", "deflate"}:
        return _InflatingReader(inner)
    return inner if coding in {"", "identity"} else None


@dataclass(slots=True)
class _Heard:
    """What the first choice of a completion said so far."""

    pieces: list[str] = field(default_factory=list)
    length: int = 0
    finish: str | None = None
    calls_tools: bool = False
    has_failed: bool = False

    def hear(self, reply: Any, part: str) -> None:
        """Takes a completion (part "message") or a piece of one (part "delta"); any field may be missing."""
        if not isinstance(reply, dict) or reply.get("error"):
            self.has_failed = True
            return
        choices = reply.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index", 0) == 0:
                self._hear_choice(choice, choice.get(part))

    def _hear_choice(self, choice: Mapping[str, Any], said: Any) -> None:
        if isinstance(said, dict):
            text = said.get("content")
            if isinstance(text, str):
                self.length += len(text)
                self.has_failed = self.has_failed or self.length > LONGEST_ANSWER
                self.pieces += [] if self.has_failed else [text]
            self.calls_tools = self.calls_tools or bool(said.get("tool_calls") or said.get("function_call"))
        finish = choice.get("finish_reason")
        self.finish = finish if isinstance(finish, str) else self.finish

    def answer(self, *, is_done: bool) -> str | None:
        is_whole = is_done or self.finish is not None
        if not is_whole or self.has_failed or self.calls_tools or self.finish in _NO_ANSWER:
            return None
        return strip_thinking(mended("".join(self.pieces))) or None


class _StreamReader:
    """Reads server-sent events; keeps the answer's text and the event that is under way, nothing else."""

    holds_last = False

    def __init__(self) -> None:
        self.is_done = False
        self._heard = _Heard()
        self._begun = bytearray()

    def feed(self, piece: bytes) -> None:
        if self._heard.has_failed:
            return
        searched = max(0, len(self._begun) - 3)
        self._begun += piece
        start = 0
        while (end := _EVENT_END.search(self._begun, max(start, searched))) is not None:
            self._read(bytes(self._begun[start : end.start()]))
            start = end.end()
        del self._begun[:start]
        if len(self._begun) > LONGEST_DOCUMENT:
            self._heard.has_failed = True
            self._begun.clear()

    def answer(self) -> str | None:
        return self._heard.answer(is_done=self.is_done)

    def _read(self, event: bytes) -> None:
        lines = (line.partition(b":") for line in _LINE_END.split(event))
        data = b"\n".join(value.removeprefix(b" ") for name, _, value in lines if name == b"data")
        if data.strip() == b"[DONE]":
            self.is_done = True
        elif data:
            self._heard.hear(_parsed(data), "delta")


class _DocumentReader:
    """Reads a completion that comes as one JSON document."""

    holds_last = True
    is_done = False

    def __init__(self) -> None:
        self._document = bytearray()
        self._is_too_long = False

    def feed(self, piece: bytes) -> None:
        self._is_too_long = self._is_too_long or len(self._document) + len(piece) > LONGEST_DOCUMENT
        if self._is_too_long:
            self._document.clear()
        else:
            self._document += piece

    def answer(self) -> str | None:
        heard = _Heard()
        heard.hear(_parsed(bytes(self._document)), "message")
        return heard.answer(is_done=False)


class _InflatingReader:
    """Reads a reply that an endpoint compressed although it was asked not to; the bytes that pass stay as they are."""

    def __init__(self, inner: ReplyParser) -> None:
        self._inner = inner
        self._inflate = zlib.decompressobj(wbits=47)
        self._is_broken = False

    @property
    def holds_last(self) -> bool:
        return self._inner.holds_last

    @property
    def is_done(self) -> bool:
        return self._inner.is_done

    def feed(self, piece: bytes) -> None:
        if self._is_broken:
            return
        try:
            plain = self._inflate.decompress(piece, LONGEST_DOCUMENT)
        except zlib.error:
            self._is_broken = True
            return
        self._is_broken = bool(self._inflate.unconsumed_tail)
        self._inner.feed(plain)

    def answer(self) -> str | None:
        return None if self._is_broken else self._inner.answer()


def _parsed(data: bytes) -> Any:
    """Returns what the JSON says, None if it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
