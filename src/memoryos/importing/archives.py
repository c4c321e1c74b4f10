"""Texts out of files, folders and zip archives. Nothing is ever unpacked to disk."""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from memoryos.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["is_archive", "read_text", "read_texts"]

MAX_UNPACKED_BYTES = 2**30
_INNER = re.compile(r"(?:^|/)conversations[^/]*\.zip$", re.IGNORECASE)
"""OpenAI's privacy portal packs the export of ChatGPT, a zip file, into another one."""
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError)


def read_text(file: Path) -> str:
    """Returns the text of a file; bytes that are no UTF-8 become lone surrogates, which no page may have.

    Raises:
        InputError: If it can't be read.
    """
    try:
        return _decode(file.read_bytes())
    except OSError as error:
        raise InputError("path", f"{file} can't be read: {error.strerror}") from error


def read_texts(path: Path, name: re.Pattern[str]) -> list[tuple[str, str]]:
    """Returns name and text of each file of a folder or archive whose path in it matches; of a file just its own.

    Raises:
        InputError: If something can't be read, an archive unpacks to more than 1 GB, or a path leaves it.
    """
    if path.is_dir():
        return [(each.name, read_text(each)) for each in sorted(path.iterdir()) if name.search(each.name)]
    if not is_archive(path):
        return [(path.name, read_text(path))]
    try:
        with path.open("rb") as file:
            return [(each, _decode(content)) for each, content in _Unpacking(name).read(file)]
    except _DAMAGED as error:
        raise InputError("path", f"{path} is a damaged or encrypted zip file; unpack it yourself") from error


def is_archive(path: Path) -> bool:
    """Returns whether a file is a zip archive, going by its name or its first bytes."""
    if path.suffix.lower() == ".zip":
        return path.is_file()
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\3\4"
    except OSError:
        return False


class _Unpacking:
    """One archive with those in it, and how many bytes may still come out of it."""

    def __init__(self, name: re.Pattern[str]) -> None:
        self._name = name
        self._bytes_left = MAX_UNPACKED_BYTES

    def read(self, file: io.BufferedIOBase, *, nested: bool = False) -> list[tuple[str, bytes]]:
        """Returns the wanted files of an archive, and of those packed into it one level deep."""
        found: list[tuple[str, bytes]] = []
        with zipfile.ZipFile(file) as archive:
            for entry in sorted(archive.infolist(), key=lambda each: each.filename):
                _check_inside(entry.filename)
                if "__MACOSX" in entry.filename:
                    continue
                if self._name.search(entry.filename):
                    found.append((entry.filename, self._unpack(archive, entry)))
                elif not nested and _INNER.search(entry.filename):
                    found += self.read(io.BytesIO(self._unpack(archive, entry)), nested=True)
        return found

    def _unpack(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
        """Returns the content of an entry; counts what really comes out, whatever its header says."""
        with archive.open(entry) as stream:
            content = stream.read(self._bytes_left + 1)
        self._bytes_left -= len(content)
        if self._bytes_left < 0:
            raise InputError(
                "path", f"the zip file unpacks to more than {MAX_UNPACKED_BYTES:,} bytes; unpack it yourself"
            )
        return content


def _check_inside(name: str) -> None:
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        if path.is_absolute() or path.drive or ".." in path.parts:
            raise InputError("path", "the zip file names a file outside of itself; it was not read")


def _decode(content: bytes) -> str:
    return content.decode("utf-8-sig", errors="surrogateescape")
