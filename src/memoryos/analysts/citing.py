"""Citing: an LLM ends its answer with the numbers of the pages that it is based on; they are read and taken out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from memoryos.retrieval.recall import Recall

__all__ = ["CitationReader"]

LONGEST_LIST = 300
"""Characters between the tags; what goes on longer is text."""
LONGEST_RANGE = 50
_BLANK = r"\s{0,9}"


def _begun(atoms: Iterable[str]) -> str:
    """Returns the pattern of the first few of these in a row, and of none."""
    pattern = ""
    for each in reversed(list(atoms)):
        pattern = f"(?:{each}{pattern})?"
    return pattern


_CLOSING = ["<", "/?", _BLANK, *"sources", _BLANK, "/?", _BLANK, ">"]
_LIST = rf"[^<]{{0,{LONGEST_LIST}}}"
_TAG = re.compile(rf"<sources{_BLANK}(?:/{_BLANK}>|>({_LIST}){''.join(_CLOSING)})", re.IGNORECASE)
_MAY_BE = re.compile(
    rf"<(?:sources{_BLANK}(?:/{_BLANK}|>{_LIST}{_begun(_CLOSING[:-1])})?|{_begun('source')})\Z", re.IGNORECASE
)
_UNCLOSED = re.compile(rf"<sources{_BLANK}>((?:[\s\d,;]{{0,{LONGEST_LIST - 1}}}[\d,;])?)", re.IGNORECASE)
_CUT_OFF = re.compile(rf"<sources{_BLANK}(?:/{_BLANK}|>([\d\s,;]*){_begun(_CLOSING[:-1])})?\Z", re.IGNORECASE)
_NUMBERS = re.compile(r"[#\[(]{0,4}(\d{1,4})(?:[-–](\d{1,4}))?[.\])]{0,4}")


class CitationReader:
    """Passes an answer on without its tag of sources and remembers the numbers.

    Args:
        recall: Whose pages were numbered in the prompt, from 1, as ``Recall.numbered_pages`` has them.
    """

    def __init__(self, recall: Recall) -> None:
        self._recall = recall
        self._numbers: list[int] = []
        self._has_cited = False

    def read(self, pieces: Iterable[str]) -> Iterator[str]:
        """Yields the text piece by piece; what may be the tag is held back until that is certain.

        The blank space around a tag goes with it, but for what parts two words. Blank space alone is no text.
        """
        joint = _Joint()
        held = ""
        for piece in pieces:
            said, held = self._parse(held + piece, joint, is_whole=False)
            if said:
                yield said
        said, _ = self._parse(held, joint, is_whole=True)
        if said or joint.rest():
            yield said + joint.rest()

    def page_ids(self) -> tuple[str, ...]:
        """Returns the pages that the answer names, in its order; all that it was shown, best first, if it names none."""
        shown = self._recall.numbered_pages()
        if self._has_cited:
            cited = [shown[number - 1].page_id for number in self._numbers if 1 <= number <= len(shown)]
            return tuple(dict.fromkeys(cited))
        return tuple(each.page.page_id for each in self._recall.pages)

    def _parse(self, text: str, joint: _Joint, *, is_whole: bool) -> tuple[str, str]:
        """Returns what can be said of the text, and the rest that must wait for more."""
        said = ""
        done = start = 0
        while (start := text.find("<", start)) != -1:
            tag = _TAG.match(text, start)
            if tag is None and not is_whole and _MAY_BE.match(text, start):
                return said + joint.add(text[done:start]), text[start:]
            tag = tag or (_CUT_OFF.match(text, start) if is_whole else None) or _UNCLOSED.match(text, start)
            if tag is None:
                start += 1
                continue
            said += joint.add(text[done:start])
            joint.cut()
            self._note(tag.group(1) or "", is_closed=tag.re is _TAG)
            done = start = tag.end()
        return said + joint.add(text[done:]), ""

    def _note(self, listed: str, *, is_closed: bool) -> None:
        for each in re.split(r"[\s,;，、]+", listed):
            found = _NUMBERS.fullmatch(each)
            if found is not None:
                first, last = int(found.group(1)), int(found.group(2) or found.group(1))
                self._numbers += range(first, min(last, first + LONGEST_RANGE) + 1)
        self._has_cited = self._has_cited or is_closed or bool(self._numbers)


class _Joint:
    """Keeps back the blank space at the end of what was said, and mends where a tag was cut out."""

    def __init__(self) -> None:
        self._before = self._blank = ""
        self._has_spoken = self._is_cut = False

    def add(self, text: str) -> str:
        """Returns what can be said now that this text follows."""
        text = self._blank + text
        said = text.rstrip()
        self._blank = text[len(said) :]
        if not said:
            return ""
        if self._is_cut:
            bare = said.lstrip()
            leading = said[: len(said) - len(bare)] or (self._before if bare[0].isalnum() else "")
            said = (leading if self._has_spoken else "") + bare
        self._has_spoken, self._is_cut, self._before = True, False, ""
        return said

    def cut(self) -> None:
        """Takes down that a tag stood here."""
        self._before = self._before or self._blank
        self._blank = ""
        self._is_cut = True

    def rest(self) -> str:
        """Returns the blank space at the very end, unless a tag stood there or nothing was said."""
        return self._blank if self._has_spoken and not self._is_cut else ""
