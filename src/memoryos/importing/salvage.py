"""JSON that may be damaged: what is whole before the damage is read, and what is whole behind it can be found."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Document", "Torn", "find_objects", "read_document", "read_documents"]

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(")?|[\[\]{},]', re.DOTALL)
"""A string, whose closing quote is the group, or a mark. A string without one reaches to the end of the text."""
_CLOSING = {"[": "]", "{": "}"}
_MAX_DIGITS = 400
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
        return Document(None, place, "nested too deeply to be read")


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
