"""Opens texts in files, folders and zip archives as streams, without unpacking an archive to disk."""

from __future__ import annotations

import io
import lzma
import re
import shutil
import struct
import tempfile
import zipfile
import zlib
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO, TYPE_CHECKING, Any

from memoryos.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["TextStream", "is_archive", "open_texts", "read_text"]

MAX_UNPACKED_BYTES = 2**30
MAX_RATIO = 100
"""Maximum ratio of unpacked bytes to archive bytes. It is 5 to 20 for chat exports, and over 1,000 for a zip bomb."""
FREE_BYTES = 16 << 20
"""Number of unpacked bytes that are allowed in addition to ``MAX_RATIO`` times the size of the archive."""
MAX_ENTRIES = 50_000
MAX_DIRECTORY_BYTES = 4 << 20
"""Maximum size of an archive's list of entries, which is read into memory before the entries can be counted."""
MAX_FILE_BYTES = 256 << 20
"""Maximum size of a file that is not a chat export, because such files are read into memory as a whole."""
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_KEPT_IN_MEMORY = 8 << 20
_ADVICE = "unpack it yourself and import conversations.json"
_INNER = re.compile(r"(?:^|/)conversations[^/]{0,200}\.zip$", re.IGNORECASE)
"""Matches the name of an archive inside an archive. OpenAI's privacy portal delivers ChatGPT exports in this form."""
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError)


class TextStream:
    """A stream of UTF-8 text. Invalid bytes become lone surrogates, which ``inputs.read_draft`` rejects later."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._path = path

    def read(self, count: int) -> str:
        """Returns the next characters, at most ``count``. Returns "" at the end.

        Raises:
            InputError: If the stream can't be read, or the archive exceeds its limits.
        """
        try:
            return self._text.read(count)
        except _DAMAGED as error:
            raise _unreadable(self._path, error) from error


def read_text(file: Path) -> str:
    """Returns the UTF-8 text of a file.

    Invalid bytes become lone surrogates, which ``inputs.read_draft`` rejects later.

    Raises:
        InputError: If the file can't be read or has more than 256 MB.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError("path", f"{file} can't be read ({error.strerror}); check the file") from error
    if len(content) > MAX_FILE_BYTES:
        raise InputError("path", f"{file} has more than {MAX_FILE_BYTES:,} bytes; split it into several files")
    return content.decode("utf-8-sig", errors="surrogateescape")


def open_texts(path: Path, name: re.Pattern[str]) -> Iterator[tuple[str, TextStream]]:
    """Yields the name and the text stream of each file with a matching name.

    A stream is closed when the caller requests the next file.

    Args:
        path: A folder, an archive or a single file. A single file need not have a matching name.
        name: Pattern of the names or paths of files inside the folder or archive.

    Raises:
        InputError: If a file can't be read. Also if an archive is encrypted, unpacks to too many bytes, has too
            many entries, or has overlapping entries or unsafe paths.
    """
    try:
        if path.is_dir():
            for each in sorted(path.iterdir()):
                if name.search(each.name):
                    yield from _plain(each)
        elif is_archive(path):
            with path.open("rb") as file:
                yield from _Unpacking(path, name, path.stat().st_size).texts(file)
        else:
            yield from _plain(path)
    except _DAMAGED as error:
        raise _unreadable(path, error) from error


def is_archive(path: Path) -> bool:
    """Returns whether a file is a zip archive, by its name or its first bytes."""
    if path.suffix.lower() == ".zip":
        return path.is_file()
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\3\4"
    except OSError:
        return False


def _plain(file: Path) -> Iterator[tuple[str, TextStream]]:
    with file.open("rb") as stream:
        yield file.name, TextStream(stream, file)


