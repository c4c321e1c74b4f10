"""The hierarchy of errors that MemoryOS raises.

::

    MemoryOSError
    ├── ConfigError              a setting is unknown, out of range or contradicts another
    ├── InputError               an argument is not valid; nothing was stored
    ├── NotFoundError            no page, segment or fact with this id is in this scope
    ├── QuotaExceededError       the scope has reached its limit of pages or bytes; nothing was stored
    ├── StoreError
    │   ├── StoreUnavailableError    the database can't be reached or written now (read-only, full, locked); retry
    │   ├── StoreConflictError       another worker changed the same rows first; nothing was written
    │   ├── StoreUnreadableError     the file is damaged or not a database; it was left unchanged
    │   └── SchemaMismatchError      a newer release or another program created the database; it was left unchanged
    ├── AnalystError
    │   ├── AnalystUnavailableError  the analyst can't be reached now; the pages stay due
    │   │   └── BudgetExceededError      the token budget of the day is used up; the pages stay due until the next day
    │   └── InvalidReplyError        the reply of the analyst is not usable; nothing was learned
    └── EmbeddingError               the embedder failed
        └── DimensionMismatchError   the embedder returned vectors of a wrong length

The caller must act on Config, Input, NotFound and QuotaExceeded errors, the operator on Store errors, and the owner of
the model or its endpoint on Analyst and Embedding errors.
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
        field: Name of the argument.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class NotFoundError(MemoryOSError):
    """No page, segment or fact with this id exists in this scope."""


class QuotaExceededError(MemoryOSError):
    """A scope would exceed its limit of pages or bytes; nothing was stored.

    Attributes:
        setting: Name of the setting with the limit.
        limit: Value of the setting.
        needed: Number of pages or bytes that the scope would contain.
    """

    def __init__(self, setting: str, limit: int, needed: int) -> None:
        unit = "pages" if "pages" in setting else "bytes"
        super().__init__(
            f"this memory would contain {needed:,} {unit}, but {setting} allows {limit:,}; forget pages that are no "
            f"longer needed, or raise {setting}"
        )
        self.setting = setting
        self.limit = limit
        self.needed = needed


class StoreError(MemoryOSError):
    """A database operation failed."""


class StoreUnavailableError(StoreError):
    """The database can't be reached, locked or written now; nothing was changed."""


class StoreConflictError(StoreError):
    """Another worker changed the same rows first; nothing was written."""


class StoreUnreadableError(StoreError):
    """The file is damaged or not a database; it was left unchanged."""


class SchemaMismatchError(StoreError):
    """The schema of the database is unknown to this release; the database was left unchanged."""


class AnalystError(MemoryOSError):
    """The analyst failed; the pages of the call stay due."""


class AnalystUnavailableError(AnalystError):
    """The analyst's model or endpoint can't be reached now.

    Attributes:
        retry_after_seconds: Wait that the endpoint requested before a retry; None if it requested none.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class BudgetExceededError(AnalystUnavailableError):
    """The token budget of the day is used up; consolidation continues on the next day (UTC)."""


class InvalidReplyError(AnalystError):
    """The reply of the analyst is not usable; nothing of it was stored."""


class EmbeddingError(MemoryOSError):
    """The embedder could not turn texts into vectors."""


class DimensionMismatchError(EmbeddingError):
    """The embedder returned vectors of a wrong length.

    Attributes:
        expected: Length according to the embedder's ``dimensions``.
        actual: Length of the returned vectors.
    """

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(f"expected vectors of {expected} dimensions, got {actual}")
        self.expected = expected
        self.actual = actual
