"""Keeps imported pages in a temporary file until they are stored, so that a large import needs little memory."""

from __future__ import annotations

import json
import tempfile
import weakref
from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, overload

from memoryos.model import PageDraft

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["DraftSpool"]

_KEPT_IN_MEMORY = 8 << 20


class DraftSpool(Sequence[PageDraft]):
    """A sequence of pages in order of time. Pages with equal times are in the order of insertion.

    If the pages have more than 8 MB of text, the text is kept in an unnamed temporary file. Memory then contains only
    the time and the file position of each page. Other processes can't open this file, and the operating system deletes
    it when the process ends.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_KEPT_IN_MEMORY)  # noqa: SIM115  (closed with this object)
        self._places: list[tuple[datetime, int, int]] = []
        self._is_sorted = True
        self._end = 0
        weakref.finalize(self, self._file.close)

    def append(self, draft: PageDraft) -> None:
        """Adds a page. The pages stay in order of time, whatever the order of the calls."""
        names = draft.user_name, draft.assistant_name
        offset = draft.utc_offset_minutes
        fields = (draft.user_text, draft.assistant_text, *names, dict(draft.metadata), offset)
        line = json.dumps(fields, ensure_ascii=False).encode()
        self._file.seek(self._end)
        self._file.write(line)
        self._is_sorted = self._is_sorted and (not self._places or self._places[-1][0] <= draft.at)
        self._places.append((draft.at, self._end, len(line)))
        self._end += len(line)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> PageDraft: ...

    @overload
    def __getitem__(self, index: slice) -> list[PageDraft]: ...

    def __getitem__(self, index: int | slice) -> PageDraft | list[PageDraft]:
        if not self._is_sorted:
            self._places.sort(key=lambda place: place[0])
            self._is_sorted = True
        if isinstance(index, slice):
            return [self._read(*place) for place in self._places[index]]
        return self._read(*self._places[index])

    def _read(self, at: datetime, start: int, length: int) -> PageDraft:
        self._file.seek(start)
        user_text, assistant_text, user_name, assistant_name, metadata, offset = json.loads(self._file.read(length))
        kept = MappingProxyType(metadata)
        return PageDraft(at, user_text, assistant_text, user_name, assistant_name, kept, offset)
