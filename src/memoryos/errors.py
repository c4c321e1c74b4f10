"""Every error that MemoryOS raises on purpose.

::

    MemoryOSError
    ├── ConfigError              a setting is unknown, out of range or contradicts another
    ├── InputError               the caller handed over something that can't be remembered or looked up
    ├── NotFoundError            the named thing is not in this scope
    ├── QuotaExceededError       the scope holds as many pages or bytes as the settings allow; nothing was stored
    ├── StoreError
    │   ├── StoreUnavailableError    the database can't be reached or written now (read-only, full, locked); try again
    │   ├── StoreConflictError       another worker changed the same rows first; nothing was written
    │   ├── StoreUnreadableError     the file is damaged or no database; it was left as it is
    │   └── SchemaMismatchError      a newer release or another program made the database; it was left as it is
    ├── AnalystError
    │   ├── AnalystUnavailableError  the analyst can't be reached now; the pages stay due
    │   │   └── BudgetExceededError      the day's tokens are used up; the pages stay due until tomorrow
    │   └── InvalidReplyError        the analyst answered with something that can't be used; nothing was learned
    └── EmbeddingError               texts could not be turned into vectors
        └── DimensionMismatchError   vectors of another length than the model's

Split by who must act: the caller (Config, Input, NotFound, QuotaExceeded), the operator (Store), the model or its
endpoint (Analyst, Embedding).
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
    """The root: catching it catches everything that MemoryOS raises on purpose."""


class ConfigError(MemoryOSError):
    """A setting is unknown, out of its range, or contradicts another one."""


class InputError(MemoryOSError):
    """An argument can't be used as it is; nothing was stored.

    Attributes:
        field: Name of the argument at fault.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class NotFoundError(MemoryOSError):
    """The named thing does not exist in this scope."""


class QuotaExceededError(MemoryOSError):
    """A scope would hold more pages or bytes than the settings allow; nothing was stored.

    Attributes:
        setting: Name of the setting that limits it.
        limit: Its value.
        needed: Pages or bytes that the scope would hold.
    """

    def __init__(self, setting: str, limit: int, needed: int) -> None:
        unit = "pages" if "pages" in setting else "bytes"
        super().__init__(
            f"this memory would hold {needed:,} {unit}, and {setting} allows {limit:,}; forget pages that are no "
            f"longer needed, or raise {setting}"
        )
        self.setting = setting
        self.limit = limit
        self.needed = needed


class StoreError(MemoryOSError):
    """The database did not do what it was asked."""


class StoreUnavailableError(StoreError):
    """The database can't be reached, locked or written now; nothing was changed."""


class StoreConflictError(StoreError):
    """Another worker changed the same rows first; nothing was changed."""


class StoreUnreadableError(StoreError):
    """The file is damaged or is no database; it was left as it is."""


class SchemaMismatchError(StoreError):
    """The database has a schema that this release does not know; it was left as it is."""


class AnalystError(MemoryOSError):
    """The analyst did not deliver; the pages it was to read stay due."""


class AnalystUnavailableError(AnalystError):
    """The analyst's model or endpoint can't be reached now.

    Attributes:
        retry_after_seconds: How long the endpoint asks to be left alone; None if it did not say.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class BudgetExceededError(AnalystUnavailableError):
    """The tokens that the settings allow for a day are used up; consolidation goes on tomorrow (UTC)."""


class InvalidReplyError(AnalystError):
    """The analyst's reply breaks its contract; nothing of it was kept."""


class EmbeddingError(MemoryOSError):
    """The embedder could not turn texts into vectors."""


class DimensionMismatchError(EmbeddingError):
    """The embedder returned vectors of another length than it promised.

    Attributes:
        expected: Length that the embedder's ``dimensions`` promises.
        actual: Length of what came back.
    """

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(f"expected vectors of {expected} dimensions, got {actual}")
        self.expected = expected
        self.actual = actual
