"""Detects pages in languages that the embedding model does not support, and names the command that fixes it."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from memoryos.config import INSTALL_MULTILINGUAL, MULTILINGUAL_MODEL
from memoryos.language.languages import LANGUAGE_NAMES, certain_language_of, count_letters, language_of
from memoryos.optional_methods import CompleteEmbedder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memoryos.config import Config
    from memoryos.model import Page
    from memoryos.seams import Embedder

__all__ = ["PAGES_READ", "LanguageSupport"]

_log = logging.getLogger(__name__)

PAGES_READ = 20
"""Number of newest pages of a scope that are read to detect the scope's languages."""

_MIN_WORDS = 5
_MIN_LETTERS = 4
_NAMES: dict[str, str] = {
    **{str(code): name for code, name in LANGUAGE_NAMES.items()},
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "ko": "Korean",
    "el": "Greek",
    "he": "Hebrew",
    "th": "Thai",
    "ru": "Cyrillic script",
    "ar": "Arabic script",
    "hi": "Devanagari script",
}
_CODES_OF_SCRIPTS = {
    "hangul": "ko", "greek": "el", "hebrew": "he", "thai": "th", "cyrillic": "ru", "arabic": "ar", "devanagari": "hi",
}  # fmt: skip
"""A language code for each script, by name of the script.

The code is used for a text whose script can be detected, but whose language can't.
"""


class LanguageSupport:
    """Compares the languages of pages with those that the embedding model supports.

    Args:
        embedder: The embedder. Its optional property ``languages`` contains the languages that it supports.
        config: The settings. They determine which command the note recommends.
    """

    def __init__(self, embedder: Embedder, config: Config) -> None:
        self._embedder = embedder
        self._supported = CompleteEmbedder(embedder).languages
        self._config = config
        self._has_warned = False

    @property
    def fix(self) -> str:
        """The command or setting that selects a model for about 100 languages and embeds all pages again."""
        if self._config.is_embedding_model_auto:
            return f"{INSTALL_MULTILINGUAL} && memoryos reembed {MULTILINGUAL_MODEL}"
        return f'{INSTALL_MULTILINGUAL}, and set embedding_model_name to "{MULTILINGUAL_MODEL}"'

    def finding(self, pages: Iterable[Page]) -> str | None:
        """Returns a sentence if most of the pages are in languages that the model does not support, otherwise None."""
        if self._supported is None:
            return None
        counts = Counter(code for page in pages if (code := _language(f"{page.user_text}\n{page.assistant_text}")))
        unsupported = [code for code, _ in counts.most_common() if code not in self._supported]
        if 2 * sum(counts[code] for code in unsupported) <= counts.total():
            return None
        names = " and ".join(_NAMES[code] for code in unsupported)
        return (
            f"most of the newest pages are in {names}, which the embedding model {self._embedder.name} does not "
            "support, so they are found by words only"
        )

    def note(self, pages: Iterable[Page]) -> str | None:
        """Returns the finding and the command that fixes the problem, in one sentence; None without a finding."""
        finding = self.finding(pages)
        return None if finding is None else f"{finding}; to fix this, run {self.fix}"

    def warn_once(self, pages: Iterable[Page]) -> None:
        """Logs the result of ``note`` as a warning, at most once for each object."""
        if self._has_warned:
            return
        note = self.note(pages)
        if note is not None:
            self._has_warned = True
            _log.warning("%s", note)


def _language(text: str) -> str | None:
    """Returns the code of the text's language or script; None if it can't be detected."""
    code = language_of(text) or certain_language_of(text, min_words=_MIN_WORDS)
    if code is not None:
        return code
    (script, letters) = next(iter(count_letters(text).most_common(1)), ("", 0))
    return _CODES_OF_SCRIPTS.get(script) if letters >= _MIN_LETTERS else None
