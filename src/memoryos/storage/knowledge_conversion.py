"""Converts the facts and profile attributes of earlier releases to facts with slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memoryos.current_facts import fact_id
from memoryos.slots import slot_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["convert_knowledge"]


def convert_knowledge(
    scope_id: str,
    entries: Sequence[Mapping[str, Any]],
    profile: Mapping[str, Any] | None,
    page_times: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Returns the rows of the table ``facts`` for the facts and the profile of an earlier release.

    A fact keeps its id. The fact that superseded it contains this id in ``replaces``.

    Args:
        scope_id: Id of the scope.
        entries: Rows of the former table ``knowledge``.
        profile: The row of the newest profile version, whose attributes become facts; None without a profile.
        page_times: The times of the source pages, by page id, in the same form as ``recorded_at``.
    """
    rows = {each["knowledge_id"]: _row(scope_id, each, page_times) for each in entries}
    for each in entries:
        newer = each["superseded_by"]
        if newer in rows:
            rows[newer]["replaces"].append(each["knowledge_id"])
        elif newer is not None and each["archived_at"] is None:
            rows[each["knowledge_id"]]["archived_at"] = each["recorded_at"]
    attributes = _attribute_rows(scope_id, profile, page_times) if profile is not None else ()
    return [*rows.values(), *(each for each in attributes if each["fact_id"] not in rows)]


def _row(scope_id: str, entry: Mapping[str, Any], page_times: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "scope_id": scope_id,
        "fact_id": entry["knowledge_id"],
        "subject": entry["about"],
        "about": entry["about"],
        "kind": "fact",
        "status": None,
        "text": entry["text"],
        "slot": None,
        "value": None,
        "stated_at": _stated_at(entry["source_page_ids"], page_times, entry["recorded_at"]),
        "valid_from": entry["valid_from"],
        "valid_until": None,
        "replaces": [],
        "source_page_ids": entry["source_page_ids"],
        "reading_id": None,
        "origin": entry["origin"],
        "recorded_at": entry["recorded_at"],
        "archived_at": entry["archived_at"],
    }


def _attribute_rows(
    scope_id: str, profile: Mapping[str, Any], page_times: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for each in profile["body"]["attributes"]:
        slot = slot_named(each["name"])
        text = f"{(slot or each['name']).replace('_', ' ')}: {each['value']}"
        sources = each["source_page_ids"]
        known = [page_id for page_id in sources if page_id in page_times]
        newest = max(known, key=lambda page_id: (page_times[page_id], page_id), default="")
        entry = {
            "knowledge_id": fact_id(scope_id, newest, "user", slot, text),
            "about": "user",
            "text": text,
            "valid_from": None,
            "archived_at": None,
            "source_page_ids": sources,
            "origin": profile["origin"],
            "recorded_at": profile["recorded_at"],
        }
        yield _row(scope_id, entry, page_times) | {"slot": slot, "value": each["value"] if slot else None}


def _stated_at(page_ids: Sequence[str], page_times: Mapping[str, Any], default: Any) -> Any:
    """Returns the time of the newest of these pages that exist; otherwise the default."""
    return max((page_times[page_id] for page_id in page_ids if page_id in page_times), default=default)
