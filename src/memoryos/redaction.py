"""Redaction: replaces secrets in texts with placeholders before the texts are stored. Off by default.

The patterns of secrets are matched with RE2, in linear time. Code then checks the checksum or the context of a match.
One combined scan finds out which patterns match at all, so a text without secrets takes a few microseconds.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import re2

from memoryos.errors import ConfigError, InputError
from memoryos.secret_shapes import BUILT_IN, SENSITIVE_NAME, Detector, Span, placeholder, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from memoryos.model import PageDraft

__all__ = ["NO_REDACTION", "Redactor", "read_detectors"]

MAX_PATTERNS = 50
MAX_PATTERN_CHARACTERS = 1_000
MAX_NAME_CHARACTERS = 40
_MAX_CHARACTERS = 4_000_000
_MAX_MEMORY_BYTES = 64 << 20
_NAME = re2.compile(r"[\pL\pN][\pL\pN _-]*")
_PLACEHOLDER = re2.compile(r"\[redacted [^\]\n]{1,40}\]")
_IDS = ("_id", "_ids", "_page_ids")
_RECORD_TEXTS = frozenset(
    {
        "user_text",
        "assistant_text",
        "user_name",
        "assistant_name",
        "metadata",
        "summary",
        "keywords",
        "text",
        "value",
        "body",
    }
)
"""Members of an exported record that contain text. The other members are ids, times and numbers."""
_TO_ASCII = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_TO_ASCII |= dict.fromkeys((0xA0, 0x2002, 0x2003, 0x2007, 0x2009, 0x202F, 0x3000), ord(" "))
_TO_ASCII |= dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212), ord("-"))
"""Maps full-width characters, and other spaces and dashes, to one ASCII character each, so offsets do not change."""


class Redactor:
    """Replaces secrets with placeholders such as ``[redacted card number]``. A redacted text is not changed again.

    Args:
        detectors: One detector for each kind of secret. Without detectors, texts are not changed.
    """

    def __init__(self, detectors: Iterable[Detector] = ()) -> None:
        self._detectors = tuple(detectors)
        options = _options()
        self._patterns = [re2.compile(each.pattern, options) for each in self._detectors]
        self._set = re2.Set.SearchSet(options)
        for each in self._detectors:
            self._set.Add(each.pattern)
        self._set.Compile()

    @property
    def is_on(self) -> bool:
        """Whether the redactor has detectors. Without detectors it does not change texts."""
        return bool(self._detectors)

    def text(self, text: str) -> str:
        """Returns the text with each secret replaced by a placeholder.

        Raises:
            InputError: If the placeholders make the text longer than 4,000,000 characters.
        """
        if not self._detectors:
            return text
        normalized = text if text.isascii() else text.translate(_TO_ASCII)
        found: list[tuple[int, int, str]] = []
        for index in sorted(self._set.Match(normalized) or ()):
            detector = self._detectors[index]
            matched = [_secret(each) for each in self._patterns[index].finditer(normalized)]
            secrets = detector.find(normalized, matched)
            found += [(start, end, detector.placeholder) for start, end in secrets if start < end]
        return _replaced(text, _outside_of_placeholders(text, found)) if found else text

    def value(self, value: Any) -> Any:
        """Returns a copy of a JSON value in which texts and member names are redacted. Ids are not changed.

        If a member's name indicates a secret, e.g. "password" or "api_key", the whole text of the member is replaced.
        """
        if not self._detectors:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if isinstance(value, dict):
            return {self.text(name): self._member(name, each) for name, each in value.items()}
        return value

    def draft(self, draft: PageDraft) -> PageDraft:
        """Returns a copy of a page in which texts, speaker names and metadata are redacted.

        Raises:
            InputError: If the placeholders make a text longer than 4,000,000 characters.
        """
        if not self._detectors:
            return draft
        names = (draft.user_name, draft.assistant_name)
        user_name, assistant_name = (None if each is None else self.text(each) for each in names)
        return replace(
            draft,
            user_text=self.text(draft.user_text),
            assistant_text=self.text(draft.assistant_text),
            user_name=user_name,
            assistant_name=assistant_name,
            metadata=MappingProxyType(self.value(dict(draft.metadata))),
        )

    def record(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns a copy of an exported record in which all members that contain text are redacted.

        Raises:
            InputError: If the placeholders make a text longer than 4,000,000 characters.
        """
        if not self._detectors:
            return record
        return {name: self.value(each) if name in _RECORD_TEXTS else each for name, each in record.items()}

    def _member(self, name: str, value: Any) -> Any:
        if name.endswith(_IDS):
            return value
        if isinstance(value, str) and value and SENSITIVE_NAME.fullmatch(name):
            redacted = self.text(value)
            return redacted if redacted != value or value.startswith("[redacted ") else placeholder("password")
        return self.value(value)


