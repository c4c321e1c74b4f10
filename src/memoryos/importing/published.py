"""Reads data folders of the published MemoryOS program (BAI-LAB/MemoryOS, its pypi and mcp editions).

::

    <folder>/users/<user_id>/short_term.json              [page, …]
    <folder>/users/<user_id>/mid_term.json                {"sessions": {id: {"details": [page, …], …}}, …}
    <folder>/users/<user_id>/long_term_user.json          {"user_profiles": …, "knowledge_base": …, …}
    <folder>/assistants/<id>/long_term_assistant.json     {"assistant_knowledge": [entry, …], …}

A page has user_input, agent_response and timestamp; an entry has knowledge and timestamp. Times are read as UTC.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from memoryos.errors import InputError
from memoryos.importing.archives import read_text
from memoryos.importing.salvage import Document, Torn, find_objects, read_document
from memoryos.importing.sources import Reading, Source, fill_gaps, label, time_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

__all__ = ["is_published_folder", "is_published_memory", "read_published", "read_published_file"]

_USER_FILES = ("mid_term.json", "short_term.json", "long_term_user.json")
_ASSISTANT_FILES = ("long_term_assistant.json",)
_FIRST_NAMES = ("page_id", "user_input", "agent_response", "timestamp", "knowledge")
_LONG_TERM = ("user_profiles", "knowledge_base", "assistant_knowledge")
_NOTHING = frozenset({"", "none", "- none", "- none."})
_CUT = "is incomplete because the file is damaged"

Placed = tuple[str, Any]


def is_published_folder(folder: Path) -> bool:
    """Returns whether a folder contains data of the published MemoryOS program: a file with the path it expects."""
    return any(
        (*_owners(folder / "users", _USER_FILES).values(), *_owners(folder / "assistants", _ASSISTANT_FILES).values())
    )


def is_published_memory(value: Any) -> bool:
    """Returns whether a JSON value is the content of a data file of the published MemoryOS program."""
    if isinstance(value, dict):
        return isinstance(value.get("sessions"), dict) or any(name in value for name in _LONG_TERM)
    return isinstance(value, list) and any(_is_page(each) for each in value)


def read_published(folder: Path, now: datetime) -> list[Source]:
    """Reads a data folder as one source per user and per assistant.

    The program's files of users do not contain the assistant, and those of assistants do not contain the user. The
    missing id is known only if the folder has a single assistant or a single user.

    Raises:
        InputError: If the folder contains no file of the published program.
    """
    users, assistants = _owners(folder / "users", _USER_FILES), _owners(folder / "assistants", _ASSISTANT_FILES)
    if not any((*users.values(), *assistants.values())):
        raise InputError(
            "path", f"{folder} is no data folder of MemoryOS: it has no file such as users/<user_id>/short_term.json"
        )
    only_user, only_assistant = _only(users), _only(assistants)
    owned: list[tuple[tuple[str | None, str | None], list[Path]]] = [
        ((user, only_assistant), files) for user, files in users.items()
    ]
    owned += [((only_user, assistant), files) for assistant, files in assistants.items()]
    readings: dict[tuple[str | None, str | None], Reading] = {}
    for scope, files in owned:
        for file in files:
            _read_file(readings.setdefault(scope, Reading(now)), file, file.relative_to(folder).as_posix())
    return [reading.source(user or None, assistant or None) for (user, assistant), reading in readings.items()]


def read_published_file(file: Path, now: datetime) -> list[Source]:
    """Reads a single file of a data folder as one source, without the ids of user and assistant."""
    reading = Reading(now)
    _read_file(reading, file, file.name)
    return [reading.source()]


def _owners(root: Path, names: tuple[str, ...]) -> dict[str, list[Path]]:
    """Returns the files of each user or assistant in a folder. An id with slashes is a path of several folders."""
    if not root.is_dir():
        return {}
    owners: dict[str, list[Path]] = {}
    try:
        for file in sorted(each for name in names for each in root.rglob(name) if each.is_file()):
            owner = "/".join(file.parent.relative_to(root).parts)
            owners.setdefault(owner, []).append(file)
        for folder in sorted(each.name for each in root.iterdir() if each.is_dir()):
            if not any(each.split("/")[0] == folder for each in owners):
                owners[folder] = []
    except OSError as error:
        raise InputError("path", f"{root} can't be read: {error.strerror}") from error
    return owners


def _only(owners: dict[str, list[Path]]) -> str | None:
    return next(iter(owners)) if len(owners) == 1 else None


def _read_file(reading: Reading, file: Path, name: str) -> None:
    try:
        document = read_document(read_text(file))
    except InputError:
        reading.note(name, "can't be read")
        return
    if document.damage:
        reading.note(name, f"{document.damage}; the undamaged parts were read")
    elif isinstance(document.value, dict) and document.value and not is_published_memory(document.value):
        reading.note(name, "contains no data of the published program")
    _add_pages(reading, [*_pages(reading, document, name)])
    _add_entries(reading, [*_entries(reading, document, name)])


def _pages(reading: Reading, document: Document, name: str) -> Iterator[Placed]:
    value = document.value
    if isinstance(value, dict):
        sessions = _members(reading, value.get("sessions", {}), f"{name}, sessions")
        for place, session in sessions:
            yield from _members(reading, session.get("details", []) if isinstance(session, dict) else session, place)
    elif value is not None:
        yield from _members(reading, value, name)
    yield from ((f"{name}, after the damage", each) for each in _rest(document) if _is_page(each))


def _entries(reading: Reading, document: Document, name: str) -> Iterator[tuple[str, str, Any]]:
    """Yields kind, place and body of each profile and each knowledge entry."""
    value = document.value if isinstance(document.value, dict) else {}
    for key, kind in zip(_LONG_TERM, ("profile", "knowledge", "assistant_knowledge"), strict=True):
        for place, body in _members(reading, value.get(key, []), f"{name}, {key}"):
            yield kind, place, body
    kind = "assistant_knowledge" if "assistant" in name.rpartition("/")[2] else "knowledge"
    for body in _rest(document):
        if "knowledge" in body:
            yield kind, f"{name}, after the damage", body


def _rest(document: Document) -> Iterator[dict[str, Any]]:
    return find_objects(document.rest, _FIRST_NAMES)


def _members(reading: Reading, value: Any, place: str) -> Iterator[Placed]:
    """Yields each member of a list or mapping with its place, a number, because ids may contain content."""
    if isinstance(value, (list, dict)):
        members = value.values() if isinstance(value, dict) else value
        yield from ((f"{place}, {number}", each) for number, each in enumerate(members, 1))
    else:
        reading.note(place, "is neither a list nor a mapping")


def _is_page(value: Any) -> bool:
    return isinstance(value, dict) and ("user_input" in value or "agent_response" in value)


def _add_pages(reading: Reading, pages: list[Placed]) -> None:
    """Adds each page once; the published program stores a page in every session with its topic."""
    bodies: list[tuple[str, dict[str, Any]]] = []
    for place, body in pages:
        if isinstance(body, dict) and not isinstance(body, Torn):
            bodies.append((place, body))
        else:
            reading.note(place, _CUT if isinstance(body, Torn) else "is no page")
    times = fill_gaps([time_of(body.get("timestamp")) for _, body in bodies])
    for (place, body), at in zip(bodies, times, strict=True):
        user_text, assistant_text = _sides(body)
        draft = reading.draft(place, user_text, assistant_text, at, _unread_time(reading, place, body))
        written = body.get("timestamp")
        reading.add_once(draft, ("page", user_text, assistant_text, written if isinstance(written, str) else at))


def _sides(body: dict[str, Any]) -> tuple[Any, Any]:
    user_text, assistant_text = body.get("user_input"), body.get("agent_response")
    return "" if user_text is None else user_text, "" if assistant_text is None else assistant_text


def _unread_time(reading: Reading, place: str, body: dict[str, Any]) -> dict[str, Any]:
    """Returns metadata that contains a time that can't be parsed, as written in the file; otherwise empty metadata."""
    written = body.get("timestamp")
    if not written or time_of(written) is not None:
        return {}
    reading.note(place, "its time can't be read; the time of a neighbouring page was used")
    kept = label(written)
    return {"timestamp": kept} if kept else {}


def _add_entries(reading: Reading, entries: list[tuple[str, str, Any]]) -> None:
    for kind, place, body in entries:
        if isinstance(body, Torn):
            reading.note(place, _CUT)
            continue
        text, written = _entry(body)
        if isinstance(text, str) and text.strip().lower() in _NOTHING:
            continue
        user_text, assistant_text = ("", text) if kind == "assistant_knowledge" else (text, "")
        draft = reading.draft(place, user_text, assistant_text, time_of(written), {"imported": kind})
        reading.add_once(draft, (kind, text, written if isinstance(written, str) else None))


def _entry(body: Any) -> tuple[Any, Any]:
    """Returns text and time of an entry or a profile; some forks store a profile as a mapping."""
    if not isinstance(body, dict):
        return body, None
    text = body.get("knowledge", body.get("data"))
    if isinstance(text, dict):
        try:
            text = json.dumps(text, ensure_ascii=False)
        except RecursionError:
            return None, None
    return text, body.get("timestamp", body.get("last_updated"))
