"""Converts JSON schemas and settings to Markdown tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["fields_table", "settings_table", "type_text"]


def fields_table(schema: dict[str, Any]) -> list[str]:
    """Returns a table with one row for each field of an object's schema."""
    rows = []
    for name, each in schema["properties"].items():
        default = f"`{json.dumps(each['default'])}`" if "default" in each else ""
        default = "required" if name in schema.get("required", []) else default
        rows.append(f"| `{name}` | {type_text(each)} | {default} | {each.get('description', '')} |")
    return ["| field | type | default | meaning |", "|---|---|---|---|", *rows]


def type_text(schema: dict[str, Any]) -> str:
    """Returns the type of a schema, with a link to the named schema that it refers to."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(type_text(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {type_text(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")


def settings_table(title: str, model: type[BaseModel]) -> list[str]:
    """Returns a table with one row for each setting: default, range, meaning."""
    rows = [f"## {title}", "", "| name | default | range | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        default = f"`{field.default}`"
        if field.default_factory:
            default = "see below" if hasattr(field.annotation, "model_fields") else "`{}`"
        rows.append(f"| `{name}` | {default} | {_range(field)} | {field.description} |")
    return [*rows, ""]


def _range(field: Any) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{each}`" for each in get_args(field.annotation))
    return ", ".join(
        f"{sign} {value:g}"
        for each in field.metadata
        for sign, value in (
            ("≥", getattr(each, "ge", None)),
            (">", getattr(each, "gt", None)),
            ("≤", getattr(each, "le", None)),
        )
        if value is not None
    )
