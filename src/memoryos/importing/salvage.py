"""Reads JSON that may be damaged: all values before the damage, and complete objects after it.

Large arrays are read item by item, so that only one item is in memory.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memoryos.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memoryos.importing.archives import TextStream

__all__ = ["Document", "ItemReader", "PartialObject", "find_objects", "read_document", "read_documents"]

MAX_ITEM_CHARACTERS = 32_000_000
"""Maximum number of characters of an array item, which is one conversation."""

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(")?|[\[\]{},]', re.DOTALL)
"""Matches a JSON string or punctuation mark. Group 1 is the closing quote, which is None if the text ends before it."""
_CLOSING = {"[": "]", "{": "}"}
_MAX_DIGITS = 400
_PIECE_CHARACTERS = 1 << 20
_NEAR_THE_END = 16
"""Number of characters before the end of the loaded text. A value that ends within them may be cut off."""
_WRAPPED = re.compile(r'\{\s{0,100}"conversations"\s{0,100}:\s{0,100}(?=\[)')
_SPACES = re.compile(r"[ \t\r\n]+")
_WRAPPER_CHARACTERS = 400
_TOO_DEEP = "nested too deeply to be read"
_DEEP_CHARACTERS = 20_000
"""Assumed number of characters that the decoder reads before it fails on an object that is nested too deeply."""
_CHARACTERS_PER_READ = 16
"""Counting the line breaks of this many characters takes as long as parsing one character.

The JSON decoder counts all line breaks before an error."""
_MAX_READS = 16
"""Maximum number of characters that ``find_objects`` parses, per character of its text."""


class PartialObject(dict[str, Any]):
    """A damaged JSON object whose end is missing. It contains only the complete members."""


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON value of a text.

    Attributes:
        value: The value. If the text is damaged, only the part before the damage, in which incomplete objects are
            ``PartialObject``. None if there is no such part.
        place: Place of the value in the file, e.g. "line 3"; "" if the value is the whole text.
        damage: Position of the damage; "" if the value is complete.
        rest: The text after the damage.
    """

    value: Any
    place: str = ""
    damage: str = ""
    rest: str = ""


def read_document(text: str, place: str = "") -> Document:
    """Reads a text that contains one JSON value. If the text is damaged, reads the part before the damage.

    Args:
        text: The text.
        place: Place of the text in its file, e.g. "line 3". It becomes ``Document.place``.
    """
    try:
        return Document(_DECODER.decode(text), place)
    except json.JSONDecodeError as error:
        value = _parse_cut_off(text[: error.pos])
        return Document(value, place, f"damaged at line {error.lineno}, column {error.colno}", text[error.pos :])
    except RecursionError:
        return Document(None, place, _TOO_DEEP)


