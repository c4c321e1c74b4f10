"""The JSON schemas of replies, and the parsing of replies part by part."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema

from memoryos.errors import InvalidReplyError
from memoryos.seams import ReplySchema

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Line", "Number", "ReplyParts", "Shape", "one_of", "schema_of"]

LONGEST_LINE = 2_000
_SPACE = re.compile("[\\s\0-\x1f\x7f-\x9f\ud800-\udfff]+")
"""Blank space, and what is no text: control characters and halves of characters, which no store takes."""


def _line(value: Any) -> Any:
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    line = _SPACE.sub(" ", value).strip()
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is wanted")  # noqa: TRY004  (pydantic collects no TypeError)
    return value


Line = Annotated[str, BeforeValidator(_line)]
"""A text of a reply, on one line. A text that is too long is cut and ends with "…"; null is the empty text."""

Number = Annotated[int, BeforeValidator(_number)]
"""Number of a page or of a known fact."""


class Shape(BaseModel):
    """The shape of a reply. Every field is required of the endpoint; a field with a default may be missing all the same."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


AnyShape = TypeVar("AnyShape", bound=Shape)


def schema_of(name: str, shape: type[Shape]) -> ReplySchema:
    """Returns the JSON schema as strict endpoints want it: closed objects, every field required, nothing referred to."""
    schema = shape.model_json_schema()
    return ReplySchema(name, _closed(schema, schema.get("$defs", {})))


def one_of(*values: str) -> WithJsonSchema:
    """Returns the annotation of a text that should be one of some values. The schema contains them; other texts are read too."""
    return WithJsonSchema({"type": "string", "enum": list(values)})


class ReplyParts:
    """The first JSON object of a reply, from which the valid parts are read one by one.

    Args:
        text: The reply.

    Raises:
        InvalidReplyError: If the reply contains no JSON object, or a broken one.
    """

    def __init__(self, text: str) -> None:
        start = text.find("{")
        if start == -1:
            raise InvalidReplyError("the reply contains no JSON object")
        try:
            self._fields, _ = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            raise InvalidReplyError("the reply's JSON is broken or cut off") from error
        self._dropped: Counter[str] = Counter()

    def is_true(self, name: str) -> bool:
        """Returns whether a field is true."""
        return self._fields.get(name) is True

    def has_list(self, name: str) -> bool:
        """Returns whether a field is a list."""
        return isinstance(self._fields.get(name), list)

    def items(self, name: str, shape: type[AnyShape]) -> list[AnyShape]:
        """Returns the items of a list that have the shape. The others are counted as dropped."""
        if not self.has_list(name):
            self.drop(f"no list {name}")
            return []
        found = []
        for item in self._fields[name]:
            try:
                found.append(shape.model_validate(item))
            except ValidationError:
                self.drop(f"{name}: an entry has another shape")
        return found

    def drop(self, reason: str) -> None:
        """Counts a part that is not used. The reason contains no text of the reply."""
        self._dropped[reason] += 1

    def dropped(self) -> tuple[str, ...]:
        """Returns the reasons in the order of their first use, each with the number of parts, e.g. "no topic (2)"."""
        return tuple(f"{reason} ({count})" for reason, count in self._dropped.items())


def _closed(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_closed(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _closed(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions)
    kept = {
        name: {field: _closed(each, definitions) for field, each in value.items()}
        if name == "properties"
        else _closed(value, definitions)
        for name, value in node.items()
        if name not in {"$defs", "title", "default", "description"}
    }
    if "properties" in kept:
        kept |= {"required": list(kept["properties"]), "additionalProperties": False}
    return kept