def read_detectors(patterns: Mapping[str, str]) -> list[Detector]:
    """Returns the built-in detectors of secrets, and one detector for each pattern in the settings.

    Args:
        patterns: RE2 patterns by name. A match is replaced with ``[redacted name]``. If a pattern has groups, only the
            first group is replaced.

    Raises:
        ConfigError: If there are too many patterns, or a pattern is too long, not valid in RE2, or matches the empty
            text.
    """
    if len(patterns) > MAX_PATTERNS:
        raise ConfigError(f"redaction_patterns: {len(patterns)} patterns are set; remove all but {MAX_PATTERNS}")
    return [*BUILT_IN, *(_own(name, pattern) for name, pattern in patterns.items())]


def _own(name: str, pattern: str) -> Detector:
    field = f"redaction_patterns[{name[:MAX_NAME_CHARACTERS]!r}]"
    if len(name) > MAX_NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{field}: the name must consist of 1 to {MAX_NAME_CHARACTERS} letters, digits, spaces, '_' or '-'"
        )
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise ConfigError(
            f"{field}: the pattern has {len(pattern):,} characters; shorten it to at most {MAX_PATTERN_CHARACTERS:,}"
        )
    try:
        compiled = re2.compile(pattern, _options())
    except re2.error as error:
        raise ConfigError(
            f"{field}: the pattern is not valid in RE2; correct it (RE2 has no lookaround and no back references)"
        ) from error
    if compiled.search("") is not None:
        raise ConfigError(f"{field}: the pattern matches the empty text; change it to require at least one character")
    return Detector(placeholder(name), pattern, whole)


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY_BYTES
    return options


def _secret(match: Any) -> tuple[int, int]:
    """Returns the span of the first group that matched, or of the whole match if the pattern has no groups."""
    groups = range(1, match.re.groups + 1)
    span: Span = next((match.span(each) for each in groups if match.start(each) >= 0), match.span())
    return span


def _outside_of_placeholders(text: str, found: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Returns the spans that do not begin inside an existing placeholder.

    A pattern may match words of a placeholder, e.g. "password", which must not be replaced again.
    """
    placeholders = [each.span() for each in _PLACEHOLDER.finditer(text)]
    starts = [start for start, _ in placeholders]
    kept = []
    for span in found:
        before = bisect_right(starts, span[0]) - 1
        if before < 0 or span[0] >= placeholders[before][1]:
            kept.append(span)
    return kept


def _replaced(text: str, found: list[tuple[int, int, str]]) -> str:
    """Returns the text with each span replaced by its placeholder. Overlapping spans share one placeholder."""
    parts: list[str] = []
    done = 0
    for start, end, name in sorted(found, key=lambda each: (each[0], -each[1])):
        if start > done or not parts:
            parts += [text[done:start], name]
        done = max(done, end)
    redacted = "".join([*parts, text[done:]])
    if len(redacted) > _MAX_CHARACTERS:
        raise InputError(
            "redaction", f"placeholders make the text longer than {_MAX_CHARACTERS:,} characters; split the text"
        )
    return redacted


NO_REDACTION = Redactor()
"""A redactor that does not change texts."""