class _Unpacking:
    """Reads an archive and the archives inside it, and limits the total number of unpacked bytes."""

    def __init__(self, path: Path, name: re.Pattern[str], archive_bytes: int) -> None:
        self._path = path
        self._name = name
        self._by_ratio = FREE_BYTES + MAX_RATIO * archive_bytes
        self._limit = min(MAX_UNPACKED_BYTES, self._by_ratio)
        self._read = 0

    def texts(self, file: IO[bytes], *, nested: bool = False) -> Iterator[tuple[str, TextStream]]:
        """Yields the files with a matching name in an archive, and in the archives directly inside it."""
        with zipfile.ZipFile(_BoundedFile(file)) as archive:
            entries = archive.infolist()
            _check_entries(entries, archive.start_dir)
            for entry in sorted(entries, key=lambda each: each.filename):
                if "__MACOSX" in entry.filename:
                    continue
                if self._name.search(entry.filename):
                    with self._open(archive, entry) as stream:
                        yield entry.filename, TextStream(stream, self._path)
                elif not nested and _INNER.search(entry.filename):
                    with self._open(archive, entry) as stream, tempfile.SpooledTemporaryFile(_KEPT_IN_MEMORY) as inner:
                        shutil.copyfileobj(stream, inner)
                        yield from self.texts(inner, nested=True)

    def count(self, count: int) -> None:
        """Adds to the number of unpacked bytes. Sizes in the archive's headers are not used, because they may be false.

        Raises:
            InputError: If the total exceeds the limit.
        """
        self._read += count
        if self._read > self._limit:
            what = f"{MAX_UNPACKED_BYTES:,} bytes" if self._limit < self._by_ratio else f"{MAX_RATIO} times its size"
            raise InputError("path", f"the zip file unpacks to more than {what}; {_ADVICE}")

    def _open(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> io.BufferedReader:
        if entry.flag_bits & _ENCRYPTED:
            raise InputError("path", f"the zip file is encrypted; {_ADVICE}")
        if entry.compress_type not in _METHODS:
            raise InputError("path", f"the zip file uses a compression method other than deflate; {_ADVICE}")
        return io.BufferedReader(_CountedEntry(archive.open(entry), self))


class _CountedEntry(io.RawIOBase):
    """A stream over one file in an archive. It counts the bytes that are read."""

    def __init__(self, stream: IO[bytes], unpacking: _Unpacking) -> None:
        self._stream = stream
        self._unpacking = unpacking

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        self._unpacking.count(len(content))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _BoundedFile:
    """A file for ``zipfile`` that rejects large reads, so that it does not load an oversized list of entries."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, lambda: True

    def read(self, count: int = -1) -> bytes:
        if count > MAX_DIRECTORY_BYTES:
            raise _too_many_entries()
        content = self._file.read(count if count >= 0 else MAX_DIRECTORY_BYTES + 1)
        if len(content) > MAX_DIRECTORY_BYTES:
            raise _too_many_entries()
        return content


def _check_entries(entries: list[zipfile.ZipInfo], directory_at: int) -> None:
    if len(entries) > MAX_ENTRIES:
        raise _too_many_entries()
    for entry in entries:
        _check_inside(entry.filename)
    ordered = sorted(entries, key=lambda each: each.header_offset)
    ends = [*(each.header_offset for each in ordered[1:]), directory_at]
    for entry, end in zip(ordered, ends, strict=True):
        if entry.header_offset + _LOCAL_HEADER_BYTES + entry.compress_size > end:
            raise InputError("path", f"the zip file has overlapping entries and may be a zip bomb; {_ADVICE}")


def _check_inside(name: str) -> None:
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        if path.is_absolute() or path.drive or ".." in path.parts:
            raise InputError("path", f"the zip file has an entry with an absolute path or a path with '..'; {_ADVICE}")


def _too_many_entries() -> InputError:
    return InputError("path", f"the zip file has more than {MAX_ENTRIES:,} entries; {_ADVICE}")


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, OSError) and error.strerror:
        return InputError("path", f"{path} can't be read ({error.strerror}); check the file")
    return InputError("path", f"{path} is a damaged zip file; {_ADVICE}")
