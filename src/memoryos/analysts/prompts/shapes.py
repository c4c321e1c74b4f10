"""Shapes: a reply's schema for the endpoint, and the reading of what came back."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from memoryos.errors import InvalidReplyError
from memoryos.seams import ReplySchema

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Line", "Number", "Shape", "read_reply", "schema_of"]

LONGEST_LINE = 2_000
_SPACE = re.compile("[\\s\0-\x1f\x7f-\x9f\ud800-\udfff]+")
"""Blank space, and what is no text: control characters and halves of characters, which no store takes."""


def _line(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    line = _SPACE.sub(" ", value).strip()
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is wanted")  # noqa: TRY004  (pydantic collects no TypeError)
    return value


Line = Annotated[str, BeforeValidator(_line)]
"""Text of a reply, on one line; what is too long ends with "…"."""

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


def read_reply(text: str, shape: type[AnyShape]) -> AnyShape:
    """Returns the first JSON object of a reply as the shape.

    Raises:
        InvalidReplyError: If there is none or it has another shape; the message names fields, never their content.
    """
    start = text.find("{")
    if start == -1:
        raise InvalidReplyError("the reply holds no JSON object")
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise InvalidReplyError("the reply's JSON is broken or cut off") from error
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        found = [
            f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}"
            for each in error.errors(include_input=False, include_context=False)
        ]
        raise InvalidReplyError(f"the reply has another shape: {'; '.join(found[:3])}") from error


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
