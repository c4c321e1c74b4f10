"""The exceptions that MemoryOS raises.

::

    MemoryOSError
    ├── ConfigError              a setting is unknown, out of range or contradicts another
    ├── InputError               an argument is not valid; nothing was stored
    ├── NotFoundError            the memory has no page, segment or fact with this id
    ├── QuotaExceededError       the memory would exceed its limit of pages or bytes; nothing was stored
    ├── StoreError
    │   ├── StoreUnavailableError    the database can't be reached or written now (read-only, full, locked); retry
    │   ├── StoreConflictError       another worker changed the same rows first; nothing was written
    │   ├── StoreUnreadableError     the file is damaged or not a database; it was not changed
    │   └── SchemaMismatchError      a newer release or another program created the database; it was not changed
    ├── AnalystError
    │   ├── AnalystUnavailableError  the analyst can't be reached now; the pages are processed later
    │   │   └── BudgetExceededError      the token budget of the day is used up; the pages are processed on the next day
    │   └── InvalidReplyError        the reply of the analyst's model is not usable; none of it was stored
    └── EmbeddingError               the embedder failed
        └── DimensionMismatchError   the embedder returned vectors of a wrong length

An analyst extracts topics and facts from pages, with an LLM or with local rules.

The calling program must react to ConfigError, InputError, NotFoundError and QuotaExceededError. The operator of the
database must react to StoreError. The operator of the model must react to AnalystError and EmbeddingError.
"""

from __future__ import annotations

__all__ = [
    "AnalystError",
    "AnalystUnavailableError",
    "BudgetExceededError",
    "ConfigError",
    "DimensionMismatchError",
    "EmbeddingError",
    "InputError",
    "InvalidReplyError",
    "MemoryOSError",
    "NotFoundError",
    "QuotaExceededError",
    "SchemaMismatchError",
    "StoreConflictError",
    "StoreError",
    "StoreUnavailableError",
    "StoreUnreadableError",
]


class MemoryOSError(Exception):
    """Base class of all errors that MemoryOS raises."""


class ConfigError(MemoryOSError):
    """A setting is unknown, out of range, or contradicts another setting."""


class InputError(MemoryOSError):
    """An argument is not valid; nothing was stored.

    Attributes:
        field: Name of the argument that is not valid.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class NotFoundError(MemoryOSError):
    """The memory contains no page, segment or fact with this id."""


class QuotaExceededError(MemoryOSError):
    """A memory would exceed its limit of pages or bytes; nothing was stored.

    Attributes:
        setting: Name of the setting that contains the limit, e.g. "max_pages_per_scope".
        limit: Value of the setting.
        needed: Number of pages or bytes that the memory would contain.
    """

    def __init__(self, setting: str, limit: int, needed: int) -> None:
        unit = "pages" if "pages" in setting else "bytes"
        super().__init__(
            f"this memory would contain {needed:,} {unit}, but the setting {setting} allows {limit:,}; delete pages "
            f"with forget, or raise {setting}"
        )
        self.setting = setting
        self.limit = limit
        self.needed = needed


class StoreError(MemoryOSError):
    """A database operation failed."""


class StoreUnavailableError(StoreError):
    """The database can't be reached or written at present, e.g. while it is locked; nothing was changed."""


class StoreConflictError(StoreError):
    """Another worker changed the same rows first; nothing was written."""


class StoreUnreadableError(StoreError):
    """The database file is damaged, or it is not a database; it was not changed."""


class SchemaMismatchError(StoreError):
    """This release does not support the schema of the database; the database was not changed."""


class AnalystError(MemoryOSError):
    """The analyst failed. The pages that it should have processed are processed later."""


class AnalystUnavailableError(AnalystError):
    """The analyst's model or its endpoint can't be reached at present.

    Attributes:
        retry_after_seconds: Delay in seconds that the endpoint requested before a retry; None if it requested none.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class BudgetExceededError(AnalystUnavailableError):
    """The token budget of the day is used up. The remaining pages are processed on the next day (UTC)."""


class InvalidReplyError(AnalystError):
    """The reply of the analyst's model is not usable; none of it was stored."""


class EmbeddingError(MemoryOSError):
    """The embedder failed to turn texts into vectors."""


class DimensionMismatchError(EmbeddingError):
    """The embedder returned vectors of a wrong length.

    Attributes:
        expected: Length that the embedder declares in its property ``dimensions``.
        actual: Length of the returned vectors.
    """

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(
            f"the embedder returned vectors of {actual} dimensions instead of {expected}; correct embedding_dimensions"
        )
        self.expected = expected
        self.actual = actual