class ItemReader:
    """Iterates over the items of a JSON array, or of ``{"conversations": […]}``, without loading the whole file.

    Any other JSON value is treated like an array with one item. If the text is damaged, the last item is the undamaged
    part of the damaged item.

    Args:
        stream: The text.

    Attributes:
        damage: Position of the damage; "" if no damage was found so far.
    """

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self._text = ""
        self._at = 0
        self._lines = 0
        self._columns = 0
        self.damage = ""

    def __iter__(self) -> Iterator[Any]:
        """Yields the items in order.

        Raises:
            InputError: If the text can't be read, or an item has more than 32 million characters.
        """
        self._next_character()
        while len(self._text) - self._at < _WRAPPER_CHARACTERS and self._read_more():
            pass
        wrapper = _WRAPPED.match(self._text, self._at)
        if wrapper:
            self._at = wrapper.end()
        if not self._text.startswith("[", self._at):
            yield from self._item()
            if not self.damage and not wrapper and self._next_character():
                self.damage = self._place(self._at)
            return
        self._at += 1
        mark = self._next_character()
        while mark != "]" and not self.damage:
            yield from self._item()
            if self.damage:
                return
            mark = self._next_character()
            if mark == ",":
                self._at += 1
                self._next_character()
            elif mark != "]":
                self.damage = self._place(self._at)
        self._at += 1
        if not wrapper and self._next_character() and not self.damage:
            self.damage = self._place(self._at)

    def _item(self) -> Iterator[Any]:
        """Yields the value at the current position. If it is damaged, yields its undamaged part, if there is one."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._may_be_incomplete(error) and self._read_more():
                    continue
                self.damage = self._place(error.pos)
                rest = _parse_cut_off(self._text[self._at : error.pos])
                if rest is not None:
                    yield rest
                return
            except RecursionError:
                self.damage = _TOO_DEEP
                return
            if end >= len(self._text) - _NEAR_THE_END and self._read_more():
                continue
            self._at = end
            yield value
            return

    def _may_be_incomplete(self, error: json.JSONDecodeError) -> bool:
        """Returns whether a JSON error may be caused by text that was not read yet, instead of by damage."""
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _NEAR_THE_END

    def _next_character(self) -> str:
        """Skips white space, and returns the next character without consuming it. Returns "" at the end."""
        while True:
            if spaces := _SPACES.match(self._text, self._at):
                self._at = spaces.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_more():
                return ""

    def _read_more(self) -> bool:
        """Reads more text into the buffer. Returns False at the end of the text.

        At least as many characters are read as the buffer contains, so that long items take linear time.
        """
        left = len(self._text) - self._at
        if left > MAX_ITEM_CHARACTERS:
            raise InputError(
                "path", f"a conversation has more than {MAX_ITEM_CHARACTERS:,} characters; remove it from the file"
            )
        piece = self._stream.read(max(_PIECE_CHARACTERS, left))
        if not piece:
            return False
        done = self._text.count("\n", 0, self._at)
        self._columns = self._at - self._text.rfind("\n", 0, self._at) - 1 if done else self._columns + self._at
        self._lines += done
        self._text, self._at = self._text[self._at :] + piece, 0
        return True

    def _place(self, at: int) -> str:
        lines = self._text.count("\n", 0, at)
        column = at - self._text.rfind("\n", 0, at) if lines else self._columns + at + 1
        return f"damaged at line {self._lines + lines + 1}, column {column}"


def read_documents(text: str) -> list[Document]:
    """Reads a text as one JSON value or as JSON lines. A text that is neither counts as one damaged value."""
    whole = read_document(text)
    if not whole.damage:
        return [whole]
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) > 1 and not (first := read_document(lines[0][1])).damage and isinstance(first.value, (dict, list)):
        return [read_document(line, f"line {number}") for number, line in lines]
    return [whole]


def find_objects(text: str, first_names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yields the complete JSON objects in a damaged text, if the name of their first member is in ``first_names``."""
    start = re.compile(rf'\{{\s*"(?:{"|".join(map(re.escape, first_names))})"\s*:')
    found = start.search(text)
    reads_left = _MAX_READS * len(text)
    while found:
        try:
            value, end = _DECODER.raw_decode(text, found.start())
            yield value
        except (json.JSONDecodeError, RecursionError) as error:
            read_to = error.pos if isinstance(error, json.JSONDecodeError) else found.start() + _DEEP_CHARACTERS
            reads_left -= read_to - found.start() + read_to // _CHARACTERS_PER_READ
            end = found.end() if reads_left > 0 else max(found.end(), read_to)
        found = start.search(text, end)


def _parse_cut_off(text: str) -> Any:
    """Parses a JSON text whose end is missing, as if all open arrays and objects ended there.

    Returns None if the text contains no complete value.
    """
    open_ends: list[str] = []
    end = 0
    for found in _TOKEN.finditer(text):
        mark = text[found.start()]
        if mark == '"':
            if found[1] is None:
                break
            continue
        end = found.start() if mark == "," else found.end()
        if mark in _CLOSING:
            open_ends.append(_CLOSING[mark])
        elif mark != ",":
            open_ends.pop()
    try:
        value = _DECODER.decode(text[:end] + "".join(reversed(open_ends)))
    except (json.JSONDecodeError, RecursionError):
        return None
    return _mark_partial_objects(value, len(open_ends))


def _mark_partial_objects(value: Any, depth: int) -> Any:
    """Converts the incomplete objects in a value to ``PartialObject``.

    These are the last member of the value, the last member of that member, and so on, ``depth`` levels deep.
    """
    holder: Any = [value]
    root = holder
    for _ in range(depth):
        key: Any = next(reversed(holder)) if isinstance(holder, dict) else len(holder) - 1
        if isinstance(holder[key], dict):
            holder[key] = PartialObject(holder[key])
        holder = holder[key]
        if not holder or not isinstance(holder, (dict, list)):
            break
    return root[0]


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


_DECODER = json.JSONDecoder(strict=False, parse_int=_integer)
