"""JSON that may be damaged: what is whole before the damage is read, and what is whole behind it can be found.

A large array is read item by item, so that memory holds one item and not the file.
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

__all__ = ["Document", "ItemReader", "Torn", "find_objects", "read_document", "read_documents"]

MAX_ITEM_CHARACTERS = 32_000_000
"""Characters of one item of an array: one conversation."""

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(")?|[\[\]{},]', re.DOTALL)
"""A string, whose closing quote is the group, or a mark. A string without one reaches to the end of the text."""
_CLOSING = {"[": "]", "{": "}"}
_MAX_DIGITS = 400
_PIECE_CHARACTERS = 1 << 20
_NEAR_THE_END = 16
"""A value that ends there may be a number, an escape or a word as true, of which the rest was not read yet."""
_WRAPPED = re.compile(r'\{\s{0,100}"conversations"\s{0,100}:\s{0,100}(?=\[)')
_SPACES = re.compile(r"[ \t\r\n]+")
_WRAPPER_CHARACTERS = 400
_TOO_DEEP = "nested too deeply to be read"
_DEEP_CHARACTERS = 20_000
"""What an object that is nested too deeply counts as having been read."""
_CHARACTERS_A_COUNT = 16
"""An error of the decoder counts the lines before it: so many characters take as long as reading one."""
_MAX_READS = 16
"""How often the text may be read in all while whole objects are searched in damaged ones that hold each other."""


class Torn(dict[str, Any]):
    """A mapping whose end is missing: it holds the members that were complete."""


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON value of a text.

    Attributes:
        value: The value; of a damaged one what stands before the damage, open mappings as ``Torn``; None if nothing.
        place: Where it stands: "" for the whole text, else its line.
        damage: Where it is damaged, "" if it is whole.
        rest: The text behind the damage.
    """

    value: Any
    place: str = ""
    damage: str = ""
    rest: str = ""


def read_document(text: str, place: str = "") -> Document:
    """Reads a text as one JSON value, as far as it goes."""
    try:
        return Document(_DECODER.decode(text), place)
    except json.JSONDecodeError as error:
        value = _before(text[: error.pos])
        return Document(value, place, f"damaged at line {error.lineno}, column {error.colno}", text[error.pos :])
    except RecursionError:
        return Document(None, place, _TOO_DEEP)


class ItemReader:
    """Reads the items of a JSON array one after the other; also those of ``{"conversations": […]}``.

    Any other value counts as its only item. When the iteration ends at damage, the item there comes as far as it goes.

    Args:
        stream: The text.

    Attributes:
        damage: Where the text is damaged; "" as long as nothing is known of it.
    """

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self._text = ""
        self._at = 0
        self._lines = 0
        self._columns = 0
        self.damage = ""

    def __iter__(self) -> Iterator[Any]:
        """Yields the items.

        Raises:
            InputError: If the text can't be read, or an item has more than 32 million characters.
        """
        self._next_mark()
        while len(self._text) - self._at < _WRAPPER_CHARACTERS and self._read_more():
            pass
        wrapper = _WRAPPED.match(self._text, self._at)
        if wrapper:
            self._at = wrapper.end()
        if not self._text.startswith("[", self._at):
            yield from self._item()
            if not self.damage and not wrapper and self._next_mark():
                self.damage = self._place(self._at)
            return
        self._at += 1
        mark = self._next_mark()
        while mark != "]" and not self.damage:
            yield from self._item()
            if self.damage:
                return
            mark = self._next_mark()
            if mark == ",":
                self._at += 1
                self._next_mark()
            elif mark != "]":
                self.damage = self._place(self._at)
        self._at += 1
        if not wrapper and self._next_mark() and not self.damage:
            self.damage = self._place(self._at)

    def _item(self) -> Iterator[Any]:
        """Yields the value here, or what is left of it before the damage, if anything is."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._may_go_on(error) and self._read_more():
                    continue
                self.damage = self._place(error.pos)
                rest = _before(self._text[self._at : error.pos])
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

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Returns whether the error may come from the end of what was read, and not from damage."""
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _NEAR_THE_END

    def _next_mark(self) -> str:
        """Goes to the next character that is no space and returns it; "" at the end."""
        while True:
            if spaces := _SPACES.match(self._text, self._at):
                self._at = spaces.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_more():
                return ""

    def _read_more(self) -> bool:
        """Reads on, at least as much as is left of the text, so that long items cost linear time; False at the end."""
        left = len(self._text) - self._at
        if left > MAX_ITEM_CHARACTERS:
            raise InputError("path", f"a conversation has more than {MAX_ITEM_CHARACTERS:,} characters; leave it out")
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
    """Reads a text as one JSON value or as JSON lines; a text that is neither counts as one damaged value."""
    whole = read_document(text)
    if not whole.damage:
        return [whole]
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) > 1 and not (first := read_document(lines[0][1])).damage and isinstance(first.value, (dict, list)):
        return [read_document(line, f"line {number}") for number, line in lines]
    return [whole]


def find_objects(text: str, first_names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yields every whole JSON object of a text that begins with a member of one of these names."""
    start = re.compile(rf'\{{\s*"(?:{"|".join(map(re.escape, first_names))})"\s*:')
    found = start.search(text)
    reads_left = _MAX_READS * len(text)
    while found:
        try:
            value, end = _DECODER.raw_decode(text, found.start())
            yield value
        except (json.JSONDecodeError, RecursionError) as error:
            read_to = error.pos if isinstance(error, json.JSONDecodeError) else found.start() + _DEEP_CHARACTERS
            reads_left -= read_to - found.start() + read_to // _CHARACTERS_A_COUNT
            end = found.end() if reads_left > 0 else max(found.end(), read_to)
        found = start.search(text, end)


def _before(text: str) -> Any:
    """Returns the value of a text that is JSON up to its end, where it breaks off."""
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
    return _mark_torn(value, len(open_ends))


def _mark_torn(value: Any, depth: int) -> Any:
    """Returns the value with its open mappings as ``Torn``: they are the last member of the last member and so on."""
    holder: Any = [value]
    root = holder
    for _ in range(depth):
        key: Any = next(reversed(holder)) if isinstance(holder, dict) else len(holder) - 1
        if isinstance(holder[key], dict):
            holder[key] = Torn(holder[key])
        holder = holder[key]
        if not holder or not isinstance(holder, (dict, list)):
            break
    return root[0]


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


_DECODER = json.JSONDecoder(strict=False, parse_int=_integer)
