"""Reads data folders of the MemoryOS program that was published with the paper (BAI-LAB/MemoryOS on GitHub).

::

    <folder>/users/<user_id>/short_term.json              [page, …]
    <folder>/users/<user_id>/mid_term.json                {"sessions": {id: {"details": [page, …], …}}, …}
    <folder>/users/<user_id>/long_term_user.json          {"user_profiles": …, "knowledge_base": …, …}
    <folder>/assistants/<id>/long_term_assistant.json     {"assistant_knowledge": [entry, …], …}

A page has user_input, agent_response and timestamp. An entry is one fact, and has knowledge and timestamp. A time
without a zone is in the zone of the setting ``time_zone``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from memoryos.errors import InputError
from memoryos.importing.archives import read_text
from memoryos.importing.salvage import Document, PartialObject, find_objects, read_document
from memoryos.importing.sources import DAMAGED, Source, SourceBuilder, fill_gaps, label

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

Placed = tuple[str, Any]


def is_published_folder(folder: Path) -> bool:
    """Returns whether a folder contains a data file of the published MemoryOS program, e.g. users/tom/mid_term.json."""
    return any(
        (*_owners(folder / "users", _USER_FILES).values(), *_owners(folder / "assistants", _ASSISTANT_FILES).values())
    )


def is_published_memory(value: Any) -> bool:
    """Returns whether a JSON value has the structure of a data file of the published MemoryOS program."""
    if isinstance(value, dict):
        return isinstance(value.get("sessions"), dict) or any(name in value for name in _LONG_TERM)
    return isinstance(value, list) and any(_is_page(each) for each in value)


def read_published(folder: Path, now: datetime) -> list[Source]:
    """Reads a data folder of the published MemoryOS program.

    The files do not show which user talked with which assistant. If the folder contains one assistant only, the pages
    of all users are assigned to it. If it contains one user only, the facts of all assistants are assigned to the user.

    Returns:
        One source for each user and for each assistant. Ids that are not known are None.

    Raises:
        InputError: If the folder contains no file of the published program.
    """
    users, assistants = _owners(folder / "users", _USER_FILES), _owners(folder / "assistants", _ASSISTANT_FILES)
    if not any((*users.values(), *assistants.values())):
        raise InputError(
            "path",
            f"{folder} is not a data folder of MemoryOS: it has no file such as users/<user_id>/short_term.json",
        )
    only_user, only_assistant = _only(users), _only(assistants)
    owned: list[tuple[tuple[str | None, str | None], list[Path]]] = [
        ((user, only_assistant), files) for user, files in users.items()
    ]
    owned += [((only_user, assistant), files) for assistant, files in assistants.items()]
    readings: dict[tuple[str | None, str | None], SourceBuilder] = {}
    for scope, files in owned:
        for file in files:
            _read_file(readings.setdefault(scope, SourceBuilder(now)), file, file.relative_to(folder).as_posix())
    return [builder.source(user or None, assistant or None) for (user, assistant), builder in readings.items()]


def read_published_file(file: Path, now: datetime) -> list[Source]:
    """Reads one data file of the published MemoryOS program. The ids of user and assistant are not known."""
    builder = SourceBuilder(now)
    _read_file(builder, file, file.name)
    return [builder.source()]


def _owners(root: Path, names: tuple[str, ...]) -> dict[str, list[Path]]:
    """Returns the data files in a folder, grouped by the id of their user or assistant.

    The id is the path from ``root`` to the folder of the files. An id with slashes is thus several folders deep.
    """
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
        raise InputError("path", f"{root} can't be read ({error.strerror}); check the folder") from error
    return owners


def _only(owners: dict[str, list[Path]]) -> str | None:
    return next(iter(owners)) if len(owners) == 1 else None


def _read_file(builder: SourceBuilder, file: Path, name: str) -> None:
    try:
        document = read_document(read_text(file))
    except InputError:
        builder.note(name, "the file can't be read and was skipped")
        return
    if document.damage:
        builder.note(name, f"{document.damage}; the undamaged parts were read")
    elif isinstance(document.value, dict) and document.value and not is_published_memory(document.value):
        builder.note(name, "contains no data of the published MemoryOS program")
    _add_pages(builder, [*_pages(builder, document, name)])
    _add_entries(builder, [*_entries(builder, document, name)])


def _pages(builder: SourceBuilder, document: Document, name: str) -> Iterator[Placed]:
    value = document.value
    if isinstance(value, dict):
        sessions = _members(builder, value.get("sessions", {}), f"{name}, sessions")
        for place, session in sessions:
            yield from _members(builder, session.get("details", []) if isinstance(session, dict) else session, place)
    elif value is not None:
        yield from _members(builder, value, name)
    yield from ((f"{name}, after the damage", each) for each in _rest(document) if _is_page(each))


def _entries(builder: SourceBuilder, document: Document, name: str) -> Iterator[tuple[str, str, Any]]:
    """Yields each profile and each fact in a data file: its kind, its place in the file and its JSON value."""
    value = document.value if isinstance(document.value, dict) else {}
    for key, kind in zip(_LONG_TERM, ("profile", "knowledge", "assistant_knowledge"), strict=True):
        for place, body in _members(builder, value.get(key, []), f"{name}, {key}"):
            yield kind, place, body
    kind = "assistant_knowledge" if "assistant" in name.rpartition("/")[2] else "knowledge"
    for body in _rest(document):
        if "knowledge" in body:
            yield kind, f"{name}, after the damage", body


def _rest(document: Document) -> Iterator[dict[str, Any]]:
    return find_objects(document.rest, _FIRST_NAMES)


def _members(builder: SourceBuilder, value: Any, place: str) -> Iterator[Placed]:
    """Yields the members of a list or object, each with its place in the file.

    The place is a number. Names are not used, because they may contain texts of the user.
    """
    if isinstance(value, (list, dict)):
        members = value.values() if isinstance(value, dict) else value
        yield from ((f"{place}, {number}", each) for number, each in enumerate(members, 1))
    else:
        builder.note(place, "is neither a JSON array nor a JSON object; it was skipped")


def _is_page(value: Any) -> bool:
    return isinstance(value, dict) and ("user_input" in value or "agent_response" in value)


def _add_pages(builder: SourceBuilder, pages: list[Placed]) -> None:
    """Adds each page once, although the published program stores a page again for each of its topics."""
    bodies: list[tuple[str, dict[str, Any]]] = []
    for place, body in pages:
        if isinstance(body, dict) and not isinstance(body, PartialObject):
            bodies.append((place, body))
        else:
            builder.note(place, DAMAGED if isinstance(body, PartialObject) else "is not a page; it was skipped")
    times = fill_gaps([builder.time_of(body.get("timestamp")) for _, body in bodies])
    for (place, body), at in zip(bodies, times, strict=True):
        user_text, assistant_text = _sides(body)
        draft = builder.draft(place, user_text, assistant_text, at, _unread_time(builder, place, body))
        written = body.get("timestamp")
        builder.add_once(draft, ("page", user_text, assistant_text, written if isinstance(written, str) else at))


def _sides(body: dict[str, Any]) -> tuple[Any, Any]:
    user_text, assistant_text = body.get("user_input"), body.get("agent_response")
    return "" if user_text is None else user_text, "" if assistant_text is None else assistant_text


def _unread_time(builder: SourceBuilder, place: str, body: dict[str, Any]) -> dict[str, Any]:
    """Returns ``{"timestamp": text}`` for a page whose time can't be parsed, and an empty dictionary otherwise."""
    written = body.get("timestamp")
    if not written or builder.time_of(written) is not None:
        return {}
    builder.note(place, "the time of the page can't be read; the time of an adjacent page was used")
    kept = label(written)
    return {"timestamp": kept} if kept else {}


def _add_entries(builder: SourceBuilder, entries: list[tuple[str, str, Any]]) -> None:
    for kind, place, body in entries:
        if isinstance(body, PartialObject):
            builder.note(place, DAMAGED)
            continue
        text, written = _entry(body)
        if isinstance(text, str) and text.strip().lower() in _NOTHING:
            continue
        user_text, assistant_text = ("", text) if kind == "assistant_knowledge" else (text, "")
        draft = builder.draft(place, user_text, assistant_text, builder.time_of(written), {"imported": kind})
        builder.add_once(draft, (kind, text, written if isinstance(written, str) else None))


def _entry(body: Any) -> tuple[Any, Any]:
    """Returns the text and the time of a fact or a profile. In some forks, a profile is a JSON object, not a text."""
    if not isinstance(body, dict):
        return body, None
    text = body.get("knowledge", body.get("data"))
    if isinstance(text, dict):
        try:
            text = json.dumps(text, ensure_ascii=False)
        except RecursionError:
            return None, None
    return text, body.get("timestamp", body.get("last_updated"))
