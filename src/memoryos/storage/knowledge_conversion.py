"""Converts the facts and profile attributes of earlier releases to facts with slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memoryos.current_facts import fact_id
from memoryos.language.word_sequence import word_sequence
from memoryos.model import CORRECTION
from memoryos.slots import SINGLE_VALUED, slot_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["convert_knowledge"]

_Row = dict[str, Any]
_TextKey = tuple[str, tuple[str, ...]]


def convert_knowledge(
    scope_id: str,
    entries: Sequence[Mapping[str, Any]],
    profiles: Sequence[Mapping[str, Any]],
    page_times: Mapping[str, Any],
) -> list[_Row]:
    """Returns the rows of the table ``facts`` for the facts and the profile of an earlier release.

    A fact keeps its id. The fact that superseded it contains this id in ``replaces``. A superseded fact is archived
    instead if its successor is missing, or would also replace a current fact with the same text.

    The attributes of the newest profile version become facts. An attribute fills a slot if its name is that of a slot.
    If several attributes have different values for a single-valued slot, the value stated last fills the slot, and the
    others become facts without a slot, so that all of them stay current.

    Args:
        scope_id: Id of the scope.
        entries: Rows of the former table ``knowledge``.
        profiles: All profile versions, oldest first.
        page_times: The times of the source pages, by page id, in the same form as ``recorded_at``.
    """
    rows = {each["knowledge_id"]: _row(scope_id, each, page_times) for each in entries}
    _link_superseded(rows, entries)
    for row in _attribute_rows(scope_id, _newest_attributes(profiles), page_times):
        known = rows.setdefault(row["fact_id"], row)
        known["source_page_ids"] = list(dict.fromkeys((*known["source_page_ids"], *row["source_page_ids"])))
    return list(rows.values())


def _link_superseded(rows: Mapping[str, _Row], entries: Sequence[Mapping[str, Any]]) -> None:
    current: dict[_TextKey, Any] = {}
    for each in entries:
        if each["superseded_by"] is None and each["archived_at"] is None:
            row = rows[each["knowledge_id"]]
            key = _text_key(row)
            current[key] = min(row["stated_at"], current.get(key, row["stated_at"]))
    for each in entries:
        if each["superseded_by"] is None:
            continue
        row, newer = rows[each["knowledge_id"]], rows.get(each["superseded_by"])
        repeated_at = current.get(_text_key(row))
        if newer is not None and newer is not row and (repeated_at is None or repeated_at > newer["stated_at"]):
            newer["replaces"].append(row["fact_id"])
        elif row["archived_at"] is None:
            row["archived_at"] = row["recorded_at"]


def _newest_attributes(profiles: Sequence[Mapping[str, Any]]) -> list[_Row]:
    """Returns the attributes of the newest version, each with the origin and time of the version that added it.

    A version that a correction created contains the attributes of the version before it.
    """
    found: dict[tuple[str, str, tuple[str, ...]], _Row] = {}
    for version in profiles:
        added = {"origin": version["origin"], "recorded_at": version["recorded_at"]}
        attributes = {
            (each["name"], each["value"], tuple(each["source_page_ids"])): dict(each) | added
            for each in version["body"]["attributes"]
        }
        found = {key: found.get(key, attribute) for key, attribute in attributes.items()}
    return list(found.values())


def _attribute_rows(scope_id: str, attributes: Sequence[_Row], page_times: Mapping[str, Any]) -> list[_Row]:
    filled: dict[str, tuple[Any, ...]] = {}
    for each in attributes:
        slot = slot_named(each["name"])
        if slot in SINGLE_VALUED:
            claim = (_stated_at(each, page_times), len(each["value"]), each["value"])
            filled[slot] = max(claim, filled.get(slot, claim))
    rows = []
    for each in attributes:
        slot = slot_named(each["name"])
        if slot in filled and filled[slot][-1].casefold() != each["value"].casefold():
            slot = None
        rows.append(_attribute_row(scope_id, each, slot, page_times))
    return rows


def _attribute_row(scope_id: str, attribute: _Row, slot: str | None, page_times: Mapping[str, Any]) -> _Row:
    text = f"{(slot or attribute['name']).replace('_', ' ')}: {attribute['value']}"
    known = [page_id for page_id in attribute["source_page_ids"] if page_id in page_times]
    newest = max(known, key=lambda page_id: (page_times[page_id], page_id), default="")
    entry = attribute | {
        "knowledge_id": fact_id(scope_id, newest, "user", slot, text),
        "about": "user",
        "text": text,
        "valid_from": None,
        "archived_at": None,
    }
    return _row(scope_id, entry, page_times) | {"slot": slot, "value": attribute["value"] if slot else None}


def _row(scope_id: str, entry: Mapping[str, Any], page_times: Mapping[str, Any]) -> _Row:
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
        "stated_at": _stated_at(entry, page_times),
        "valid_from": entry["valid_from"],
        "valid_until": None,
        "replaces": [],
        "source_page_ids": list(entry["source_page_ids"]),
        "reading_id": None,
        "origin": entry["origin"],
        "recorded_at": entry["recorded_at"],
        "archived_at": entry["archived_at"],
    }


def _text_key(row: _Row) -> _TextKey:
    return row["subject"], word_sequence(row["text"])


def _stated_at(entry: Mapping[str, Any], page_times: Mapping[str, Any]) -> Any:
    """Returns the time of the newest source page that exists. A correction was stated when the user made it."""
    times = [page_times[page_id] for page_id in entry["source_page_ids"] if page_id in page_times]
    if not times or entry["origin"]["analyst"] == CORRECTION.analyst:
        times.append(entry["recorded_at"])
    return max(times)
