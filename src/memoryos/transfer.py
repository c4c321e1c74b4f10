"""Reads and writes export files, and reads files of plain pages. Both consist of JSON lines.

The first line of an export is ``{"kind": "memoryos", "format": 2}``. A line ``{"kind": "scope", …}`` names a user and
an assistant. The lines after it contain their pages, chains, segments, facts, profiles and tombstones. See
``docs/reference/export.md``.

A file of plain pages has one exchange on each line::

    {"at": "2023-05-08T13:56:00+00:00", "user_text": "…", "assistant_text": "…", "meta_data": {"user_name": "…"}}

The argument names of ``add_memory`` (``timestamp``, ``user_input``, ``agent_response``) are accepted too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from memoryos.errors import InputError
from memoryos.inputs import read_draft, read_scope
from memoryos.private_files import publish, refuse_existing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from memoryos.model import PageDraft, Scope

__all__ = ["ExportReader", "export_lines", "is_export", "read_pages", "write_export"]

HEADER, FORMAT = "memoryos", 2
_READABLE_FORMATS = (1, 2)
_LONGEST_HEAD = 1_000
_PAGE = '{"kind": "page"'

_NAMES = {"user_input": "user_text", "agent_response": "assistant_text", "timestamp": "at"}
_KNOWN = frozenset({"at", "user_text", "assistant_text", "meta_data", "page_id", "seq"})


def write_export(
    file: Path,
    scopes: Iterable[tuple[Scope, Iterable[Mapping[str, Any]]]],
    partial_file: Callable[[Path], AbstractContextManager[Path]],
) -> int:
    """Writes memories to a new export file that only its owner can read, and returns the number of pages.

    Args:
        file: The new file.
        scopes: The records of each memory, with its user and assistant.
        partial_file: Context manager that yields a temporary file. The complete file is renamed to ``file``.

    Raises:
        InputError: If the file exists, or can't be written.
    """
    pages = 0
    try:
        refuse_existing(file)
        with partial_file(file) as temporary_file:
            with temporary_file.open("w", encoding="utf-8") as lines:
                for line in export_lines(scopes):
                    lines.write(line)
                    pages += line.startswith(_PAGE)
            publish(temporary_file, file)
    except FileExistsError as error:
        raise InputError("path", f"{file} exists already and was not changed; choose another path") from error
    except OSError as error:
        raise InputError("path", f"{file} can't be written ({error.strerror}); choose another path") from error
    return pages


def export_lines(scopes: Iterable[tuple[Scope, Iterable[Mapping[str, Any]]]]) -> Iterator[str]:
    """Yields the lines of an export file, each with its line break."""
    yield _line({"kind": HEADER, "format": FORMAT})
    for scope, records in scopes:
        yield _line({"kind": "scope", "user_id": scope.user_id, "assistant_id": scope.assistant_id})
        for record in records:
            yield _line(record)


def is_export(file: Path) -> bool:
    """Returns whether the first line of a file is the header of an export."""
    try:
        with file.open("rb") as lines:
            head = json.loads(lines.readline(_LONGEST_HEAD))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(head, dict) and head.get("kind") == HEADER


class ExportReader:
    """Reads an export file line by line. It is a context manager that closes the file.

    Args:
        file: A file written by ``write_export``.

    Attributes:
        format: Version of the export format.

    Raises:
        InputError: If the file can't be read, or is not an export in a supported format.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._lines = file.open(encoding="utf-8")
        except OSError as error:
            raise InputError("path", f"{file} can't be read ({error.strerror}); check the file") from error
        self._number = 0
        self._next_scope: dict[str, Any] | None = None
        head = next(self._records(), {})
        if head.get("kind") != HEADER or head.get("format") not in _READABLE_FORMATS:
            self._lines.close()
            raise InputError(
                "path",
                f"{file} is not an export in a format up to {FORMAT}; to import a newer format, update MemoryOS",
            )
        self.format = int(head["format"])

    def scopes(self) -> Iterator[tuple[Scope, Iterator[dict[str, Any]]]]:
        """Yields each scope (one user with one assistant), and an iterator over the scope's records.

        The caller must read all records of one scope before it requests the next scope.
        """
        for record in self._of_scope():
            kind = record.get("kind")
            raise self.at_fault(
                InputError("kind", f"a record {kind!r} comes before the first record 'scope'; export the memory again")
            )
        while self._next_scope is not None:
            owner, self._next_scope = self._next_scope, None
            try:
                scope = read_scope(owner.get("user_id", ""), owner.get("assistant_id", ""))
            except InputError as error:
                raise self.at_fault(error) from error
            yield scope, self._of_scope()

    def at_fault(self, error: InputError) -> InputError:
        """Returns an error with the message of ``error``, the file and the current line number."""
        return InputError("path", f"{self._file}, line {self._number}: {error}")

    def __enter__(self) -> ExportReader:  # noqa: PYI034
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()

    def _of_scope(self) -> Iterator[dict[str, Any]]:
        for record in self._records():
            if record.get("kind") == "scope":
                self._next_scope = record
                return
            yield record

    def _records(self) -> Iterator[dict[str, Any]]:
        try:
            for line in self._lines:
                self._number += 1
                if not line.strip():
                    continue
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise self.at_fault(InputError("line", "is not a JSON object; repair or remove it"))
                yield record
        except (ValueError, RecursionError, OSError) as error:
            raise self.at_fault(
                InputError("line", f"can't be read ({type(error).__name__}); repair or remove it")
            ) from error


def read_pages(file: Path, *, now: datetime) -> list[PageDraft]:
    """Reads a file with one exchange of user and assistant per line. Empty lines are skipped.

    Raises:
        InputError: If the file can't be read or a line is not a valid exchange. The message contains the line number.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("path", f"{file} can't be read ({error}); check the file") from error
    drafts = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                drafts.append(_draft(json.loads(line), now))
            except (json.JSONDecodeError, InputError) as error:
                raise InputError("path", f"{file}, line {number}: {error}") from error
    return drafts


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, sort_keys=False) + "\n"


def _draft(body: Any, now: datetime) -> PageDraft:
    if not isinstance(body, dict):
        raise InputError("line", "is not a JSON object; repair or remove it")
    fields = {_NAMES.get(str(name), str(name)): value for name, value in body.items()}
    unknown = sorted(set(fields) - _KNOWN)
    if unknown:
        raise InputError(unknown[0], f"is not a field of a page; use {', '.join(sorted(_KNOWN))}")
    return read_draft(
        fields.get("user_text", ""),
        fields.get("assistant_text", ""),
        fields.get("at"),
        fields.get("meta_data"),
        now=now,
    )
